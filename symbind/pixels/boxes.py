"""Objects in images: their boxes, and the labels that hold them.

Boxes are a NumPy array of shape (objects, 5 or more), with the columns class, left, top, right, bottom and whatever
else the data set tells. The four places are shares of the width and the height, so that resizing changes no box.

The label of an image, as record files and lists hold it, is one row of numbers: how many numbers the header has (2 or
more, these two included), how many describe an object (5 or more), the rest of the header, and the boxes one after
the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import MXNetError

__all__ = ["CORNERS", "areas", "boxes_of_label"]

# Left, top, right and bottom among the columns.
CORNERS = slice(1, 5)
# A header of two numbers and one object of five.
SHORTEST_LABEL = 7


def areas(corners: np.ndarray) -> np.ndarray:
    """The area of each box (left, top, right, bottom); 0 if the corners are exchanged."""
    return np.maximum(0, corners[:, 2] - corners[:, 0]) * np.maximum(0, corners[:, 3] - corners[:, 1])


def boxes_of_label(label: Any) -> np.ndarray:
    """The objects of a raw label, shape (objects, numbers of each), without those of no area.

    MXNetError if the label is too short, cannot be cut into objects, or no object is left.
    """
    raw = np.asarray(label, np.float32).ravel()
    if raw.size < SHORTEST_LABEL:
        raise MXNetError(f"Label shape is invalid: {raw.shape}; at least {SHORTEST_LABEL} numbers are needed")
    header, width = int(raw[0]), int(raw[1])
    if width < 5 or not 2 <= header <= raw.size or (raw.size - header) % width:
        raise MXNetError(
            f"Label shape {raw.shape} inconsistent with annotation width {width} and a header of {header} numbers"
        )
    boxes = raw[header:].reshape(-1, width)
    boxes = boxes[(boxes[:, 3] > boxes[:, 1]) & (boxes[:, 4] > boxes[:, 2])]
    if not len(boxes):
        raise MXNetError("Encounter sample with no valid label.")
    return boxes
