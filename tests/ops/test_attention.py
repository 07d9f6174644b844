"""Interleaved attention against its definition head by head."""

import math

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer

HEADS, BATCH, WIDTH = 2, 3, 4
RANDOM = np.random.RandomState(0)


def interleave(*parts):
    """Parts (batch, heads, length, D) as one array (length, batch, heads · parts · D)."""
    stacked = np.stack(parts, 2).transpose(3, 0, 1, 2, 4)
    return stacked.reshape(stacked.shape[0], stacked.shape[1], -1)


def random_part(length):
    return RANDOM.normal(size=(BATCH, HEADS, length, WIDTH))


@pytest.mark.parametrize("queries_apart", [False, True])
def test_attention(queries_apart):
    q, k, v = random_part(5), random_part(6 if queries_apart else 5), random_part(6 if queries_apart else 5)
    kind = "encdec" if queries_apart else "selfatt"
    sources = [interleave(q), interleave(k, v)] if queries_apart else [interleave(q, k, v)]
    prefix = f"_contrib_interleaved_matmul_{kind}"

    scores = call(f"{prefix}_qk", *sources, heads=HEADS)
    expected = q @ k.swapaxes(-1, -2) / math.sqrt(WIDTH)
    np.testing.assert_allclose(scores, expected.reshape(BATCH * HEADS, *expected.shape[2:]), atol=1e-12)

    weighted = call(f"{prefix}_valatt", sources[-1], scores, heads=HEADS)
    np.testing.assert_allclose(weighted, interleave(expected @ v), atol=1e-12)


def test_inference():
    qk, valatt = "_contrib_interleaved_matmul_selfatt_qk", "_contrib_interleaved_matmul_selfatt_valatt"
    assert infer(qk, [(5, 2, 12)], heads=2)[1] == [(4, 5, 5)]
    assert infer(valatt, [(5, 2, 12), None], heads=2) == ([(5, 2, 12), (4, 5, 5)], [(5, 2, 4)])
    assert infer(qk, [None], heads=2)[1] == [None]
    decoder = "_contrib_interleaved_matmul_encdec_valatt"
    assert infer(decoder, [(6, 2, 8), (4, 0, 6)], [(5, 0, 0)], heads=2) == ([(6, 2, 8), (4, 5, 6)], [(5, 2, 4)])
    for op, shapes in [
        (qk, [(5, 2, 13)]),
        (qk, [(5, 12)]),
        ("_contrib_interleaved_matmul_encdec_qk", [(5, 2, 4), (6, 3, 8)]),
        ("_contrib_interleaved_matmul_encdec_qk", [(5, 2, 4), (6, 2, 16)]),
        (decoder, [(6, 2, 8), (4, 5, 5)]),
    ]:
        with pytest.raises(MXNetError):
            infer(op, shapes, heads=2)


def test_div_sqrt_dim():
    np.testing.assert_allclose(call("_contrib_div_sqrt_dim", np.full((2, 9), 6.0)), np.full((2, 9), 2.0))
