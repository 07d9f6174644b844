"""What all recurrent cells share: parameters by name, initial states, and unrolling over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import ndarray as nd
from .. import symbol as sym
from ..graph.symbol import Symbol
from ..ndarray import NDArray

__all__ = ["BaseRNNCell", "RNNParams", "apply_activation", "joined", "reversed_steps", "separate"]

Weights = dict[str, NDArray]
Activation = str | Callable[..., Symbol]


class RNNParams:
    """Variables by name, made when they are first asked for. Cells that are given the same one share weights.

    Parameters
    ----------
    prefix : what the names of all variables begin with.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._params: dict[str, Symbol] = {}

    def get(self, name: str, **kwargs: Any) -> Symbol:
        """The variable ``prefix + name``; keywords go to :func:`symbind.sym.Variable` if it is made now."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = sym.Variable(name, **kwargs)
        return self._params[name]


# ---- sequences of symbols ------------------------------------------------------------------------------------------


def separate(inputs: Symbol | Sequence[Symbol], length: int, layout: str) -> list[Symbol]:
    """The inputs of each step: a symbol is split along the axis of time, a list is taken as it is."""
    if not isinstance(inputs, Symbol):
        _check_length(inputs, length)
        return list(inputs)
    if len(inputs) != 1:
        raise ValueError(
            f"unroll takes one symbol with an axis of time, or a list with one symbol per step; {inputs!r} has "
            f"{len(inputs)} outputs. list(symbol) makes a list of them"
        )
    return list(sym.split(inputs, axis=_time_axis(layout), num_outputs=length, squeeze_axis=1))


def joined(steps: Symbol | Sequence[Symbol], length: int, layout: str) -> Symbol:
    """One symbol with an axis of time; what is one symbol already is taken as it is."""
    if isinstance(steps, Symbol):
        return steps
    _check_length(steps, length)
    axis = _time_axis(layout)
    return sym.Concat(*[sym.expand_dims(step, axis=axis) for step in steps], dim=axis)


def reversed_steps(steps: Symbol | Sequence[Symbol], layout: str) -> Symbol | list[Symbol]:
    """The steps in the opposite order, in the form in which they come."""
    if isinstance(steps, Symbol):
        return sym.reverse(steps, axis=_time_axis(layout))
    return list(reversed(steps))


def _time_axis(layout: str) -> int:
    if "T" not in layout:
        raise ValueError(f"The layout of a sequence must have an axis T, such as NTC or TNC, not {layout!r}")
    return layout.index("T")


def _check_length(steps: Sequence[Symbol], length: int) -> None:
    if not isinstance(steps, Sequence):
        raise TypeError(f"unroll takes a symbol or a list of symbols as inputs, not {steps!r}")
    if len(steps) != length:
        raise ValueError(f"unroll over {length} steps was given {len(steps)} inputs")


def apply_activation(inputs: Symbol, activation: Activation, **kwargs: Any) -> Symbol:
    """``activation`` of ``inputs``: the Activation operator for a name, or what the function makes of them."""
    if isinstance(activation, str):
        return sym.Activation(inputs, act_type=activation, **kwargs)
    return activation(inputs, **kwargs)


# ---- the cell ------------------------------------------------------------------------------------------------------


class BaseRNNCell:
    """A network for one step of time: from the input and the states to the output and the next states.

    A subclass defines :meth:`__call__` and ``state_info``; one that keeps several gates in one weight also
    ``_gate_names`` and ``_num_hidden``, which is all that packing needs to know.

    Parameters
    ----------
    prefix : what the names of the nodes, and of the parameters unless ``params`` is given, begin with.
    params : the parameters of another cell, to be used by this one too.
    """

    _num_hidden: int

    def __init__(self, prefix: str = "", params: RNNParams | None = None) -> None:
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        # A cell inside a modifier, which is the one to be asked for states and steps.
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Begin to count steps and states anew, for another graph."""
        self._init_counter = -1
        self._counter = -1

    def __call__(self, inputs: Symbol, states: Sequence[Any]) -> tuple[Symbol, list[Any]]:
        """One step: ``(output, next states)`` from ``inputs``, (batch, features), and the states before."""
        raise NotImplementedError(f"{type(self).__name__} does not define a step")

    @property
    def _can_step(self) -> bool:
        """Whether the cell can be called for one step; some work on whole sequences only."""
        return True

    def _next_step(self) -> str:
        """Count a step; returns what the names of its nodes begin with."""
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"

    @property
    def params(self) -> RNNParams:
        """The parameters, to be given to other cells."""
        return self._params

    @property
    def state_info(self) -> list[Any]:
        """For each state a dict with ``shape``, in which the batch size is 0, and ``__layout__``."""
        raise NotImplementedError(f"{type(self).__name__} does not define state_info")

    @property
    def state_shape(self) -> list[Any]:
        """The shape of each state; the batch size is 0."""
        return [info["shape"] for info in self.state_info]

    @property
    def _gate_names(self) -> Sequence[str]:
        """What the names of the parameters of each gate end with, in the order in which a weight holds them."""
        return ()

    def begin_state(self, func: Callable[..., Symbol] = sym.zeros, **kwargs: Any) -> list[Any]:
        """States for the first step, made by ``func(name=…, shape=…, __layout__=…, **kwargs)``.

        By default they are zeros whose batch size is inferred; with ``func=sym.Variable`` they are inputs.
        """
        self._refuse_if_modified()
        states = []
        for info in self.state_info:
            self._init_counter += 1
            states.append(func(name=f"{self._prefix}begin_state_{self._init_counter}", **{**kwargs, **(info or {})}))
        return states

    def _states_to_unroll(self, begin_state: list[Any] | None) -> list[Any]:
        """The states of the first step of a new graph: those given, or else :meth:`begin_state`."""
        self.reset()
        return self.begin_state() if begin_state is None else begin_state

    def _refuse_if_modified(self) -> None:
        if self._modified:
            raise AssertionError(
                f"{type(self).__name__} {self._prefix!r} is inside a modifier cell (such as ZoneoutCell): "
                "ask the modifier cell for states instead"
            )

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """The network for ``length`` steps, all with the same parameters.

        Parameters
        ----------
        length : number of steps.
        inputs : one symbol, (batch, length, …) for layout ``'NTC'`` or (length, batch, …) for ``'TNC'``, or a list
            of one symbol (batch, …) for each step.
        begin_state : states to begin with; default :meth:`begin_state`.
        layout : the axes of inputs and outputs that are one symbol.
        merge_outputs : whether the outputs are one symbol; None for what the cell makes anyway.

        Returns
        -------
        The outputs, as one symbol or a list with one for each step, and the states after the last step.
        """
        states = self._states_to_unroll(begin_state)
        steps = separate(inputs, length, layout)
        outputs = []
        for step in steps:
            output, states = self(step, states)
            outputs.append(output)
        return joined(outputs, length, layout) if merge_outputs else outputs, states

    # ---- weights --------------------------------------------------------------------------------------------------

    def unpack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """``args`` with the weights of this cell cut into those of its gates: ``…i2h_weight`` into ``…i2h_i_weight`` …

        Other arrays are passed on. KeyError if a weight is missing.
        """
        args = dict(args)
        for group in ("i2h", "h2h") if self._gate_names else ():
            packed = [(kind, args.pop(f"{self._prefix}{group}_{kind}")) for kind in ("weight", "bias")]
            for i, gate in enumerate(self._gate_names):
                rows = slice(i * self._num_hidden, (i + 1) * self._num_hidden)
                for kind, array in packed:
                    args[f"{self._prefix}{group}{gate}_{kind}"] = array[rows].copy()
        return args

    def pack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """The inverse of :meth:`unpack_weights`."""
        args = dict(args)
        for group in ("i2h", "h2h") if self._gate_names else ():
            for kind in ("weight", "bias"):
                parts = [args.pop(f"{self._prefix}{group}{gate}_{kind}") for gate in self._gate_names]
                args[f"{self._prefix}{group}_{kind}"] = nd.concatenate(parts)
        return args
