"""Whether a generator of random numbers has the distribution that it should.

A generator is a function that returns ``n`` independent samples for a number ``n``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

__all__ = ["chi_square_check", "gen_buckets_probs_with_ppf", "mean_check", "var_check", "verify_generator"]

Generator = Callable[[int], Any]


def mean_check(generator: Generator, mu: float, sigma: float, nsamples: int = 1_000_000) -> bool:
    r"""Whether the mean of ``nsamples`` samples lies within :math:`\mu \pm 3\sigma/\sqrt n`, as 99.7 % of means do."""
    samples = _samples(generator, nsamples)
    return bool(abs(samples.mean() - mu) < 3 * sigma / np.sqrt(nsamples))


def var_check(generator: Generator, sigma: float, nsamples: int = 1_000_000) -> bool:
    r"""Whether the variance of normal samples lies within :math:`\sigma^2 \pm 3\sqrt{2\sigma^4/(n-1)}`."""
    samples = _samples(generator, nsamples)
    return bool(abs(samples.var(ddof=1) - sigma**2) < 3 * np.sqrt(2 * sigma**4 / (nsamples - 1)))


def gen_buckets_probs_with_ppf(
    ppf: Callable[[float], float], nbuckets: int
) -> tuple[list[tuple[float, float]], list[float]]:
    """``nbuckets`` intervals of equal probability, and these, for a distribution given by its quantile function."""
    if nbuckets <= 0:
        raise ValueError(f"nbuckets must be positive, not {nbuckets}")
    edges = [ppf(i / nbuckets) for i in range(nbuckets + 1)]
    return list(pairwise(edges)), [1.0 / nbuckets] * nbuckets


def chi_square_check(
    generator: Generator, buckets: Sequence[Any], probs: Sequence[float], nsamples: int = 1_000_000
) -> tuple[float, np.ndarray, np.ndarray]:
    r"""Pearson's chi-square test of the hypothesis that samples fall into ``buckets`` with ``probs``.

    With :math:`o_i` samples seen and :math:`e_i` expected in bucket i, :math:`\sum_i (o_i - e_i)^2 / e_i` of a right
    generator has the chi-square distribution with one degree of freedom less than there are buckets (K. Pearson, 1900).

    Parameters
    ----------
    buckets : intervals ``(low, high)`` in ascending order, or the single values of a discrete distribution.
    probs : the probability of each.

    Returns
    -------
    p, seen, expected : the probability of a deviation at least as large, and how many samples each bucket has got and
        should have got. The larger ``p`` is, the less there is to object to.

    Raises ValueError if buckets overlap, or if there is not one probability for each.
    """
    if len(probs) != len(buckets):
        raise ValueError(f"There are {len(buckets)} buckets, but {len(probs)} probabilities")
    samples = _samples(generator, nsamples)
    if isinstance(buckets[0], (list, tuple)):
        edges = np.asarray(buckets, np.float64).reshape(-1)
        if np.any(edges[1:] < edges[:-1]):
            raise ValueError(f"Buckets must be in ascending order and not overlap: {buckets}")
        # The lower edge of bucket i is edge 2i; what falls between two buckets has an odd number.
        position = np.searchsorted(edges, samples, side="right") - 1
        seen = np.array([(position == 2 * i).sum() for i in range(len(buckets))])
    else:
        seen = np.array([(samples == value).sum() for value in buckets])
    expected = nsamples * np.asarray(probs, np.float64)
    statistic = ((seen - expected) ** 2 / expected).sum()
    half = torch.tensor([(len(buckets) - 1) / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1])), seen, expected


def verify_generator(
    generator: Generator,
    buckets: Sequence[Any],
    probs: Sequence[float],
    nsamples: int = 1_000_000,
    nrepeat: int = 5,
    success_rate: float = 0.2,
    alpha: float = 0.05,
) -> list[float]:
    """The ``p`` of ``nrepeat`` chi-square tests; see :func:`chi_square_check`.

    AssertionError if less than a part ``success_rate`` of them is above ``alpha``.
    """
    results = [chi_square_check(generator, buckets, probs, nsamples) for _ in range(nrepeat)]
    values = [p for p, _, _ in results]
    if sum(p > alpha for p in values) < nrepeat * success_rate:
        seen = "\n".join(str(seen.tolist()) for _, seen, _ in results)
        raise AssertionError(
            f"The generator does not have the distribution: chi-square p={values}\nbuckets: {buckets}\n"
            f"expected: {results[0][2].tolist()}\nseen:\n{seen}"
        )
    return values


def _samples(generator: Generator, count: int) -> np.ndarray:
    samples = generator(count)
    return np.asarray(samples, np.float64).reshape(-1)
