"""_histogram against NumPy, on edges and outside."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer

X = np.array([[0, 0.25, 0.5, 0.75], [1.0, 1.01, -0.01, 0.3]])


def test_given_edges():
    edges = np.array([0, 0.25, 0.5, 1.0])
    counts, same = call("_histogram", X, edges)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, np.histogram(X, edges)[0])
    np.testing.assert_array_equal(same, edges)


def test_equal_intervals():
    counts, edges = call("_histogram", X, bin_cnt=4, range=(0, 1))
    expected, expected_edges = np.histogram(X, 4, (0, 1))
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(edges, expected_edges)


def test_inference_and_errors():
    assert infer("_histogram", [(2, 3), (5,)])[1] == [(4,), (5,)]
    assert infer("_histogram", [(2, 3), None], [None, (5,)])[0] == [(2, 3), (5,)]
    assert infer("_histogram", [None], bin_cnt=4, range=(0, 1))[1] == [(4,), (5,)]
    for shape in ((1,), (2, 3)):
        with pytest.raises(MXNetError, match="edges"):
            infer("_histogram", [(4,), shape])
    for attrs in ({"bin_cnt": "4"}, {"range": "(0, 1)"}, {"bin_cnt": "0", "range": "(0, 1)"},
                  {"bin_cnt": "2", "range": "(1, 1)"}):  # fmt: skip
        with pytest.raises(MXNetError):
            registry.find("_histogram").parse(attrs)
