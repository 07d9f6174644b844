"""Multilayer perceptrons in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import symbol as sym
from .graph.symbol import Symbol
from .model import FeedForward

__all__ = ["mlp"]

_LOSSES: dict[str, Callable[..., Symbol]] = {
    "softmax": sym.SoftmaxOutput,
    "rmse": sym.LinearRegressionOutput,
    "logistic": sym.LogisticRegressionOutput,
}


def mlp(
    data: Any,
    label: Any,
    hidden_node: int | Sequence[int] = 1,
    *,
    out_node: int,
    dropout: float | None = None,
    activation: str | Sequence[str] = "tanh",
    out_activation: str = "softmax",
    ctx: Any = None,
    **kwargs: Any,
) -> FeedForward:
    r"""A perceptron made and trained: :math:`h_i = a_i(W_i h_{i-1} + b_i)`, and a loss on one more dense layer.

    The layers have automatic names. As in MXNet's R package, where it is called ``mx.mlp``.

    Parameters
    ----------
    data, label : what :meth:`FeedForward.fit <symbind.model.FeedForward.fit>` takes, arrays or an iterator.
    hidden_node : size of the hidden layer, or of each.
    out_node : size of the output.
    dropout : probability of dropout before the output layer; default none.
    activation : of the hidden layers, one for all or one for each.
    out_activation : ``'softmax'``, ``'logistic'``, or ``'rmse'`` for a linear output with a squared loss.
    kwargs : those of :meth:`FeedForward.create <symbind.model.FeedForward.create>`, such as ``num_epoch``,
        ``numpy_batch_size``, ``learning_rate`` and ``eval_metric``.

    Raises ValueError if the activations are not as many as the hidden layers, or the output activation is unknown.
    """
    sizes = [hidden_node] if isinstance(hidden_node, int) else list(hidden_node)
    activations = [activation] * len(sizes) if isinstance(activation, str) else list(activation)
    if len(activations) != len(sizes):
        raise ValueError(f"mlp was given {len(activations)} activations for {len(sizes)} hidden layers: {activations}")
    if out_activation not in _LOSSES:
        raise ValueError(f"out_activation of mlp must be one of {list(_LOSSES)}, not {out_activation!r}")
    net = sym.Variable("data")
    for size, name in zip(sizes, activations):
        net = sym.Activation(sym.FullyConnected(net, num_hidden=size), act_type=name)
    if dropout is not None:
        net = sym.Dropout(net, p=dropout)
    net = _LOSSES[out_activation](sym.FullyConnected(net, num_hidden=out_node))
    return FeedForward.create(net, data, label, ctx=ctx, **kwargs)
