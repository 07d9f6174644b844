"""Symbol: the handle that users hold on values of a graph."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..base import MXNetError, NotImplementedForSymbol, atomic_write
from ..dtype import as_torch, to_code
from . import registry
from .attribute import current_attributes, stored_key, with_plain_spellings
from .compose import apply_operator, attribute_text, auxiliary_nodes, replace_variables
from .node import Entry, Node, post_order
from .serialize import from_json, to_json

__all__ = ["Group", "Symbol", "Variable", "apply", "load", "load_json", "var"]

Shape = tuple[int, ...]


class Symbol:
    """One or more values of a graph that has not been given data yet.

    Symbols are made by :func:`var`, by the operator functions in :mod:`symbind.symbol`, by arithmetic on symbols and
    by calling a symbol (composition). They are immutable but for string attributes, and never hold numbers:
    :meth:`simple_bind` makes an executor that does.
    """

    __slots__ = ("__weakref__", "entries")

    # NumPy must leave ``array + symbol`` to us instead of looping over the array.
    __array_priority__ = 1000.0
    __array_ufunc__ = None

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """The node's name; None for a group of several nodes."""
        nodes = {entry.node for entry in self.entries}
        return self.entries[0].node.name if len(nodes) == 1 else None

    def __repr__(self) -> str:
        if self.name is not None:
            return f"<Symbol {self.name}>"
        return "<Symbol group [{}]>".format(", ".join(entry.node.name for entry in self.entries))

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Symbol]:
        return (Symbol([entry]) for entry in self.entries)

    def __getitem__(self, index: int | str | slice) -> Symbol:
        """One output by position or by its listed name, or several by slice."""
        if isinstance(index, slice):
            return Group([Symbol([entry]) for entry in self.entries[index]])
        if isinstance(index, str):
            found = [i for i, name in enumerate(self.list_outputs()) if name == index]
            if not found:
                raise ValueError(f'Cannot find output that matches name "{index}"')
            if len(found) > 1:
                raise ValueError(f'There are multiple outputs with name "{index}"')
            index = found[0]
        if not isinstance(index, int):
            raise TypeError(f"Symbol index must be an int, a str or a slice, not {type(index).__name__}")
        if not -len(self.entries) <= index < len(self.entries):
            raise IndexError(f"Output index {index} is out of range: {self!r} has {len(self.entries)} outputs")
        return Symbol([self.entries[index]])

    def __copy__(self) -> Symbol:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict) -> Symbol:
        copies: dict[Node, Node] = {}
        for node in post_order(self.entries):
            inputs = [Entry(copies[e.node], e.index) for e in node.inputs]
            copies[node] = node.copy(copies, inputs)
        return Symbol([Entry(copies[e.node], e.index) for e in self.entries])

    def __reduce__(self) -> tuple[Any, ...]:
        return load_json, (self.tojson(remove_amp_cast=False),)

    # ---- listings ---------------------------------------------------------------------------------------------

    def list_arguments(self) -> list[str]:
        """Names of the variables that must be given, depth first; parameters included, auxiliary states not."""
        return [node.name for node in self._variables(auxiliary=False)]

    def list_auxiliary_states(self) -> list[str]:
        """Names of the variables that operators update while running, such as BatchNorm's moving averages."""
        return [node.name for node in self._variables(auxiliary=True)]

    def list_inputs(self) -> list[str]:
        """Names of all variables, arguments and auxiliary states, depth first."""
        return [node.name for node in post_order(self.entries) if node.is_variable]

    def list_outputs(self) -> list[str]:
        """Names of the outputs: ``<node>_output``, ``<node>_output<i>``, or the bare name of a variable."""
        return [entry.name for entry in self.entries]

    def _variables(self, auxiliary: bool) -> list[Node]:
        order = post_order(self.entries)
        states = auxiliary_nodes(order)
        return [node for node in order if node.is_variable and (node in states) is auxiliary]

    def get_internals(self) -> Symbol:
        """All values of the graph as one group, so that any can be taken by name."""
        return Symbol([Entry(node, i) for node in post_order(self.entries) for i in range(node.num_visible_outputs)])

    def get_children(self) -> Symbol | None:
        """The direct inputs of the outputs' nodes; None for a variable."""
        nodes = dict.fromkeys(entry.node for entry in self.entries)
        inputs = [entry for node in nodes for entry in node.inputs]
        return Symbol(inputs) if inputs else None

    def debug_str(self) -> str:
        """A plain-text listing of outputs, nodes, inputs and attributes."""
        from .serialize import to_text

        return to_text(self.entries)

    # ---- attributes -------------------------------------------------------------------------------------------

    def attr(self, key: str) -> str | None:
        """Attribute ``key`` of the node, or None."""
        return with_plain_spellings(self.entries[0].node.attrs).get(key) if self.name is not None else None

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """All attributes of the node. See :meth:`attr_dict` for those of every node."""
        if recursive:
            raise DeprecationWarning(
                "Symbol.list_attr with recursive=True has been deprecated. Please use attr_dict instead."
            )
        return with_plain_spellings(self.entries[0].node.attrs)

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """Attributes of every node that has any, by node name."""
        return {node.name: with_plain_spellings(node.attrs) for node in post_order(self.entries) if node.attrs}

    def _set_attr(self, **attributes: str) -> None:
        """Annotate the node in place; values must be strings."""
        for key, value in attributes.items():
            if not isinstance(value, str):
                raise ValueError("Set Attr only accepts string values")
            self.entries[0].node.attrs[stored_key(key)] = value

    # ---- composition ------------------------------------------------------------------------------------------

    def __call__(self, *args: Symbol, **kwargs: Any) -> Symbol:
        """A copy of this symbol in which variables named by keyword are replaced by the given symbols.

        ``net(data=other, name="compose")``: the copy's head node is called ``compose``; everything else keeps its
        name, and ``net`` itself stays as it was.
        """
        name = kwargs.pop("name", None)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        if args and kwargs:
            raise TypeError("compose only accept input Symbols either as positional or keyword arguments, not both")
        for value in (*args, *kwargs.values()):
            if not isinstance(value, Symbol):
                raise TypeError(f"Compose expect `Symbol` as arguments, not {type(value).__name__}")
        if args:
            raise MXNetError(
                f"General composition only support kwargs for now: {self!r} was called with {len(args)} "
                f"positional symbols; name the variables to replace, one or more of {self.list_arguments()}"
            )
        values = {key: _single(value, key) for key, value in kwargs.items()}
        return Symbol(replace_variables(self.entries, values, name))

    # ---- files ------------------------------------------------------------------------------------------------

    def tojson(self, remove_amp_cast: bool = True) -> str:
        """The graph as JSON text, to the character what MXNet 1.9.1 writes for it."""
        return to_json(self.entries, remove_amp_cast)

    def save(self, fname: str | os.PathLike[str], remove_amp_cast: bool = True) -> None:
        """Write :meth:`tojson` to a file, whole or not at all."""
        text = self.tojson(remove_amp_cast)
        with atomic_write(fname) as handle:
            handle.write(text.encode())

    # ---- what the rooms above make possible, and symbind.symbol.methods adds ---------------------------------

    infer_shape: ClassVar[Callable[..., Any]]
    infer_shape_partial: ClassVar[Callable[..., Any]]
    infer_type: ClassVar[Callable[..., Any]]
    infer_type_partial: ClassVar[Callable[..., Any]]
    gradient: ClassVar[Callable[..., Symbol]]
    simple_bind: ClassVar[Callable[..., Any]]
    bind: ClassVar[Callable[..., Any]]
    eval: ClassVar[Callable[..., Any]]

    # ---- arithmetic -------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Symbol:
        return _binary(self, other, "_plus", "_PlusScalar")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Symbol:
        return _binary(self, other, "_minus", "_MinusScalar")

    def __rsub__(self, other: Any) -> Symbol:
        return _binary(self, other, None, "_RMinusScalar")

    def __mul__(self, other: Any) -> Symbol:
        return _binary(self, other, "_mul", "_MulScalar")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Symbol:
        return _binary(self, other, "_div", "_DivScalar")

    def __rtruediv__(self, other: Any) -> Symbol:
        return _binary(self, other, None, "_RDivScalar")

    def __mod__(self, other: Any) -> Symbol:
        return _binary(self, other, "_Mod", "_ModScalar")

    def __rmod__(self, other: Any) -> Symbol:
        return _binary(self, other, None, "_RModScalar")

    def __pow__(self, other: Any) -> Symbol:
        return _binary(self, other, "_Power", "_PowerScalar")

    def __rpow__(self, other: Any) -> Symbol:
        return _binary(self, other, None, "_rpower_scalar")

    def __neg__(self) -> Symbol:
        return self * -1.0

    def __abs__(self) -> Symbol:
        return apply("abs", self)

    def __eq__(self, other: Any) -> Symbol:  # type: ignore[override]
        return _binary(self, other, "_equal", "_equal_scalar")

    def __ne__(self, other: Any) -> Symbol:  # type: ignore[override]
        return _binary(self, other, "_not_equal", "_not_equal_scalar")

    def __gt__(self, other: Any) -> Symbol:
        return _binary(self, other, "_greater", "_greater_scalar")

    def __ge__(self, other: Any) -> Symbol:
        return _binary(self, other, "_greater_equal", "_greater_equal_scalar")

    def __lt__(self, other: Any) -> Symbol:
        return _binary(self, other, "_lesser", "_lesser_scalar")

    def __le__(self, other: Any) -> Symbol:
        return _binary(self, other, "_lesser_equal", "_lesser_equal_scalar")

    # Comparison builds a graph, so symbols cannot be keys of a dictionary.
    __hash__ = None  # type: ignore[assignment]


