"""Augmenters: their settings, their distributions, and that they leave their input alone."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

import symbind as mx
from symbind import image as I


def picture(dtype: str = "float32") -> mx.nd.NDArray:
    return mx.nd.array(np.random.default_rng(0).integers(0, 256, (20, 30, 3)), dtype=dtype)


def test_settings_are_written_as_mxnet_does() -> None:
    assert I.RandomSizedCropAug((20, 25), 0.5, (0.5, 1)).dumps() == (
        '["randomsizedcropaug", {"size": [20, 25], "area": 0.5, "ratio": [0.5, 1], "interp": 2}]'
    )
    assert I.CastAug().dumps() == '["castaug", {"type": "float32"}]'
    assert I.ColorNormalizeAug([1, 2, 3], None).dumps() == '["colornormalizeaug", {"mean": [1, 2, 3], "std": null}]'
    assert I.ColorJitterAug(0.1, 0, 0.3).dumps() == [
        "colorjitteraug",
        ['["brightnessjitteraug", {"brightness": 0.1}]', '["saturationjitteraug", {"saturation": 0.3}]'],
    ]
    name, settings = json.loads(I.CreateAugmenter((3, 8, 8), mean=True)[-1].dumps())
    assert name == "colornormalizeaug"
    np.testing.assert_allclose(settings["mean"], [123.68, 116.28, 103.53], 1e-6)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, "CenterCrop Cast"),
        (
            {"resize": 30, "rand_crop": True, "rand_mirror": True, "mean": True, "std": True},
            "Resize RandomCrop HorizontalFlip Cast ColorNormalize",
        ),
        (
            {"rand_crop": True, "rand_resize": True, "brightness": 0.1, "hue": 0.1, "pca_noise": 0.1, "rand_gray": 0.1},
            "RandomSizedCrop Cast ColorJitter HueJitter Lighting RandomGray",
        ),
    ],
)
def test_the_usual_order(settings: dict, names: str) -> None:
    made = I.CreateAugmenter((3, 8, 8), **settings)
    assert [type(a).__name__ for a in made] == [f"{name}Aug" for name in names.split()]


def test_contradictions() -> None:
    with pytest.raises(ValueError, match="rand_resize needs rand_crop"):
        I.CreateAugmenter((3, 8, 8), rand_resize=True)
    with pytest.raises(ValueError, match="data_shape"):
        I.CreateAugmenter((8, 8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mean must hold one number or three"):
        I.CreateAugmenter((3, 8, 8), mean=np.ones(4))
    with pytest.raises(mx.MXNetError, match="uint8"):
        I.HueJitterAug(0.1)(picture("uint8"))


def test_the_input_is_not_changed() -> None:
    source = picture()
    before = source.asnumpy()
    for augmenter in I.CreateAugmenter(
        (3, 20, 30), brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5, pca_noise=0.5, rand_gray=1, mean=True
    ):
        augmenter(source)
    np.testing.assert_array_equal(source.asnumpy(), before)


def test_flips_and_orders_are_random() -> None:
    random.seed(0)
    source = picture()
    flipped = sum((I.HorizontalFlipAug(0.3)(source).asnumpy() != source.asnumpy()).any() for _ in range(300))
    assert 60 < flipped < 120
    orders = set()

    class Step(I.Augmenter):
        def __init__(self, number: int) -> None:
            super().__init__(number=number)
            self.number = number

        def __call__(self, src: list) -> list:  # type: ignore[override]
            return [*src, self.number]

    both = I.RandomOrderAug([Step(1), Step(2)])
    for _ in range(50):
        orders.add(tuple(both([])))  # type: ignore[arg-type]
    assert orders == {(1, 2), (2, 1)}
