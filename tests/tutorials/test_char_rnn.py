"""Char RNN: a fused network trained on sequences of characters, and run character by character.

The text is what Python's ``help()`` shows. The last tenth is held out.
"""

from __future__ import annotations

from pydoc_data.topics import topics
from typing import Any

import numpy as np
import pytest

import symbind as mx

STEPS, BATCH = 20, 16
STATES = {"lstm": {"rnn.state": "RNN_state_output", "rnn.state.cell": "RNN_statecell_output"},
          "gru": {"rnn.state": "RNN_state_output"}}  # fmt: skip


def text() -> tuple[np.ndarray, int]:
    """The characters as numbers (0 is for padding), and how many there are."""
    characters = "\n".join(topics[name] for name in sorted(topics)).encode("ascii", "replace")[:24_000]
    numbers = np.unique(np.frombuffer(characters, np.uint8), return_inverse=True)[1] + 1
    return numbers.astype(np.float32), int(numbers.max()) + 1


def batches(numbers: np.ndarray) -> mx.io.NDArrayIter:
    count = (len(numbers) - 1) // STEPS
    data, label = (numbers[at : at + count * STEPS].reshape(count, STEPS) for at in (0, 1))
    return mx.io.NDArrayIter(data, label, BATCH, shuffle=True, last_batch_handle="discard", label_name="label")


def network(size: int, cell_type: str = "lstm", **settings: Any) -> mx.sym.Symbol:
    return mx.rnn.graph(
        num_rnn_layer=2, num_hidden=24, input_size=size, num_embed=16, num_decode=size, dropout=0.0, ignore_label=0,
        cell_type=cell_type, output_last_state=True, loss_output="softmax", config="one-to-one", **settings,
    )  # fmt: skip


def module(symbol: mx.sym.Symbol, cell_type: str = "lstm") -> mx.mod.Module:
    return mx.mod.Module(symbol, label_names=["label"], state_names=list(STATES[cell_type]))


def test_names_of_the_graph() -> None:
    graph = network(30)
    assert graph.list_arguments() == [
        "data", "embed.weight", "rnn.params.weight", "rnn.state", "rnn.state.cell", "cls.weight", "cls.bias", "label",
    ]  # fmt: skip
    nodes = {name.removesuffix("_output") for name in graph.get_internals().list_outputs()}
    assert {"embed", "swap_pre", "RNN", "RNN_state", "RNN_statecell", "mask", "swap_post", "decode", "loss"} <= nodes
    _, shapes, _ = graph.infer_shape(data=(4, 6), label=(4, 6))
    assert shapes == [(24, 30)]


@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
def test_held_out_text_is_understood_and_steps_are_those_of_the_sequence(cell_type: str) -> None:
    numbers, size = text()
    cut = len(numbers) * 9 // 10
    training, held_out = batches(numbers[:cut]), batches(numbers[cut:])
    trained = module(network(size, cell_type), cell_type)
    perplexities = []

    def validate(*_: object) -> None:
        [(_, value)] = trained.score(held_out, mx.metric.Perplexity(ignore_label=0))
        perplexities.append(value)

    trained.fit(
        training, eval_metric=mx.metric.Perplexity(ignore_label=0), num_epoch=4,
        initializer=mx.init.Xavier(rnd_type="gaussian", factor_type="avg", magnitude=3),
        optimizer="adam", optimizer_params={"learning_rate": 0.02, "clip_gradient": 5}, epoch_end_callback=validate,
    )  # fmt: skip
    frequencies = (np.bincount(numbers[:cut].astype(int), minlength=size) + 1) / (cut + size)
    guessing = np.exp(-np.log(frequencies[numbers[cut:].astype(int)]).mean())
    assert perplexities[-1] < perplexities[0] and perplexities[-1] < 13 < 0.6 * guessing

    held_out.reset()
    batch = next(held_out)
    trained.forward(batch, is_train=False)
    whole = trained.get_outputs()[0].asnumpy().reshape(BATCH, STEPS, size)
    step = mx.rnn.StepByStep(
        network(size, cell_type), trained.get_params()[0], STATES[cell_type], data=(BATCH, 1), label=(BATCH, 1)
    )
    for _ in range(2):
        for t in range(STEPS):
            [probabilities] = step(data=batch.data[0][:, t : t + 1])
            np.testing.assert_allclose(probabilities.asnumpy(), whole[:, t], rtol=1e-5, atol=1e-6)
        step.reset()


