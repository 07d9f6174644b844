"""Hue, lightness and saturation against Python's colorsys, which has them in floating point."""

import colorsys

import numpy as np
import torch

from symbind.pixels.hls import from_hls, shifted, to_hls

COLORS = np.random.default_rng(0).integers(0, 256, (500, 3), np.uint8)
COLORS[:5] = [[0, 0, 0], [255, 255, 255], [90, 90, 90], [255, 0, 0], [0, 0, 255]]


def test_conversion() -> None:
    expected = np.array([colorsys.rgb_to_hls(*color / 255) for color in COLORS]) * (180, 255, 255)
    got = to_hls(torch.from_numpy(COLORS)).numpy().astype(float)
    apart = abs(got - expected)
    apart[:, 0] = np.minimum(apart[:, 0], 180 - apart[:, 0])
    assert apart.max() <= 0.5 + 1e-3


def test_conversion_back() -> None:
    codes = np.random.default_rng(1).integers(0, 181, (500, 3), np.uint8)
    expected = np.array([colorsys.hls_to_rgb(*code) for code in codes / (180, 255, 255)]) * 255
    np.testing.assert_allclose(from_hls(torch.from_numpy(codes)).numpy(), expected, atol=0.5 + 1e-3)


def test_shifts_stay_within_limits() -> None:
    colors = torch.from_numpy(COLORS)
    assert (shifted(colors, 0, 255, 0) == 255).all()
    assert (shifted(colors, 0, -255, 0) == 0).all()
    grey = shifted(colors, 0, 0, -255)
    assert (grey == grey[:, :1]).all()
    np.testing.assert_allclose(shifted(colors, 0, 0, 0).numpy().astype(int), COLORS, atol=6)
