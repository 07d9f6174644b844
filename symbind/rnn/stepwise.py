"""A recurrent network that was trained on sequences, run one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..context import Context
from ..graph.symbol import Group, Symbol
from ..ndarray import NDArray

__all__ = ["StepByStep"]


class StepByStep:
    """A network whose states after each call are those before the next; what ``mx.infer.rnn.one`` of R is used for.

    It is bound once, so that a step decides nothing. Called with the data of a step it returns the outputs of
    ``symbol``, arrays that the next call overwrites::

        network = mx.rnn.StepByStep(loss, params, {"rnn.state": "RNN_state_output"}, data=(1, 1), label=(1, 1))
        [probabilities] = network(data=character)

    Parameters
    ----------
    symbol : the network for one step, or for a few at a time.
    params : its parameters by name, of arguments and auxiliary states alike.
    states : for the name of each state argument what it becomes: a symbol, or the name of one of the network's inner
        outputs. States are zero at first.
    ctx : where it runs; default the current context.
    shapes : shapes of the inputs by name.

    Raises ValueError for a state that is no argument, or for arguments that have neither a value nor a shape;
    MXNetError if shapes disagree.
    """

    def __init__(
        self,
        symbol: Symbol,
        params: Mapping[str, NDArray],
        states: Mapping[str, Symbol | str],
        ctx: Context | None = None,
        **shapes: tuple[int, ...],
    ) -> None:
        unknown = sorted(set(states) - set(symbol.list_arguments()))
        if unknown:
            raise ValueError(
                f"State {unknown[0]!r} is no argument of the network; its own are {symbol.list_arguments()}"
            )
        missing = sorted(set(symbol.list_inputs()) - {*params, *states, *shapes})
        if missing:
            raise ValueError(f"StepByStep was given neither a parameter, a state nor a shape for {missing}")
        internals = symbol.get_internals()
        after = [internals[state] if isinstance(state, str) else state for state in states.values()]
        self._outputs = len(symbol)
        self._executor = Group([symbol, *after]).simple_bind(ctx, grad_req="null", **shapes)
        own = {**self._executor.arg_dict, **self._executor.aux_dict}
        for name, value in params.items():
            if name in own:
                own[name][:] = value
        self.states: dict[str, NDArray] = {name: own[name] for name in states}

    def __call__(self, **data: Any) -> list[NDArray]:
        """The outputs for the data of the next step, arrays or NumPy arrays by name."""
        outputs = self._executor.forward(is_train=False, **data)
        for state, new in zip(self.states.values(), outputs[self._outputs :]):
            state[:] = new
        return outputs[: self._outputs]

    def reset(self) -> None:
        """Begin a new sequence: states are zero again."""
        for state in self.states.values():
            state[:] = 0