def _only_on_arrays(name: str, alias: str | None = None) -> Callable[..., Any]:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedForSymbol(name, alias, *args)

    method.__name__ = name
    method.__doc__ = "Only NDArray has this: a symbol holds no numbers."
    return method


for _name, _alias in {
    "__iadd__": "+=", "__isub__": "-=", "__imul__": "*=", "__itruediv__": "/=", "__imod__": "%=",
    "__bool__": "bool", "asnumpy": None, "asscalar": None, "wait_to_read": None, "copy": None,
    "as_in_context": None, "detach": None, "backward": None,
}.items():  # fmt: skip
    setattr(Symbol, _name, _only_on_arrays(_name, _alias))


def _single(symbol: Symbol, keyword: str) -> Entry:
    """The one value of ``symbol``; MXNetError if it has several."""
    if len(symbol.entries) != 1:
        raise MXNetError(
            f"Keyword Argument {keyword} is a tuple, single value is required: {symbol!r} has "
            f"{len(symbol.entries)} outputs ({', '.join(symbol.list_outputs())})"
        )
    return symbol.entries[0]


def _binary(left: Symbol, right: Any, operator: str | None, scalar_operator: str) -> Symbol:
    if isinstance(right, Symbol) and operator is not None:
        return apply(operator, left, right)
    if isinstance(right, (int, float)) or (hasattr(right, "__float__") and getattr(right, "ndim", 1) == 0):
        return apply(scalar_operator, left, scalar=right)
    raise TypeError(f"type {type(right)} not supported")


