"""Statistical tests of generators, against SciPy's numbers and generators that are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import symbind as mx
from symbind import test_utils as tu

RANDOM = np.random.RandomState(3)
BUCKETS, PROBS = tu.gen_buckets_probs_with_ppf(stats.norm.ppf, 5)


def normal(count):
    return RANDOM.normal(size=count)


def test_buckets():
    assert BUCKETS[0][0] == -math.inf and BUCKETS[-1][1] == math.inf
    assert [stats.norm.cdf(high) - stats.norm.cdf(low) for low, high in BUCKETS] == pytest.approx(PROBS)
    with pytest.raises(ValueError, match="positive"):
        tu.gen_buckets_probs_with_ppf(stats.norm.ppf, 0)


def test_chi_square_of_intervals():
    samples = normal(1000)
    p, seen, expected = tu.chi_square_check(lambda n: samples, BUCKETS, PROBS, 1000)
    np.testing.assert_array_equal(seen, np.histogram(samples, [low for low, _ in BUCKETS] + [math.inf])[0])
    np.testing.assert_allclose(expected, 200)
    assert p == pytest.approx(stats.chisquare(seen, expected).pvalue)


def test_chi_square_of_single_values():
    samples = RANDOM.choice([0, 1, 5], 1000, p=[0.5, 0.25, 0.25])
    p, seen, _ = tu.chi_square_check(lambda n: mx.nd.array(samples).asnumpy(), [0, 1, 5], [0.5, 0.25, 0.25], 1000)
    np.testing.assert_array_equal(seen, np.bincount(samples)[[0, 1, 5]])
    assert p == pytest.approx(stats.chisquare(seen, [500, 250, 250]).pvalue)


def test_samples_between_buckets_belong_to_none():
    _, seen, _ = tu.chi_square_check(lambda n: [0.5, 1.5, 2.5, 2.7, 9], [(0, 1), (2, 3)], [0.5, 0.5], 5)
    np.testing.assert_array_equal(seen, [1, 2])


def test_buckets_must_make_sense():
    with pytest.raises(ValueError, match="overlap"):
        tu.chi_square_check(normal, [(0, 2), (1, 3)], [0.5, 0.5], 10)
    with pytest.raises(ValueError, match="2 buckets, but 1"):
        tu.chi_square_check(normal, [(0, 1), (1, 3)], [1.0], 10)


def test_verify_generator():
    values = tu.verify_generator(normal, BUCKETS, PROBS, 2000, 3)
    assert len(values) == 3
    with pytest.raises(AssertionError, match="chi-square"):
        tu.verify_generator(lambda n: normal(n) + 0.5, BUCKETS, PROBS, 2000, 3)


def test_moments():
    assert tu.mean_check(lambda n: normal(n) * 2 + 1, 1, 2, 10000)
    assert not tu.mean_check(lambda n: normal(n) * 2 + 1.2, 1, 2, 10000)
    assert tu.var_check(lambda n: normal(n) * 2 + 1, 2, 10000)
    assert not tu.var_check(lambda n: normal(n) * 2.2, 2, 10000)
