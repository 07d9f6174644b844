"""Seeding, the generators of devices, and the distributions of ``mx.random``."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

import symbind as mx
from symbind import generators

CPU = torch.device("cpu")


@pytest.fixture
def fresh(monkeypatch):
    """As in a process that has drawn nothing yet."""
    monkeypatch.setattr(generators, "_generators", {})
    monkeypatch.setattr(generators, "_initial_seed", 0)


def draw() -> list[float]:
    return torch.rand(4, generator=mx.random.generator(CPU)).tolist()


def test_the_same_seed_gives_the_same_numbers(fresh):
    mx.random.seed(5)
    first = draw()
    assert draw() != first
    mx.random.seed(5)
    assert draw() == first
    mx.random.seed(6)
    assert draw() != first


def test_without_a_seed_every_process_is_the_same(fresh, monkeypatch):
    first = draw()
    monkeypatch.setattr(generators, "_generators", {})
    assert draw() == first


def test_a_seed_holds_for_devices_that_are_used_later(fresh, monkeypatch):
    mx.random.seed(7)
    assert generators._generators == {}
    first = draw()
    mx.random.seed(7)
    assert draw() == first


def test_a_seed_for_one_context(fresh):
    mx.random.seed(8)
    first = draw()
    mx.random.seed(8, ctx=mx.cpu(1))
    assert draw() == first
    assert generators._initial_seed == 8


@pytest.mark.parametrize("state", [-3, 2**63, 2**64 + 1, np.int64(4)])
def test_any_integer_is_a_seed(fresh, state):
    mx.random.seed(state)
    first = draw()
    mx.random.seed(int(state))
    assert draw() == first


def test_bad_seeds():
    for state in ("1", 1.5, None):
        with pytest.raises(ValueError, match="seed_state must be int"):
            mx.random.seed(state)
    with pytest.raises(TypeError, match="'everywhere'"):
        mx.random.seed(1, ctx="everywhere")


def test_threads_share_one_generator(fresh):
    barrier, seen = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        seen.append(mx.random.generator(CPU))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(generator) for generator in seen}) == 1


N = 40000
# Draws, and the mean and variance they must have.
DISTRIBUTIONS = {
    "uniform": (lambda: mx.random.uniform(-1, 3, shape=N), 1, 16 / 12),
    "normal": (lambda: mx.random.normal(2, 3, shape=N), 2, 9),
    "randn": (lambda: mx.random.randn(200, 200, loc=-1, scale=0.5), -1, 0.25),
    "gamma": (lambda: mx.random.gamma(4, 0.5, shape=N), 2, 1),
    "exponential": (lambda: mx.random.exponential(3, shape=N), 3, 9),
    "poisson": (lambda: mx.random.poisson(4, shape=N), 4, 4),
    "negative_binomial": (lambda: mx.random.negative_binomial(3, 0.4, shape=N), 4.5, 11.25),
    "generalized_negative_binomial": (lambda: mx.random.generalized_negative_binomial(2, 0.5, shape=N), 2, 4),
    "randint": (lambda: mx.random.randint(-2, 3, shape=N), 0, 2),
    "multinomial": (lambda: mx.random.multinomial(mx.nd.array([0.25, 0, 0.75]), shape=N), 1.5, 0.75),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_mean_and_variance(name):
    mx.random.seed(1)
    sample, mean, variance = DISTRIBUTIONS[name]
    values = sample().asnumpy().astype("float64")
    assert abs(values.mean() - mean) < 5 * np.sqrt(variance / N)
    assert abs(values.var() / variance - 1) < 0.1


def test_types_shapes_and_contexts():
    assert mx.random.uniform().shape == (1,)
    assert mx.random.uniform(0, 1, (2, 3)).shape == (2, 3)
    assert mx.random.uniform(shape=2).dtype is np.float32
    assert mx.random.uniform(shape=2, dtype="float64").dtype is np.float64
    assert mx.random.randint(0, 9, shape=2).dtype is np.int32
    assert mx.random.randint(0, 9, shape=2, dtype=np.int64).dtype is np.int64
    assert mx.random.normal(shape=2, ctx=mx.cpu(1)).context == mx.cpu(1)
    with mx.cpu(2):
        assert mx.random.normal(shape=2).context == mx.cpu(2)


def test_out_is_filled_and_returned():
    out = mx.nd.zeros((2, 3))
    assert mx.random.uniform(1, 2, out=out) is out
    assert (out.asnumpy() >= 1).all()


def test_one_distribution_for_each_element_of_the_parameters():
    low, high = mx.nd.array([0, 10]), mx.nd.array([1, 11])
    values = mx.random.uniform(low, high, shape=50).asnumpy()
    assert values.shape == (2, 50)
    assert (values[0] < 1).all()
    assert (values[1] >= 10).all()
    assert mx.random.exponential(mx.nd.array([1.0, 2.0])).shape == (2,)


def test_multinomial_with_probabilities():
    index, log_probability = mx.random.multinomial(mx.nd.array([[0.1, 0.9], [1, 0]]), get_prob=True)
    expected = np.log([[0.1, 0.9], [1, 1]])[[0, 1], index.asnumpy()]
    np.testing.assert_allclose(log_probability.asnumpy(), expected, rtol=1e-5)


def test_shuffle_keeps_the_rows():
    rows = mx.nd.arange(40).reshape((20, 2))
    shuffled = mx.random.shuffle(rows).asnumpy()
    assert (shuffled != rows.asnumpy()).any()
    np.testing.assert_array_equal(np.sort(shuffled[:, 0]), rows.asnumpy()[:, 0])
    np.testing.assert_array_equal(shuffled[:, 1], shuffled[:, 0] + 1)


def test_parameters_of_a_wrong_kind():
    with pytest.raises(ValueError, match="all NDArrays or all numbers, but got str, int"):
        mx.random.uniform("a", 1)
    with pytest.raises(ValueError, match="but got int, NDArray"):
        mx.random.normal(0, mx.nd.ones((2,)))
    with pytest.raises(ValueError, match="but got str"):
        mx.random.exponential("a")


def test_the_functions_are_those_of_nd():
    for name in ("uniform", "normal", "randn", "multinomial", "shuffle"):
        assert getattr(mx.random, name) is getattr(mx.nd.random, name)
