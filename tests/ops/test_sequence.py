"""SequenceMask, SequenceLast, SequenceReverse against loops over the sequences; inference, errors."""

import numpy as np
import pytest
import torch

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer

X = np.arange(24.0).reshape(4, 3, 2) + 1
LENGTHS = np.array([1, 4, 2])


def sequences(x, axis):
    """The sequences of the batch, views, each (T, …)."""
    return [x.take(n, 1 - axis) for n in range(x.shape[1 - axis])]


@pytest.mark.parametrize("axis", [0, 1])
def test_mask(axis):
    x = X if axis == 0 else X.swapaxes(0, 1)
    masked = call("SequenceMask", x, LENGTHS, use_sequence_length=True, value=-1, axis=axis)
    for before, after, length in zip(sequences(x, axis), sequences(masked, axis), LENGTHS):
        np.testing.assert_array_equal(after[:length], before[:length])
        assert (after[length:] == -1).all()
    np.testing.assert_array_equal(call("SequenceMask", x, axis=axis), x)


@pytest.mark.parametrize("axis", [0, 1])
def test_last(axis):
    x = X if axis == 0 else X.swapaxes(0, 1)
    expected = np.stack([s[length - 1] for s, length in zip(sequences(x, axis), LENGTHS)])
    last = call("SequenceLast", x, LENGTHS.astype("float32"), use_sequence_length=True, axis=axis)
    np.testing.assert_array_equal(last, expected)
    np.testing.assert_array_equal(call("SequenceLast", x, axis=axis), np.stack([s[-1] for s in sequences(x, axis)]))
    back = call("_backward_SequenceLast", expected, x, LENGTHS, use_sequence_length=True, axis=axis)
    assert back.sum() == expected.sum()
    np.testing.assert_array_equal(back[back != 0], x[back != 0])


def test_reverse():
    reversed_ = call("SequenceReverse", X, LENGTHS, use_sequence_length=True)
    for before, after, length in zip(sequences(X, 0), sequences(reversed_, 0), LENGTHS):
        np.testing.assert_array_equal(after[:length], before[:length][::-1])
        np.testing.assert_array_equal(after[length:], before[length:])
    np.testing.assert_array_equal(call("SequenceReverse", X), X[::-1])


def test_inference():
    lengths = {"use_sequence_length": True}
    assert infer("SequenceMask", [(4, 2, 3), None], **lengths)[0] == [(4, 2, 3), (2,)]
    assert infer("SequenceMask", [(4, 0, 3), (2,)], **lengths)[1] == [(4, 0, 3)]
    assert infer("SequenceMask", [(4, 0, 3), (2,)], **lengths)[0] == [(4, 2, 3), (2,)]
    assert infer("SequenceLast", [(4, 2, 3), None], axis=1, **lengths) == ([(4, 2, 3), (4,)], [(4, 3)])
    assert infer("SequenceLast", [None], [(2, 3)])[0] == [(0, 2, 3)]
    assert infer("SequenceReverse", [None], [(4, 2)])[0] == [(4, 2)]
    for op in ("SequenceMask", "SequenceLast", "SequenceReverse"):
        with pytest.raises(MXNetError, match="rank 2"):
            infer(op, [(4,)])
        with pytest.raises(MXNetError):
            infer(op, [(4, 2, 3), (3,)], **lengths)
        with pytest.raises(MXNetError, match="axis"):
            registry.find(op).parse({"axis": "2"})
    with pytest.raises(MXNetError, match="must be 0"):
        registry.find("SequenceReverse").parse({"axis": "1"})


def test_lengths_have_a_type_of_their_own():
    op = registry.find("SequenceMask")
    p = op.parse({"use_sequence_length": "True"})
    assert op.infer_dtype(p, [torch.float16, torch.int32], [None]) == ([torch.float16, torch.int32], [torch.float16])
    assert op.infer_dtype(p, [torch.float16, None], [None])[0] == [torch.float16, torch.float16]
