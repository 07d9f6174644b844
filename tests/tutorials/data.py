"""Real data that come with packages, in place of what the tutorials downloaded."""

from __future__ import annotations

import functools

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

__all__ = ["cancer", "diabetes", "digits", "in_frames"]


def _scaled(x: np.ndarray) -> np.ndarray:
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32)


@functools.cache
def cancer() -> tuple[np.ndarray, np.ndarray]:
    """569 samples of 30 features, each of mean 0 and variance 1, and whether they are benign."""
    x, y = load_breast_cancer(return_X_y=True)
    return _scaled(x), y.astype(np.float32)


@functools.cache
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 samples of 10 features, and how the disease went on; all of mean 0 and variance 1."""
    x, y = load_diabetes(return_X_y=True)
    return _scaled(x), _scaled(y)


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1797 images of 8 by 8 pixels in [0, 1], and which digit each shows; mixed, as they come writer by writer."""
    x, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(x))
    return (x[order].reshape(-1, 8, 8) / 16).astype(np.float32), y[order].astype(np.float32)


def in_frames(images: np.ndarray) -> np.ndarray:
    """Images of 8 by 8 as 28 by 28, as those of MNIST are: each pixel three times as wide, and a frame of 2."""
    return np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))[:, None]
