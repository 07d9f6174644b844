"""A oneDNN primitive: one kernel, chosen for given descriptors, that becomes a call once it knows its addresses.

The families build primitives in three steps that a graph layer can take one by one: ask (descriptors may be *any*),
look at what was chosen (``descs``, ``implementation``, ``scratchpad``), and ``bind`` to addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...base import MXNetError
from .declarations import Algorithm, Arg, Query
from .engine import Engine, cpu_engine, thread_count
from .memory import Memory, MemoryDesc

__all__ = ["Binary", "Eltwise", "PostOp", "Primitive", "Sum", "describe"]

_SCRATCHPAD_MODE_USER = 1


@dataclass(frozen=True)
class Sum:
    """Post-op: add the result to what the destination held, times ``scale`` (a gemm's beta)."""

    scale: float = 1.0


@dataclass(frozen=True)
class Eltwise:
    """Post-op: apply a function of one variable to the result."""

    algorithm: Algorithm
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True)
class Binary:
    """Post-op: combine the result with another array, which may broadcast; see ``Arg.post_op``."""

    algorithm: Algorithm
    operand: MemoryDesc


PostOp = Sum | Eltwise | Binary


class Primitive:
    """A chosen kernel. Cheap until :meth:`bind` generates its code; immutable, and safe to share by threads."""

    def __init__(
        self,
        name: str,
        handle: Any,
        inputs: Iterable[int],
        outputs: Iterable[int],
        in_place: Iterable[tuple[int, int]],
        flops: int,
    ) -> None:
        engine = cpu_engine()
        self.engine = engine
        self.name = name
        self.handle = engine.library.ffi.gc(handle, engine.library.c.dnnl_primitive_desc_destroy)
        self.thread_count = thread_count()
        self.flops = flops
        self.descs: dict[int, MemoryDesc] = {}
        self.inputs = self._used(inputs)
        self.outputs = self._used(outputs)
        self.in_place = tuple(
            (result, operand)
            for result, operand in in_place
            if result in self.descs and self.descs[result] == self.descs.get(operand)
        )
        self.scratchpad = Arg.SCRATCHPAD if self._used([Arg.SCRATCHPAD]) else None

    def _used(self, arguments: Iterable[int]) -> tuple[int, ...]:
        """Those of the arguments that this primitive takes, with their descriptors noted."""
        used = []
        for argument in arguments:
            desc = self._query_desc(argument)
            if desc is not None:
                self.descs[argument] = desc
                used.append(argument)
        return tuple(used)

    def _query_desc(self, argument: int) -> MemoryDesc | None:
        library = self.engine.library
        found = library.c.dnnl_primitive_desc_query_md(self.handle, Query.ARGUMENT, argument)
        if found == library.ffi.NULL:
            return None
        desc = MemoryDesc.copy_of(found)
        return desc if desc.is_something else None

    @property
    def scratchpad_bytes(self) -> int:
        """How much working memory a run needs; its content means nothing before and after."""
        return self.descs[Arg.SCRATCHPAD].nbytes if self.scratchpad else 0

    @cached_property
    def implementation(self) -> str:
        """The library's name for the kernel, such as ``brgconv:avx512_core``."""
        library = self.engine.library
        result = library.ffi.new("const char **")
        status = library.c.dnnl_primitive_desc_query(self.handle, Query.IMPLEMENTATION_NAME, 0, result)
        library.check(status, f"name the implementation of {self.name}")
        return library.ffi.string(result[0]).decode()

    @property
    def is_reference(self) -> bool:
        """Whether this is the library's plain loop, which is right but orders of magnitude slower."""
        # A composite names its parts: "conv:any+jit:avx512_core". Recurrent layers are called "ref" without a
        # colon although matrix products do their work.
        return any(part.startswith("ref:") for part in self.implementation.split("+"))

    @cached_property
    def executable(self) -> Any:
        """The kernel itself. Making it generates machine code, or finds it in the library's cache."""
        library = self.engine.library
        if thread_count() != self.thread_count:
            raise MXNetError(
                f"{self.name} was described for {self.thread_count} threads but torch now uses {thread_count()}"
            )
        out = library.ffi.new("primitive_t *")
        library.check(library.c.dnnl_primitive_create(out, self.handle), f"create {self.name}")
        return library.ffi.gc(out[0], library.c.dnnl_primitive_destroy)

    def bind(self, places: Mapping[int, int | Memory]) -> Callable[[], None]:
        """A call without arguments that runs this primitive on the given places.

        ``places`` gives each of ``inputs``, ``outputs`` and, where there is one, the scratchpad an address of at
        least ``descs[argument].nbytes`` bytes, or a :class:`Memory` that can be moved later. The call holds on to
        the memory objects but not to the memory: whoever owns the addresses must outlive it.
        """
        wanted = {*self.inputs, *self.outputs} | ({Arg.SCRATCHPAD} if self.scratchpad else set())
        if wanted != places.keys():
            missing = ", ".join(_name(argument) for argument in sorted(wanted - places.keys()))
            extra = ", ".join(_name(argument) for argument in sorted(places.keys() - wanted))
            raise MXNetError(f"binding {self.name}: missing [{missing}], not taken [{extra}]")
        memories = {}
        for argument, place in places.items():
            memory = place if isinstance(place, Memory) else Memory(self.descs[argument], place)
            if memory.desc != self.descs[argument]:
                raise MXNetError(
                    f"binding {self.name}: {_name(argument)} is {memory.desc}, expected {self.descs[argument]}"
                )
            memories[argument] = memory

        library = self.engine.library
        execute, executable, stream = library.c.dnnl_primitive_execute, self.executable, self.engine.stream
        count = len(memories)
        arguments = library.ffi.new(
            "dnnl_exec_arg_t[]", [(argument, memory.handle) for argument, memory in memories.items()]
        )
        check, name = library.check, self.name

        def call() -> None:
            status = execute(executable, stream, count, arguments)
            if status:
                check(status, f"run {name}")

        # The argument list holds bare pointers: the memory objects must live as long as the call.
        call.memories = memories  # type: ignore[attr-defined]
        return call

    def __repr__(self) -> str:
        descs = ", ".join(f"{_name(argument)}={desc}" for argument, desc in self.descs.items())
        return f"{self.name}[{self.implementation}]({descs})"


