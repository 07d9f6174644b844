"""Inner product and matmul against torch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from symbind.runtime.onednn.declarations import Algorithm, Arg
from symbind.runtime.onednn.engine import supports_bfloat16
from symbind.runtime.onednn.matmul import InnerProduct, matmul
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.primitive import Binary, Eltwise, Sum

from .harness import Run, any_like, assert_close, differentiate


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(11)


@pytest.mark.parametrize(
    "shape, outputs",
    [((128, 784), 128), ((1, 3), 5), ((7, 5), 3), ((64, 500), 10), ((4, 16, 3, 3), 20), ((2, 5, 4, 4), 7)],
    ids=str,
)
@pytest.mark.parametrize("plain", [False, True], ids=["any", "plain"])
def test_inner_product_matches_torch(shape: tuple[int, ...], outputs: int, plain: bool) -> None:
    src, weights, bias = torch.randn(shape), torch.randn(outputs, *shape[1:]), torch.randn(outputs)
    diff_dst = torch.randn(shape[0], outputs)

    def reference(src, weights, bias):
        return F.linear(src.flatten(1), weights.flatten(1), bias)

    dst, (diff_src, diff_weights, diff_bias) = differentiate(reference, (src, weights, bias), diff_dst)
    describe = MemoryDesc.of if plain else any_like
    src_desc, weights_desc, dst_desc = describe(src), describe(weights), describe(diff_dst)
    bias_desc = MemoryDesc.of(bias)

    layer = InnerProduct()
    forward = layer.forward(src_desc, weights_desc, bias_desc, dst_desc, training=True)
    by_data = layer.backward_data(forward, src_desc, weights_desc, dst_desc)
    by_weights = layer.backward_weights(forward, src_desc, weights_desc, bias_desc, dst_desc)
    assert_close(Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights, Arg.BIAS: bias})[Arg.DST], dst)
    run = Run(by_data, {Arg.WEIGHTS: weights, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_SRC], diff_src)
    run = Run(by_weights, {Arg.SRC: src, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_WEIGHTS], diff_weights)
    assert_close(run[Arg.DIFF_BIAS], diff_bias)
    for primitive in (forward, by_data, by_weights):
        assert not primitive.is_reference, primitive
        assert primitive.flops == 2 * src.numel() * outputs


@pytest.mark.parametrize(
    "left, right, bias",
    [
        ((5, 7), (7, 3), None),
        ((1, 300), (300, 64), (1, 64)),
        ((6, 5, 7), (6, 7, 3), None),
        ((6, 33, 17), (1, 17, 16), (1, 1, 16)),
        ((2, 3, 8, 5), (2, 3, 5, 8), None),
    ],
    ids=str,
)
@pytest.mark.parametrize("transposed", ["neither", "left", "right", "both"])
def test_matmul_matches_torch(left, right, bias, transposed: str) -> None:
    src, weights = torch.randn(left), torch.randn(right)
    if transposed in ("left", "both"):
        src = src.mT.contiguous().mT
    if transposed in ("right", "both"):
        weights = weights.mT.contiguous().mT
    expected = src.double() @ weights.double()
    given = {Arg.SRC: src, Arg.WEIGHTS: weights}
    if bias:
        given[Arg.BIAS] = torch.randn(bias)
        expected = expected + given[Arg.BIAS].double()
    product = matmul(
        MemoryDesc.of(src),
        MemoryDesc.of(weights),
        MemoryDesc.plain(expected.shape, torch.float32),
        bias=MemoryDesc.of(given[Arg.BIAS]) if bias else None,
    )
    assert_close(Run(product, given)[Arg.DST], expected)
    assert not product.is_reference, product
    assert product.flops == 2 * expected.numel() * left[-1]


def test_matmul_accumulates_and_continues() -> None:
    src, weights, before = torch.randn(16, 24), torch.randn(24, 40), torch.randn(16, 40)
    scale = torch.randn(1, 40)
    product = matmul(
        MemoryDesc.of(src),
        MemoryDesc.of(weights),
        MemoryDesc.of(before),
        post_ops=(Sum(2.0), Eltwise(Algorithm.TANH), Binary(Algorithm.MUL, MemoryDesc.of(scale))),
    )
    given = {Arg.SRC: src, Arg.WEIGHTS: weights, Arg.DST: before, Arg.post_op(2): scale}
    expected = torch.tanh(src.double() @ weights.double() + 2 * before.double()) * scale.double()
    assert_close(Run(product, given)[Arg.DST], expected)


def test_bfloat16() -> None:
    if not supports_bfloat16():
        pytest.skip("this CPU has no bfloat16 instructions")
    half = torch.bfloat16
    src = torch.randn(32, 96).to(half).float()
    weights, diff_dst = torch.randn(48, 96).to(half).float(), torch.randn(32, 48).to(half).float()
    dst, (diff_src, diff_weights) = differentiate(F.linear, (src, weights), diff_dst)
    layer = InnerProduct()
    src_desc, weights_desc, dst_desc = (any_like(tensor, half) for tensor in (src, weights, diff_dst))
    forward = layer.forward(src_desc, weights_desc, None, dst_desc, training=True)
    by_data = layer.backward_data(forward, src_desc, weights_desc, dst_desc)
    by_weights = layer.backward_weights(forward, src_desc, any_like(weights), None, dst_desc)
    assert_close(Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights})[Arg.DST], dst, 2**-8)
    assert_close(Run(by_data, {Arg.WEIGHTS: weights, Arg.DIFF_DST: diff_dst})[Arg.DIFF_SRC], diff_src, 2**-8)
    run = Run(by_weights, {Arg.SRC: src, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_WEIGHTS], diff_weights, 1e-5)
