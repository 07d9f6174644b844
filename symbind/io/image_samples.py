"""What the iterators over record files of images share: their settings, and the pixels and the label of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..pixels import codec
from ..recordio import IRHeader

__all__ = ["check_image_shape", "decode_record", "label_of", "settings_of"]

# Grey; red, green, blue; and alpha with them.
CHANNELS = (1, 3, 4)
# Settings that MXNet knows and that mean nothing here: where its batches are allocated.
MEANINGLESS = {"ctx", "device_id"}


def settings_of(augmentation: type, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keywords among ``given`` that a dataclass of augmentation takes, and those that have no effect at all."""
    names = {field.name for field in fields(augmentation)} - {"data_shape"}
    taken = {name: value for name, value in given.items() if name in names}
    ignored = {name: value for name, value in given.items() if name not in names | MEANINGLESS}
    return taken, ignored


def check_image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """``shape`` itself; MXNetError unless it is (1, 3 or 4, height, width)."""
    if len(shape) != 3 or shape[0] not in CHANNELS or min(shape) < 1:
        raise MXNetError(f"data_shape must be (1, 3 or 4, height, width), got {shape}")
    return shape[0], shape[1], shape[2]


def decode_record(file: bytes, channels: int) -> torch.Tensor:
    """The pixels (height, width, channels) of an image file; MXNetError if 4 channels are wanted and it has others."""
    if channels < 4:
        return torch.from_numpy(codec.decode(file, codec.GRAY if channels == 1 else codec.COLOR))
    pixels = codec.decode(file, codec.AS_IT_IS)
    found = pixels.shape[2] if pixels.ndim == 3 else 1
    if found != channels:
        raise MXNetError(f"Expected {channels} channels, got {found}")
    return torch.from_numpy(pixels)


def label_of(header: IRHeader, listed: Mapping[int, tuple[np.ndarray, str]] | None) -> np.ndarray:
    """The label of a record: that of the list of images, if there is one. MXNetError if it does not name the record."""
    if listed is None:
        return np.array(header.label, np.float32).reshape(-1)
    if header.id not in listed:
        raise MXNetError(f"the list has no image {header.id}")
    return listed[header.id][0]
