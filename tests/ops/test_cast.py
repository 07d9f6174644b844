"""Values in another element type."""

import numpy as np

from .interpreter import call, check_gradient

X = np.arange(24.0).reshape(2, 3, 4)


def test_cast_cuts_and_wraps():
    assert call("Cast", np.array([1.7, -1.7, 300.0]), dtype="int32").tolist() == [1, -1, 300]
    assert call("Cast", np.array([44, 300]), dtype="uint8").tolist() == [44, 44]
    assert call("Cast", X.astype("float32"), dtype="float16").dtype == np.float16
    check_gradient("Cast", X[0], dtype="float64")