def test_inner_outputs_are_grouped_for_inference() -> None:
    """The tutorial's own way: a group of the loss and the states, bound to parameters, data and begin states."""
    graph = network(9)
    inner = graph.get_internals()
    group = mx.sym.Group([inner[name] for name in ("RNN_state_output", "RNN_statecell_output", "loss_output")])
    trained = module(graph)
    trained.bind([("data", (1, 3))], [("label", (1, 3))])
    trained.init_params(mx.init.Uniform(0.5))
    data = np.array([[4, 1, 7]], np.float32)
    trained.forward(mx.io.DataBatch([mx.nd.array(data)], None), is_train=False)
    whole = trained.get_outputs()[0].asnumpy()
    state = [mx.nd.zeros((2, 1, 24)), mx.nd.zeros((2, 1, 24))]
    for t, character in enumerate(data[0]):
        executor = group.bind(
            mx.cpu(),
            {**trained.get_params()[0], "data": mx.nd.array([[character]]), "label": mx.nd.zeros((1, 1)),
             "rnn.state": state[0], "rnn.state.cell": state[1]},
        )  # fmt: skip
        *state, probabilities = executor.forward(is_train=False)
        np.testing.assert_allclose(probabilities.asnumpy()[0], whole[t], rtol=1e-5)


def test_buckets_with_masked_ends() -> None:
    """What comes after the end of a sequence changes neither its outputs nor its loss."""
    graph = network(9, masking=True)
    assert "seq.mask" in graph.list_arguments()
    trained = mx.mod.BucketingModule(
        lambda key: (graph, ["data", "seq.mask"], ["label"]), default_bucket_key=6, state_names=list(STATES["lstm"])
    )
    trained.bind([("data", (2, 6)), ("seq.mask", (2,))], [("label", (2, 6))])
    trained.init_params(mx.init.Uniform(0.5))
    lengths = mx.nd.array([4, 2])
    values = np.array([[3, 1, 4, 1, 5, 5], [2, 6, 5, 5, 5, 5]], np.float32)
    outputs = {}
    for steps in (6, 4):
        batch = mx.io.DataBatch(
            [mx.nd.array(values[:, :steps]), lengths], [mx.nd.zeros((2, steps))], bucket_key=steps,
            provide_data=[("data", (2, steps)), ("seq.mask", (2,))], provide_label=[("label", (2, steps))],
        )  # fmt: skip
        trained.forward(batch, is_train=False)
        outputs[steps] = trained.get_outputs()[0].asnumpy().reshape(2, steps, 9)
    np.testing.assert_allclose(outputs[6][:, :4], outputs[4], rtol=1e-5)
    bias = trained.get_params()[0]["cls.bias"].asnumpy()
    masked = np.exp(bias) / np.exp(bias).sum()
    np.testing.assert_allclose(outputs[6][1, 2:], np.tile(masked, (4, 1)), rtol=1e-5)


def test_one_output_for_a_sequence() -> None:
    settings = {"num_rnn_layer": 1, "num_hidden": 5, "num_decode": 3, "cell_type": "gru"}
    last = mx.rnn.graph(**settings, config="seq-to-one")
    each = mx.rnn.graph(**settings)
    values = {name: mx.nd.random.uniform(-1, 1, shape=shape) for name, shape in
              zip(last.list_arguments(), last.infer_shape(data=(2, 4, 3))[0])}  # fmt: skip
    whole = each.eval(**{**values, "label": mx.nd.zeros((2, 4))})[0].asnumpy().reshape(2, 4, 3)
    np.testing.assert_allclose(last.eval(**values)[0].asnumpy(), whole[:, -1], rtol=1e-5)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"config": "many-to-one"}, "must be 'one-to-one' or 'seq-to-one', not 'many-to-one'"),
        ({"loss_output": "hinge"}, "must be one of .*'softmax'.* not 'hinge'"),
        ({"input_size": 10}, "needs num_embed"),
    ],
)
def test_mistakes_in_a_graph(mistake: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mx.rnn.graph(num_rnn_layer=1, num_hidden=2, num_decode=3, **mistake)


def test_mistakes_in_steps() -> None:
    graph = mx.rnn.graph(num_rnn_layer=1, num_hidden=2, num_decode=3, cell_type="gru", output_last_state=True)
    with pytest.raises(ValueError, match="State 'rnn.state.cell' is no argument"):
        mx.rnn.StepByStep(graph, {}, STATES["lstm"], data=(1, 1, 4))
    with pytest.raises(ValueError, match="neither a parameter, a state nor a shape for .'cls.bias', 'cls.weight'"):
        mx.rnn.StepByStep(graph, {"rnn.params.weight": mx.nd.zeros((48,))}, STATES["gru"], data=(1, 1, 4), label=(1, 1))
