"""Grids and sampling against loops over pixels."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer

RANDOM = np.random.default_rng(13)
AFFINE = {"transform_type": "affine", "target_shape": (3, 4)}


def read(plane, y, x):
    """``plane`` at (y, x) by linear interpolation, zeros outside."""
    height, width = plane.shape
    total = 0.0
    for i in (int(np.floor(y)), int(np.floor(y)) + 1):
        for j in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= i < height and 0 <= j < width:
                total += plane[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return total


def sampled(data, grid):
    height, width = data.shape[2:]
    output = np.empty((*data.shape[:2], *grid.shape[2:]))
    for n, c, i, j in np.ndindex(output.shape):
        x, y = grid[n, :, i, j]
        output[n, c, i, j] = read(data[n, c], (y + 1) * (height - 1) / 2, (x + 1) * (width - 1) / 2)
    return output


def test_sampling():
    data, grid = RANDOM.uniform(-1, 1, (2, 3, 4, 5)), RANDOM.uniform(-1.5, 1.5, (2, 2, 3, 4))
    np.testing.assert_allclose(call("BilinearSampler", data, grid), sampled(data, grid), atol=1e-12)


def test_affine_grid():
    matrices = RANDOM.uniform(-1, 1, (2, 2, 3))
    grid = call("GridGenerator", matrices.reshape(2, 6), **AFFINE)
    for n, i, j in np.ndindex(2, 3, 4):
        place = [-1 + 2 * j / 3, -1 + 2 * i / 2, 1]
        np.testing.assert_allclose(grid[n, :, i, j], matrices[n] @ place)


def test_a_grid_that_does_not_move_reads_the_image_itself():
    data = RANDOM.uniform(-1, 1, (2, 3, 4, 5))
    still = call("GridGenerator", np.zeros((2, 2, 4, 5)), transform_type="warp")
    np.testing.assert_allclose(call("BilinearSampler", data, still), data, atol=1e-12)
    left = call("GridGenerator", np.stack([np.ones((1, 4, 5)), np.zeros((1, 4, 5))], 1), transform_type="warp")
    moved = call("BilinearSampler", data[:1], left)
    np.testing.assert_allclose(moved[..., :-1], data[:1, ..., 1:], atol=1e-12)
    np.testing.assert_allclose(moved[..., -1], 0, atol=1e-12)


def test_spatial_transformer_is_both():
    data, matrix = RANDOM.uniform(-1, 1, (2, 3, 4, 5)), RANDOM.uniform(-1, 1, (2, 6))
    grid = call("GridGenerator", matrix, **AFFINE)
    output = call("SpatialTransformer", data, matrix, sampler_type="bilinear", **AFFINE)
    np.testing.assert_allclose(output, sampled(data, grid), atol=1e-12)


def test_inference():
    assert infer("BilinearSampler", [(2, 3, 4, 5), (0, 2, 6, 7)]) == ([(2, 3, 4, 5), (2, 2, 6, 7)], [(2, 3, 6, 7)])
    assert infer("BilinearSampler", [(0, 0, 4, 5), None], [(2, 3, 6, 7)])[0] == [(2, 3, 4, 5), (2, 2, 6, 7)]
    assert infer("GridGenerator", [None], [(2, 2, 3, 4)], **AFFINE)[0] == [(2, 6)]
    assert infer("GridGenerator", [(2, 0, 3, 4)], transform_type="warp")[1] == [(2, 2, 3, 4)]
    both = {"sampler_type": "bilinear", **AFFINE}
    told = infer("SpatialTransformer", [(2, 3, 4, 5), None], **both)
    assert told == ([(2, 3, 4, 5), (2, 6)], [(2, 3, 3, 4), (2, 2, 3, 4)])
    for op, shapes, params in [
        ("BilinearSampler", [(2, 3, 4, 5), (1, 2, 6, 7)], {}),
        ("BilinearSampler", [(2, 3, 4, 5), (2, 3, 6, 7)], {}),
        ("GridGenerator", [(2, 5)], AFFINE),
        ("GridGenerator", [(2, 3, 3, 4)], {"transform_type": "warp"}),
        ("SpatialTransformer", [(2, 3, 4, 5), (1, 6)], both),
    ]:
        with pytest.raises(MXNetError):
            infer(op, shapes, **params)


@pytest.mark.parametrize("name", ["GridGenerator", "SpatialTransformer"])
def test_the_size_must_be_given(name):
    attrs = {"transform_type": "affine"} | ({"sampler_type": "bilinear"} if name == "SpatialTransformer" else {})
    for text in ("(0, 0)", "(3,)"):
        with pytest.raises(MXNetError, match="target_shape"):
            registry.find(name).parse({**attrs, "target_shape": text})
