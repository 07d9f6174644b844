"""The R tutorial of NDArrays."""

from __future__ import annotations

from pathlib import Path

import symbind as mx


def test_creation() -> None:
    assert (mx.nd.zeros((2, 3), mx.cpu()).asnumpy() == 0).all()
    assert mx.nd.ones((4, 4)).asnumpy().sum() == 16
    assert mx.random.normal(shape=(4, 5)).shape == (4, 5)
    assert mx.nd.array(range(1, 6)).asnumpy().tolist() == [1, 2, 3, 4, 5]


def test_arithmetic() -> None:
    a = mx.nd.ones((2, 4)) * 2
    b = mx.nd.ones((2, 4)) / 8
    c = a + b
    assert (c.asnumpy() == 2.125).all()
    assert (c / a - 5).asnumpy().ravel().tolist() == [-3.9375] * 8


def test_copies_are_on_the_context_they_are_made_for() -> None:
    a = mx.nd.ones((2, 3))
    copy = a.copyto(mx.cpu(1))
    a[:] = 0
    assert copy.context == mx.cpu(1) and (copy.asnumpy() == 1).all()


def test_save_and_load(tmp_path: Path) -> None:
    file = str(tmp_path / "temp.ndarray")
    mx.nd.save(file, [mx.nd.ones((2, 3))])
    [loaded] = mx.nd.load(file)
    assert loaded.shape == (2, 3) and (loaded.asnumpy() == 1).all()


def test_reading_waits_for_the_result() -> None:
    a = mx.nd.ones((2, 2))
    for _ in range(10):
        a += a
    a.wait_to_read()
    mx.nd.waitall()
    assert (a.asnumpy() == 1024).all()
