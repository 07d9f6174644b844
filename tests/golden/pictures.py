"""What is done to images, as functions that run in both systems: each returns arrays, whatever ``mx`` is.

Both systems draw the same random numbers from Python and NumPy, so that random functions can be compared too.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CASES", "observe", "png", "write_image_records"]

Case = Callable[[Any], Any]


def picture(seed: int = 0, shape: tuple[int, int, int] = (40, 60, 3)) -> np.ndarray:
    """Blocks of noise: something with edges and with flat parts."""
    noise = np.random.RandomState(seed).randint(0, 256, shape)
    return np.where(np.indices(shape[:2]).sum(0)[:, :, None] % 16 < 8, noise, noise[:1, :1]).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of 8-bit colours, grey values, or colours and alpha."""
    height, width, channels = pixels.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_image_records(mx: Any, folder: Path) -> None:
    """``images.rec`` and ``images.idx`` with seven pictures, and ``images.lst`` with other labels for them."""
    file = mx.recordio.MXIndexedRecordIO(str(folder / "images.idx"), str(folder / "images.rec"), "w")
    lines = []
    for i in range(7):
        data = png(picture(i, (24 + i, 32 - i, 3)))
        file.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, float(i), i, 0), data))
        lines.append(f"{i}\t{i}\t{10 * i}\t{i}.png\n")
    file.close()
    (folder / "images.lst").write_text("".join(lines))


def observe(mx: Any, case: Case) -> list[np.ndarray]:
    """The arrays that a case returns, from fixed seeds."""
    random.seed(7)
    np.random.seed(7)
    result = case(mx)
    return [x.asnumpy() if hasattr(x, "asnumpy") else np.asarray(x) for x in _flat(result)]


def _flat(result: Any) -> list[Any]:
    return [x for part in result for x in _flat(part)] if isinstance(result, (list, tuple)) else [result]


def _image(mx: Any, dtype: str = "uint8") -> Any:
    return mx.nd.array(picture(), dtype=dtype)


def _augmented(name: str, *args: Any, dtype: str = "float32") -> Case:
    def case(mx: Any) -> Any:
        augmenter = getattr(mx.image, name)(*args)
        return [augmenter(_image(mx, dtype)) for _ in range(3)]

    return case


CASES: dict[str, Case] = {}
for _channels in (1, 3, 4):
    for _flag in (0, 1):
        CASES[f"decode {_channels} flag {_flag}"] = lambda mx, c=_channels, f=_flag: mx.image.imdecode(
            png(picture(1, (9, 7, c))), flag=f
        )
CASES["decode as BGR"] = lambda mx: mx.image.imdecode(png(picture()), to_rgb=False)
for _size in ((25, 17), (30, 20), (100, 90), (100, 20), (60, 40)):
    for _interp in (0, 1, 2, 3, 4):
        CASES[f"resize {_size} {_interp}"] = lambda mx, s=_size, i=_interp: mx.image.imresize(_image(mx), *s, interp=i)
    CASES[f"random crop {_size}"] = lambda mx, s=_size: mx.image.random_crop(_image(mx), s)
    CASES[f"center crop {_size}"] = lambda mx, s=_size: mx.image.center_crop(_image(mx), s)
for _interp in (0, 1, 3):
    CASES[f"resize float {_interp}"] = lambda mx, i=_interp: mx.image.imresize(_image(mx, "float32"), 25, 17, interp=i)
for _type in range(5):
    CASES[f"border {_type}"] = lambda mx, t=_type: mx.image.copyMakeBorder(_image(mx), 2, 1, 3, 0, type=t, value=7.0)
CASES["border of a colour"] = lambda mx: mx.image.copyMakeBorder(_image(mx), 2, 1, 3, 0, type=0, values=(1.0, 2, 3))
for _arguments in ((10.0,), (-30.0, True), (10.0, False, True), (100.0, False, True), (90.0,)):
    CASES[f"rotate {_arguments}"] = lambda mx, a=_arguments: mx.image.imrotate(
        _image(mx, "float32").transpose((2, 0, 1)), *a
    )
CASES |= {
    "resize_short wide": lambda mx: mx.image.resize_short(_image(mx), 21),
    "resize_short tall": lambda mx: mx.image.resize_short(_image(mx).transpose((1, 0, 2)), 33),
    "scale_down": lambda mx: [
        mx.image.scale_down(a, b)
        for a, b in (((640, 480), (720, 120)), ((360, 1000), (480, 500)), ((60, 40), (100, 100)), ((61, 40), (33, 77)))
    ],
    "fixed_crop": lambda mx: mx.image.fixed_crop(_image(mx), 3, 4, 20, 10),
    "fixed_crop beyond": lambda mx: mx.image.fixed_crop(_image(mx), 50, 4, 20, 10),
    "fixed_crop resized": lambda mx: mx.image.fixed_crop(_image(mx), 3, 4, 20, 10, (33, 8), 1),
    "random_size_crop": lambda mx: mx.image.random_size_crop(_image(mx), (10, 12), (0.1, 0.5), (0.75, 1.33)),
    "random_size_crop least": lambda mx: mx.image.random_size_crop(_image(mx), (10, 12), 0.3, (0.75, 1.33)),
    "random_size_crop hopeless": lambda mx: mx.image.random_size_crop(_image(mx), (10, 12), (0.9, 0.9), (3.0, 3.1)),
    "random_rotate": lambda mx: mx.image.random_rotate(_image(mx, "float32").transpose((2, 0, 1)), (-20, 20)),
    "color_normalize": lambda mx: mx.image.color_normalize(
        _image(mx, "float32"), mx.nd.array([1, 2, 3]), mx.nd.array([4, 5, 6])
    ),
    "brightness": _augmented("BrightnessJitterAug", 0.3),
    "contrast": _augmented("ContrastJitterAug", 0.3),
    "saturation": _augmented("SaturationJitterAug", 0.3),
    "hue": _augmented("HueJitterAug", 0.3),
    "color jitter": _augmented("ColorJitterAug", 0.1, 0.2, 0.3),
    "lighting": _augmented("LightingAug", 0.1, np.array([55.46, 4.794, 1.148]), np.arange(9).reshape(3, 3) / 10),
    "gray": _augmented("RandomGrayAug", 0.5),
    "flip": _augmented("HorizontalFlipAug", 0.5),
    "force resize": _augmented("ForceResizeAug", (20, 25), 1, dtype="uint8"),
    "all": lambda mx: [
        _through(mx.image.CreateAugmenter((3, 20, 24), **settings), _image(mx))
        for settings in (
            {},
            {"resize": 30, "rand_crop": True, "rand_mirror": True, "mean": True, "std": True,
             "inter_method": 0},
            {"rand_crop": True, "rand_resize": True, "brightness": 0.1, "contrast": 0.2, "saturation": 0.1,
             "hue": 0.2, "pca_noise": 0.1, "rand_gray": 0.3, "mean": np.array([1.0, 2, 3]), "inter_method": 0},
        )
    ],
}  # fmt: skip


def _through(augmenters: Any, image: Any) -> Any:
    for augmenter in augmenters:
        image = augmenter(image)
    return image