def describe(
    name: str,
    *arguments: Any,
    inputs: Sequence[int],
    outputs: Sequence[int],
    post_ops: Sequence[PostOp] = (),
    in_place: Sequence[tuple[int, int]] = (),
    flops: int = 0,
) -> Primitive:
    """Choose the kernel for a call of ``dnnl_<name>_primitive_desc_create`` with the given arguments.

    Arguments are given as the library takes them, with descriptors, primitives (as hints), the engine and
    sequences in Python's form and None for an absent one; the result and the attributes are added here.
    ``inputs`` and ``outputs`` list what the family may take: those that this case does not use are dropped.
    ``in_place`` lists pairs (output, input) that may share memory where their layouts are equal.
    Raises Unsupported if the library has no kernel for it.
    """
    engine = cpu_engine()
    library = engine.library
    create = getattr(library.c, f"dnnl_{name}_primitive_desc_create")
    out = library.ffi.new("pd_t *")
    thread_count()  # hands torch's setting on to OpenMP in this thread before the library looks at it
    attributes = _attributes(engine, post_ops)
    status = create(out, *(_plain(engine, argument) for argument in arguments), attributes)
    if status:
        described = ", ".join(str(argument) for argument in arguments if isinstance(argument, MemoryDesc))
        library.check(status, f"compute {name} of {described}")
    operands = [Arg.post_op(i) for i, post_op in enumerate(post_ops) if isinstance(post_op, Binary)]
    accumulated = []
    if any(isinstance(post_op, Sum) for post_op in post_ops):
        # The destination is read, so that no other input can be in its place.
        accumulated, in_place = [Arg.DST], [(Arg.DST, Arg.DST)]
    return Primitive(name, out[0], [*inputs, *operands, *accumulated], outputs, in_place, flops)


def _plain(engine: Engine, argument: Any) -> Any:
    """An argument as cffi takes it."""
    if argument is None:
        return engine.library.ffi.NULL
    if isinstance(argument, MemoryDesc | Primitive | Engine):
        return argument.handle
    if isinstance(argument, list | tuple):
        return [_plain(engine, item) for item in argument]
    return argument


def _attributes(engine: Engine, post_ops: Sequence[PostOp]) -> Any:
    """Attributes with these post-ops, and with scratch memory left to the caller, whose plan it belongs in."""
    library = engine.library
    ffi, c = library.ffi, library.c
    out = ffi.new("attr_t *")
    library.check(c.dnnl_primitive_attr_create(out), "create attributes")
    attributes = ffi.gc(out[0], c.dnnl_primitive_attr_destroy)
    status = c.dnnl_primitive_attr_set_scratchpad_mode(attributes, _SCRATCHPAD_MODE_USER)
    library.check(status, "set the scratchpad mode")
    if not post_ops:
        return attributes
    chain_out = ffi.new("post_ops_t *")
    library.check(c.dnnl_post_ops_create(chain_out), "create post-ops")
    chain = ffi.gc(chain_out[0], c.dnnl_post_ops_destroy)
    for post_op in post_ops:
        match post_op:
            case Sum(scale):
                status = c.dnnl_post_ops_append_sum(chain, scale, 0, 0)
            case Eltwise(algorithm, alpha, beta):
                status = c.dnnl_post_ops_append_eltwise(chain, algorithm, alpha, beta)
            case Binary(algorithm, operand):
                status = c.dnnl_post_ops_append_binary(chain, algorithm, operand.handle)
        library.check(status, f"append {post_op}")
    library.check(c.dnnl_primitive_attr_set_post_ops(attributes, chain), "set post-ops")
    return attributes


def _name(argument: int) -> str:
    """An argument's name for messages."""
    if argument in Arg.__members__.values():
        return Arg(argument).name
    if argument >= 32768:
        return f"POST_OP_{argument // 32768 - 1}"
    return f"SRC_{argument - 1024}"
