"""Connectionist temporal classification, against the sum over all paths."""

from itertools import groupby, product

import numpy as np
import pytest
from scipy import special

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

DATA = np.random.RandomState(0).randn(4, 2, 3)


def negative_log_probability(frames, label, blank):
    """By its definition: every path through the frames that spells the label."""
    logarithms = special.log_softmax(frames, axis=-1)
    paths = [
        sum(logarithms[t, c] for t, c in enumerate(path))
        for path in product(range(frames.shape[1]), repeat=len(frames))
        if [c for c, _ in groupby(path) if c != blank] == list(label)
    ]
    return -special.logsumexp(paths) if paths else np.inf


@pytest.mark.parametrize(
    ("blank", "labels", "spelled"),
    [
        ("first", [[1, 2], [2, 0]], [[1, 2], [2]]),
        ("first", [[1, 1], [0, 0]], [[1, 1], []]),
        ("first", [[1, 0, 2], [2, 1, 2]], [[1], [2, 1, 2]]),
        ("last", [[0, 1], [1, -1]], [[0, 1], [1]]),
    ],
)
def test_losses(blank, labels, spelled):
    got = call("CTCLoss", DATA, np.array(labels, float), blank_label=blank)
    class_of_blank = 0 if blank == "first" else 2
    wanted = [negative_log_probability(DATA[:, n], spelled[n], class_of_blank) for n in range(2)]
    np.testing.assert_allclose(got, wanted)


def test_lengths():
    got = call(
        "CTCLoss", DATA, np.array([[1.0, 2], [2, 1]]), np.array([3.0, 4]), np.array([2.0, 1]),
        use_data_lengths=True, use_label_lengths=True,
    )  # fmt: skip
    wanted = [negative_log_probability(DATA[:3, 0], [1, 2], 0), negative_log_probability(DATA[:, 1], [2], 0)]
    np.testing.assert_allclose(got, wanted)


def test_a_label_that_cannot_be_spelled():
    """Three times the same class needs two blanks between: five frames."""
    labels = np.array([[1.0, 1, 1], [1, 2, 0]])
    symbol = mx.sym.CTCLoss(mx.sym.var("data"), mx.sym.var("label"))
    executor = symbol.simple_bind(data=DATA.shape, label=labels.shape, grad_req={"data": "write"})
    losses = executor.forward(is_train=True, data=DATA, label=labels)[0].asnumpy()
    assert losses[0] == np.inf
    assert np.isfinite(losses[1])
    executor.backward(mx.nd.array([1, 1]))
    gradient = executor.grad_dict["data"].asnumpy()
    assert not gradient[:, 0].any()
    assert gradient[:, 1].any()


def test_the_label_gets_no_gradient():
    symbol = mx.sym.CTCLoss(mx.sym.var("data"), mx.sym.var("label"))
    executor = symbol.simple_bind(data=DATA.shape, label=(2, 2))
    executor.grad_dict["label"][:] = 7
    executor.forward(is_train=True, data=DATA, label=np.array([[1, 2], [2, 0]]))
    executor.backward(mx.nd.array([1, 2]))
    np.testing.assert_array_equal(executor.grad_dict["label"].asnumpy(), np.full((2, 2), 7))
    gradient = executor.grad_dict["data"].asnumpy()
    assert gradient.any()
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-6)


def test_names():
    data, label = mx.sym.var("data"), mx.sym.var("label")
    assert mx.sym.CTCLoss(data, label, name="c").list_outputs() == ["c_output0"]
    symbol = mx.sym.contrib.ctc_loss(data=data, label=label, name="c", use_label_lengths=True)
    assert symbol.list_arguments() == ["data", "label", "c_label_lengths"]


def test_inference():
    assert infer("CTCLoss", [(5, 0, 4), (2, 3)]) == ([(5, 2, 4), (2, 3)], [(2,), (5, 2, 4)])
    with pytest.raises(MXNetError, match=r"up to 5 labels \(shape \(2, 5\)\) but only 4 frames"):
        infer("CTCLoss", [(4, 2, 3), (2, 5)])
    with pytest.raises(MXNetError, match="inconsistent"):
        infer("CTCLoss", [(4, 3, 3), (2, 2)])
    with pytest.raises(MXNetError, match="inconsistent"):
        infer("CTCLoss", [(4, 3), (2, 2)])


@pytest.mark.parametrize(
    ("labels", "lengths", "message"),
    [
        ([[1.0, 3], [1, 2]], ([4.0, 4], [2.0, 2]), "Label 3 of CTCLoss is too large: it can be 2"),
        ([[1.0, 2], [1, 2]], ([4.0, 5], [2.0, 2]), "Number of frames 5 of CTCLoss is too large: it can be 4"),
        ([[1.0, 2], [1, 2]], ([4.0, 4], [3.0, 2]), "Number of labels 3 of CTCLoss is too large: it can be 2"),
    ],
)
def test_numbers_beyond_the_arrays_are_refused(labels, lengths, message):
    with pytest.raises(MXNetError, match=message):
        call("CTCLoss", DATA, np.array(labels), *map(np.array, lengths), use_data_lengths=True, use_label_lengths=True)


def test_frames_that_do_not_count_may_hold_anything():
    frames, labels = np.array([3.0, 4]), np.array([[1.0], [2]])
    padded = DATA.copy()
    padded[3, 0] = np.nan
    for blank in ("first", "last"):
        data = mx.nd.array(padded, dtype="float64")
        data.attach_grad()
        with mx.autograd.record():
            loss = mx.nd.CTCLoss(
                data, mx.nd.array(labels - (blank == "last")), data_lengths=mx.nd.array(frames), use_data_lengths=True,
                blank_label=blank,
            )  # fmt: skip
        loss.backward()
        assert np.isfinite(loss.asnumpy()).all()
        gradient = data.grad.asnumpy()
        assert np.isfinite(gradient).all()
        assert not gradient[3, 0].any()
        assert gradient[3, 1].any()
