"""Normalization within a sample, against its formulas in NumPy."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

RANDOM = np.random.RandomState(0)
DATA = RANDOM.randn(2, 4, 3, 5) * 2 + 1


@pytest.mark.parametrize("axis", [-1, 1, 0])
def test_layer_norm(axis):
    size = DATA.shape[axis]
    gamma, beta = RANDOM.randn(size), RANDOM.randn(size)
    output, mean, deviation = call("LayerNorm", DATA, gamma, beta, axis=axis, eps=0.1, output_mean_var=True)
    np.testing.assert_allclose(mean, DATA.mean(axis, keepdims=True))
    np.testing.assert_allclose(deviation, np.sqrt(DATA.var(axis, keepdims=True) + 0.1))
    along = [-1 if i == axis % 4 else 1 for i in range(4)]
    np.testing.assert_allclose(output, (DATA - mean) / deviation * gamma.reshape(along) + beta.reshape(along))


def test_instance_norm():
    gamma, beta = RANDOM.randn(2, 4, 1, 1)
    output = call("InstanceNorm", DATA, gamma.ravel(), beta.ravel())
    mean, variance = DATA.mean((2, 3), keepdims=True), DATA.var((2, 3), keepdims=True)
    np.testing.assert_allclose(output, (DATA - mean) / np.sqrt(variance + 1e-3) * gamma + beta)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm(groups):
    gamma, beta = RANDOM.randn(2, groups, 1)
    output, mean, deviation = call(
        "GroupNorm", DATA, gamma.ravel(), beta.ravel(), num_groups=groups, output_mean_var=True
    )
    parts = DATA.reshape(2, groups, -1)
    np.testing.assert_allclose(mean, parts.mean(2))
    np.testing.assert_allclose(deviation, np.sqrt(parts.var(2) + 1e-5))
    wanted = (parts - mean[..., None]) / deviation[..., None] * gamma + beta
    np.testing.assert_allclose(output, wanted.reshape(DATA.shape))


@pytest.mark.parametrize(("mode", "axes"), [("instance", (1, 2, 3)), ("channel", (1,)), ("spatial", (2, 3))])
def test_vectors_of_length_one(mode, axes):
    output = call("L2Normalization", DATA, mode=mode, eps=0.5)
    np.testing.assert_allclose(output, DATA / np.sqrt((DATA**2).sum(axes, keepdims=True) + 0.5))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 11])
def test_local_response(size):
    output = call("LRN", DATA, nsize=size, alpha=0.3, beta=0.6, knorm=1.5)
    half = (size - 1) // 2
    for c in range(4):
        squares = (DATA[:, max(0, c - half) : c + half + 1] ** 2).sum(1)
        np.testing.assert_allclose(output[:, c], DATA[:, c] * (1.5 + 0.3 / size * squares) ** -0.6)


@pytest.mark.parametrize("operator", ["LayerNorm", "InstanceNorm", "GroupNorm"])
def test_constant_rows_become_beta(operator):
    data = np.full((2, 3, 4), 5.0)
    size = {"LayerNorm": 4, "InstanceNorm": 3, "GroupNorm": 1}[operator]
    np.testing.assert_allclose(call(operator, data, np.full(size, 2.0), np.full(size, 0.25)), 0.25)


@pytest.mark.parametrize(
    ("operator", "params", "parameter", "statistic"),
    [
        ("LayerNorm", {"axis": 1}, (4,), (2, 1, 3)),
        ("InstanceNorm", {}, (4,), (2, 4)),
        ("GroupNorm", {"num_groups": 2}, (2,), (2, 2)),
    ],
)
def test_inference(operator, params, parameter, statistic):
    told = infer(operator, [(2, 4, 0), None, None], [(0, 0, 3), None, None], **params)
    assert told == ([(2, 4, 3), parameter, parameter], [(2, 4, 3), statistic, statistic])
    assert infer(operator, [None, (5,), None], **params)[0][0] is None


@pytest.mark.parametrize(
    ("operator", "data", "params", "message"),
    [
        ("LayerNorm", (2, 3), {"axis": 2}, "axis 2 is out of range"),
        ("InstanceNorm", (2,), {}, "must have a channel axis"),
        ("GroupNorm", (2, 5, 3), {"num_groups": 2}, "5 channels of the data are no multiple of num_groups=2"),
        ("L2Normalization", (2, 3), {"mode": "channel"}, "needs 3 axes"),
        ("LRN", (4,), {"nsize": 3}, "works over the channels"),
    ],
)
def test_impossible_data_is_refused(operator, data, params, message):
    inputs = [data] if operator in ("L2Normalization", "LRN") else [data, None, None]
    with pytest.raises(MXNetError, match=message):
        infer(operator, inputs, **params)


def test_impossible_parameters_are_refused():
    data = mx.sym.var("data")
    with pytest.raises(MXNetError, match="nsize of LRN must be at least 1, not 0"):
        mx.sym.LRN(data, nsize=0)
    with pytest.raises(MXNetError, match="num_groups of GroupNorm must be at least 1, not 0"):
        mx.sym.GroupNorm(data, num_groups=0)


def test_hidden_outputs_stay_hidden():
    data = mx.sym.var("data")
    for operator in ("LayerNorm", "InstanceNorm", "GroupNorm", "L2Normalization"):
        assert getattr(mx.sym, operator)(data, name="n").list_outputs() == ["n_output"]
    assert mx.sym.LRN(data, nsize=3, name="n").list_outputs() == ["n_output"]
    assert mx.sym.LayerNorm(data, name="n", output_mean_var=True).list_outputs() == ["n_output", "n_mean", "n_std"]
