"""Automatic mixed precision: a network described in float32 does its heavy work in half precision.

:func:`convert_symbol` puts casts into a graph. Convolutions and products of matrices then read and give bfloat16 (or
float16), accumulated in float32 by their kernels; what moves data or treats single numbers gently stays in the type it
gets; losses, exponentials, norms and sums are computed in float32. Parameters, their gradients and the states of an
optimizer remain float32: they are the master weights.

    net = mx.contrib.amp.convert_symbol(net, "bfloat16")
    module = mx.mod.Module(net)

Micikevicius et al., "Mixed Precision Training" (2018); Kalamkar et al., "A Study of BFLOAT16 for Deep Learning
Training" (2019), in which bfloat16 needs no scaling of the loss.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..dtype import as_torch, name_of, to_code
from ..graph.node import Entry, Node, post_order
from ..graph.registry import find, is_registered, names
from ..graph.symbol import Symbol
from ..ndarray import NDArray

__all__ = [
    "convert_model",
    "convert_symbol",
    "list_conditional_fp32_ops",
    "list_fp32_ops",
    "list_lp16_fp32_ops",
    "list_lp16_ops",
    "list_widest_type_cast",
]

#: Operators that are computed in half precision.
_LOW = ("Convolution", "Deconvolution", "FullyConnected")
#: Operators that run in the type of their first input; their other inputs, such as the parameters of a normalization,
#: keep their own.
_AS_IT_COMES = (
    "Activation", "BatchNorm", "Crop", "Dropout", "Flatten", "LRN", "LeakyReLU", "Pad", "Pooling", "Reshape",
    "SliceChannel", "SwapAxis", "UpSampling", "_contrib_BatchNormWithReLU", "_copy", "_split_v2", "abs", "clip",
    "depth_to_space", "expand_dims", "max", "min", "negative", "relu", "repeat", "reverse", "sigmoid", "slice",
    "slice_axis", "slice_like", "space_to_depth", "squeeze", "tanh", "tile", "transpose",
)  # fmt: skip
#: Operators whose inputs must have one type: the widest of theirs.
_WIDEST = (
    "Concat", "add_n", "broadcast_add", "broadcast_div", "broadcast_maximum", "broadcast_minimum", "broadcast_mul",
    "broadcast_sub", "elemwise_add", "elemwise_div", "elemwise_mul", "elemwise_sub", "stack", "where", "_maximum",
    "_minimum",
)  # fmt: skip
#: ``(operator, parameter, values)``: with one of these values it is computed in float32.
_CONDITIONAL = (("Activation", "act_type", ("softrelu",)), ("LeakyReLU", "act_type", ("elu", "selu")))

Conditions = Sequence[tuple[str, str, Sequence[str]]]


def list_lp16_ops(target_dtype: str = "float16") -> list[str]:
    """Operators that are computed in half precision."""
    _half(target_dtype)
    return list(_LOW)


def list_lp16_fp32_ops(target_dtype: str = "float16") -> list[str]:
    """Operators that run in half precision or in float32, whichever their first input has."""
    _half(target_dtype)
    return list(_AS_IT_COMES)


def list_widest_type_cast(target_dtype: str = "float16") -> list[str]:
    """Operators whose inputs are cast to the widest type among them."""
    _half(target_dtype)
    return list(_WIDEST)


def list_conditional_fp32_ops(target_dtype: str = "float16") -> list[tuple[str, str, list[str]]]:
    """Operators that are computed in float32 for some values of a parameter."""
    _half(target_dtype)
    return [(name, key, list(values)) for name, key, values in _CONDITIONAL]


def list_fp32_ops(target_dtype: str = "float16") -> list[str]:
    """Operators that are computed in float32: all that the other lists do not name."""
    _half(target_dtype)
    others = {*_LOW, *_AS_IT_COMES, *_WIDEST}
    return sorted(name for name in names() if name not in others and not name.startswith("_backward_"))


def convert_symbol(
    sym: Symbol,
    target_dtype: str = "float16",
    target_dtype_ops: Iterable[str] | None = None,
    fp32_ops: Iterable[str] | None = None,
    conditional_fp32_ops: Conditions | None = None,
    excluded_sym_names: Iterable[str] | None = None,
    data_names: Iterable[str] | None = None,
    cast_optional_params: bool = False,
) -> Symbol:
    """The network with casts to ``target_dtype``, ``'bfloat16'`` or ``'float16'``, and back.

    Parameters
    ----------
    target_dtype_ops : names of operators to compute in half precision instead of those of :func:`list_lp16_ops`.
    fp32_ops : names of operators to compute in float32, beside those of :func:`list_fp32_ops`.
    conditional_fp32_ops : as :func:`list_conditional_fp32_ops` gives them, instead of those.
    excluded_sym_names : names of nodes to compute in float32.
    data_names : variables that are inputs, not parameters; by default all whose name has no ending of a parameter's.
    cast_optional_params : have parameters that only half-precision operators read be stored so. Without, they are
        float32 and cast in every run, which is what training wants.

    Saved files leave the casts out. Raises ValueError for another ``target_dtype``, for operators that are not
    registered or in two lists, and for names that no node has.
    """
    half = _half(target_dtype)
    rules = _Rules(target_dtype_ops, fp32_ops, conditional_fp32_ops)
    order = post_order(sym.entries)
    excluded = set(excluded_sym_names or ())
    unknown = sorted(excluded - {node.name for node in order})
    if unknown:
        raise ValueError(f"excluded_sym_names has {unknown}, which no node of the network is called")
    stored = _stored_in_half(order, rules, excluded, data_names) if cast_optional_params else set()
    return _Converter(half, rules, excluded, stored).convert(sym.entries, order)


def convert_model(
    sym: Symbol,
    arg_params: Mapping[str, NDArray],
    aux_params: Mapping[str, NDArray],
    target_dtype: str = "float16",
    target_dtype_ops: Iterable[str] | None = None,
    fp32_ops: Iterable[str] | None = None,
    conditional_fp32_ops: Conditions | None = None,
    excluded_sym_names: Iterable[str] | None = None,
    cast_optional_params: bool = False,
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """:func:`convert_symbol`, and the parameters in the types that it wants; those that stay are shared."""
    data_names = [name for name in sym.list_inputs() if name not in arg_params and name not in aux_params]
    converted = convert_symbol(
        sym, target_dtype, target_dtype_ops, fp32_ops, conditional_fp32_ops, excluded_sym_names, data_names,
        cast_optional_params,
    )  # fmt: skip
    declared = converted.attr_dict()

    def typed(params: Mapping[str, NDArray]) -> dict[str, NDArray]:
        code = str(to_code(as_torch(target_dtype)))
        return {
            name: array.astype(target_dtype) if declared.get(name, {}).get("__dtype__") == code else array
            for name, array in params.items()
        }

    return converted, typed(arg_params), typed(aux_params)


def _half(target_dtype: str) -> str:
    name = name_of(as_torch(target_dtype))
    if name not in ("float16", "bfloat16"):
        raise ValueError(f"target_dtype must be 'float16' or 'bfloat16', not {target_dtype!r}")
    return name


class _Rules:
    """Which operators are computed in what."""

    def __init__(self, low: Iterable[str] | None, single: Iterable[str] | None, conditions: Conditions | None) -> None:
        self.low = _canonical(_LOW if low is None else low)
        self.single = _canonical(single or ())
        both = sorted(self.low & self.single)
        if both:
            raise ValueError(f"{both} are to be computed both in half precision and in float32")
        self.conditions = [(find(name).name, key, set(values)) for name, key, values in (conditions or _CONDITIONAL)]

    def of(self, node: Node) -> str:
        """``'half'``, ``'widest'``, ``'first'`` (the type of the first input) or ``'single'``."""
        name = node.op.name
        if name in self.single or any(
            name == op and str(getattr(node.params, key, None)) in values for op, key, values in self.conditions
        ):
            return "single"
        if name in self.low:
            return "half"
        if name in _WIDEST:
            return "widest"
        return "first" if name in _AS_IT_COMES or node.op.bypass_when_saved else "single"


def _canonical(listed: Iterable[str]) -> set[str]:
    found = set()
    for name in listed:
        if not is_registered(name):
            raise ValueError(f"There is no operator called {name!r}")
        found.add(find(name).name)
    return found


def _stored_in_half(
    order: Sequence[Node], rules: _Rules, excluded: Collection[str], data_names: Iterable[str] | None
) -> set[Node]:
    """Variables that are parameters, and that operators in half precision alone read."""
    endings = ("weight", "bias", "gamma", "beta", "mean", "var")
    read: dict[Node, bool] = {}
    for node in order:
        if node.is_variable:
            continue
        low = rules.of(node) == "half" and node.name not in excluded
        for source, _ in node.inputs:
            read[source] = read.get(source, True) and low
    inputs = None if data_names is None else set(data_names)
    return {
        node
        for node, low in read.items()
        if low and node.is_variable and (node.name.endswith(endings) if inputs is None else node.name not in inputs)
    }


class _Converter:
    """Builds the graph with casts. ``half`` are values that are certainly of half precision."""

    def __init__(self, half: str, rules: _Rules, excluded: Collection[str], stored: Collection[Node]) -> None:
        self._half, self._rules, self._excluded, self._stored = half, rules, excluded, stored
        self._copies: dict[Node, Node] = {}
        self._halves: set[Entry] = set()
        self._casts: dict[tuple[Entry, str], Entry] = {}

    def convert(self, heads: Sequence[Entry], order: Sequence[Node]) -> Symbol:
        for node in order:
            if node.is_variable:
                self._variable(node)
            else:
                self._operator(node)
        return Symbol([Entry(self._copies.get(node, node), i) for node, i in heads])

    def _variable(self, node: Node) -> None:
        if node in self._stored:
            attrs = {**node.attrs, "__dtype__": str(to_code(as_torch(self._half)))}
            copy = self._copies[node] = Node(None, node.name, attrs)
            self._halves.add(Entry(copy))

    def _operator(self, node: Node) -> None:
        inputs = [Entry(self._copies.get(source, source), i) for source, i in node.inputs]
        rule = "single" if node.name in self._excluded else self._rules.of(node)
        if rule == "half":
            inputs = [self._cast(entry, self._half) for entry in inputs]
        elif rule == "single" or (rule == "widest" and not self._halves.issuperset(inputs)):
            inputs = [self._cast(entry, "float32") for entry in inputs]
        copy = self._copies[node] = node.copy(self._copies, inputs)
        if rule == "half" or (rule in ("widest", "first") and inputs and inputs[0] in self._halves):
            self._halves.update(Entry(copy, i) for i in range(copy.num_outputs))

    def _cast(self, entry: Entry, dtype: str) -> Entry:
        """``entry`` in a type; as it is if it cannot be of another."""
        if (entry in self._halves) == (dtype == self._half):
            return entry
        found = self._casts.get((entry, dtype))
        if found is None:
            node = Node(find("amp_cast"), f"{entry.node.name}_amp_cast{entry.index}_{dtype}", {"dtype": dtype}, [entry])
            found = self._casts[entry, dtype] = Entry(node)
            if dtype == self._half:
                self._halves.add(found)
        return found
