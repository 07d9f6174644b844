"""Whole recurrent networks, from a description to a loss, around one ``RNN`` operator."""

from __future__ import annotations

from collections.abc import Callable

from .. import symbol as sym
from ..graph.symbol import Symbol
from ..initializer import FusedRNN

__all__ = ["graph"]

_LOSSES: dict[str, Callable[..., Symbol]] = {
    "softmax": sym.SoftmaxOutput,
    "linear": sym.LinearRegressionOutput,
    "logistic": sym.LogisticRegressionOutput,
    "mae": sym.MAERegressionOutput,
}


def graph(
    *,
    num_rnn_layer: int,
    num_hidden: int,
    num_decode: int,
    input_size: int | None = None,
    num_embed: int | None = None,
    dropout: float = 0.0,
    ignore_label: int = -1,
    cell_type: str = "lstm",
    masking: bool = False,
    output_last_state: bool = False,
    loss_output: str = "softmax",
    config: str = "one-to-one",
) -> Symbol:
    """Embedding, recurrent layers, a dense layer and a loss, as ``rnn.graph`` of MXNet's R package builds them.

    Nodes and arguments have the names that they have there, so that its checkpoints fit: the inputs are ``data``,
    (batch, steps) or (batch, steps, features), ``label``, and with ``masking`` also ``seq.mask``, (batch,), the
    lengths of the sequences; the states before the first step are ``rnn.state`` and, for an LSTM, ``rnn.state.cell``,
    (layers, batch, num_hidden); the parameters are ``embed.weight``, ``rnn.params.weight``, ``cls.weight`` and
    ``cls.bias``. A :class:`~symbind.module.Module` that trains it is told of the states by ``state_names``, and leaves
    them zero; :class:`StepByStep` carries them from one step to the next.

    Parameters
    ----------
    num_rnn_layer, num_hidden : how many recurrent layers, and the size of each.
    num_decode : size of the output: classes, or numbers predicted.
    input_size, num_embed : how many words there are, and the size of what each is embedded in; without ``input_size``
        the data are features.
    dropout : probability of dropout between recurrent layers.
    ignore_label : label that counts for nothing in a softmax loss; -1 for none.
    cell_type : ``'lstm'``, ``'gru'``, ``'rnn_relu'`` or ``'rnn_tanh'``.
    masking : whether sequences have lengths; what comes after them is zero.
    output_last_state : whether the states after the last step are outputs of the recurrent node, to be had from
        ``get_internals()`` as ``RNN_state_output`` and ``RNN_statecell_output``.
    loss_output : ``'softmax'``, ``'linear'``, ``'logistic'`` or ``'mae'``.
    config : ``'one-to-one'`` for an output after every step, rows of which are those of (batch · steps), or
        ``'seq-to-one'`` for one after the last.

    Raises ValueError if ``config`` or ``loss_output`` is none of these, or an ``input_size`` has no ``num_embed``.
    """
    if config not in ("one-to-one", "seq-to-one"):
        raise ValueError(f"config of rnn.graph must be 'one-to-one' or 'seq-to-one', not {config!r}")
    if loss_output not in _LOSSES:
        raise ValueError(f"loss_output of rnn.graph must be one of {list(_LOSSES)}, not {loss_output!r}")
    data, label = sym.Variable("data"), sym.Variable("label")
    if input_size is not None:
        if num_embed is None:
            raise ValueError("rnn.graph needs num_embed, the size of the embedding, where input_size is given")
        weight = sym.Variable("embed.weight")
        data = sym.Embedding(data, weight, input_dim=input_size, output_dim=num_embed, name="embed")

    states = {"state": sym.Variable("rnn.state")}
    if cell_type == "lstm":
        states["state_cell"] = sym.Variable("rnn.state.cell")
    initializer = FusedRNN(None, num_hidden, num_rnn_layer, cell_type)
    layers = sym.RNN(
        sym.swapaxes(data, dim1=0, dim2=1, name="swap_pre"),
        sym.Variable("rnn.params.weight", init=initializer),
        **states,
        state_size=num_hidden,
        num_layers=num_rnn_layer,
        mode=cell_type,
        state_outputs=output_last_state,
        p=dropout,
        name="RNN",
    )[0]

    lengths = {"use_sequence_length": True, "sequence_length": sym.Variable("seq.mask")} if masking else {}
    if config == "seq-to-one":
        features = sym.SequenceLast(layers, **lengths, name="mask")
    else:
        kept = sym.SequenceMask(layers, **lengths, name="mask") if masking else sym.identity(layers, name="mask")
        features = sym.reshape(sym.swapaxes(kept, dim1=0, dim2=1, name="swap_post"), shape=(-3, 0))
        label = sym.reshape(label, shape=(-1,))
    decoded = sym.FullyConnected(
        features, sym.Variable("cls.weight"), sym.Variable("cls.bias"), num_hidden=num_decode, name="decode"
    )
    ignored = {"use_ignore": True, "ignore_label": ignore_label}
    return _LOSSES[loss_output](
        decoded, label, name="loss", **(ignored if loss_output == "softmax" and ignore_label != -1 else {})
    )