def apply(
    operator: str, /, *inputs: Symbol, name: str | None = None, attr: Mapping[str, str] | None = None, **params: Any
) -> Symbol:
    """The symbol of ``operator`` on ``inputs`` given by position, as operator gradients and arithmetic make it."""
    op = registry.find(operator)
    attrs = {key: attribute_text(value) for key, value in params.items()}
    attrs.update(current_attributes(attr))
    entries = [_single(s, f"{i}") for i, s in enumerate(inputs)]
    node = apply_operator(op, entries, attrs, name, hint=operator)
    return Symbol([Entry(node, i) for i in range(node.num_visible_outputs)])


def var(
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: Sequence[int] | int | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: str,
) -> Symbol:
    """A variable: a value that is given when the graph is bound.

    ``shape`` (0 for an unknown dimension) and ``dtype`` are used by inference where the caller gives nothing; ``init``
    is an initializer for this variable alone; ``lr_mult`` and ``wd_mult`` scale the optimizer's rates. Further
    keywords must look like ``__key__`` and are kept as string attributes.
    """
    if not isinstance(name, str):
        raise TypeError("Expect a string for variable `name`")
    attrs = current_attributes(attr)
    if shape is not None:
        # NumPy's integers, of which shapes of its arrays may be made, would be written with their type.
        sizes = shape if isinstance(shape, Iterable) else (shape,)
        attrs["__shape__"] = str(tuple(map(operator.index, sizes)))
    if lr_mult is not None:
        attrs["__lr_mult__"] = str(lr_mult)
    if wd_mult is not None:
        attrs["__wd_mult__"] = str(wd_mult)
    if dtype is not None:
        attrs["__dtype__"] = str(to_code(as_torch(dtype)))
    if init is not None:
        attrs["__init__"] = init if isinstance(init, str) else init.dumps()
    if stype is not None:
        codes = {"default": 0, "row_sparse": 1, "csr": 2}
        if stype not in codes:
            raise ValueError(f"Unknown storage type {stype!r} of variable {name!r}; expected one of {list(codes)}")
        attrs["__storage_type__"] = str(codes[stype])
    for key, value in kwargs.items():
        if not (key.startswith("__") and key.endswith("__")):
            raise ValueError(
                f"Attribute name={key} is not supported. Additional attributes must start and end with double "
                "underscores, e.g, __yourattr__"
            )
        attrs[key] = str(value)
    return Symbol([Entry(Node(None, name, {stored_key(k): v for k, v in attrs.items()}))])


Variable = var


def Group(symbols: Sequence[Symbol]) -> Symbol:
    """All outputs of ``symbols`` in one symbol."""
    symbols = list(symbols)
    if not symbols or any(not isinstance(s, Symbol) for s in symbols):
        raise TypeError("Expected a list of symbols as input")
    return Symbol([entry for symbol in symbols for entry in symbol.entries])


def load_json(json_str: str) -> Symbol:
    """The symbol of a JSON text of any version; MXNetError says what is wrong with a damaged one."""
    if not isinstance(json_str, str):
        raise TypeError(f"load_json expects a str, not {type(json_str).__name__}")
    return Symbol(from_json(json_str))


def load(fname: str | os.PathLike[str]) -> Symbol:
    """The symbol saved in a ``-symbol.json`` file."""
    if not isinstance(fname, (str, os.PathLike)):
        raise TypeError(f"fname need to be string, not {type(fname).__name__}")
    with open(fname, encoding="utf-8") as handle:
        try:
            return load_json(handle.read())
        except (MXNetError, UnicodeDecodeError) as error:
            raise MXNetError(f"{os.fspath(fname)}: {error}") from error
