"""Rectangles: their overlap, suppression of the weaker of two that overlap, matching, and encoding against anchors.

A box is four numbers along the last axis: ``corner`` is (left, top, right, bottom), ``center`` is (x, y, width,
height). What is chosen greedily here (the best box, the best pair) decides about all that comes after it, so these
choices are loops; they run on what is left of the boxes, which becomes less with every one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Bool, Enum, Float, Int, Param
from .shapes import merge

__all__ = ["best_pairs", "center", "corners", "keep_best", "overlaps"]

_FORMAT = Enum("center", "corner")


# ---- geometry -----------------------------------------------------------------------------------


def corners(boxes: torch.Tensor, kind: str = "center") -> torch.Tensor:
    """``boxes`` (…, 4), which are of this kind, as corners."""
    if kind == "corner":
        return boxes
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((middle - half, middle + half), -1)


def center(boxes: torch.Tensor) -> torch.Tensor:
    """``boxes`` (…, 4) given as corners, as center and size."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) / 2, high - low), -1)


def overlaps(first: torch.Tensor, second: torch.Tensor, extra: float = 0.0) -> torch.Tensor:
    """Intersection over union of boxes given as corners, whose shapes are broadcast; 0 where they do not meet.

    With ``extra=1`` the corners are pixels which belong to the box, so that a box from 3 to 3 is one pixel wide.
    """
    (left, top, right, bottom), (other_left, other_top, other_right, other_bottom) = first.unbind(-1), second.unbind(-1)
    width = torch.minimum(right, other_right).sub_(torch.maximum(left, other_left)).add_(extra).clamp_min_(0)
    height = torch.minimum(bottom, other_bottom).sub_(torch.maximum(top, other_top)).add_(extra).clamp_min_(0)
    common = width.mul_(height)
    areas = [(boxes[..., 2:] - boxes[..., :2] + extra).clamp_min_(0).prod(-1) for boxes in (first, second)]
    union = torch.add(*areas).sub_(common)
    return torch.where(common > 0, common / union, common)


# Boxes that are compared with all others at once, in keep_best.
_BLOCK = 64


def keep_best(
    boxes: torch.Tensor,
    suppresses: Callable[[torch.Tensor], torch.Tensor],
    groups: torch.Tensor | None = None,
    extra: float = 0.0,
    limit: int | None = None,
) -> torch.Tensor:
    """Positions of the ``boxes`` (K, 4), corners and best first, that no better one suppresses; at most ``limit``.

    ``suppresses`` tells from overlaps which are too much. Only boxes of the same group suppress each other.
    """
    # Which box comes next is decided one by one, with a few small steps for each: they are a CPU's work.
    device, boxes = boxes.device, boxes.cpu()
    groups = None if groups is None else groups.cpu()
    rest = torch.arange(len(boxes))
    kept: list[int] = []
    while len(rest) and (limit is None or len(kept) < limit):
        block = rest[:_BLOCK]
        too_close = suppresses(overlaps(boxes[block].unsqueeze(1), boxes[rest], extra))
        if groups is not None:
            too_close &= groups[block].unsqueeze(1) == groups[rest]
        gone = np.zeros(len(rest), bool)
        for i, (box, rivals) in enumerate(zip(block.tolist(), too_close.numpy())):
            if not gone[i]:
                kept.append(box)
                gone |= rivals
        rest = rest[_BLOCK:][~torch.from_numpy(gone[_BLOCK:])]
    return torch.tensor(kept[:limit], dtype=torch.int64, device=device)


def best_pairs(scores: torch.Tensor, threshold: float, limit: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """One-to-one matches of rows and columns of ``scores`` (B, R, C): the best pair, then the best of those left, ….

    Returns the column of each row (B, R) and the row of each column (B, C), -1 for those without a partner. Only
    scores above ``threshold`` match; of equal scores the first in memory goes first.
    """
    batch, rows, columns = scores.shape
    left = scores.to(copy=True)
    number = torch.arange(batch, device=scores.device)
    # The last place of each is for what is not to be written.
    column_of = torch.full((batch, rows + 1), -1, device=scores.device)
    row_of = torch.full((batch, columns + 1), -1, device=scores.device)
    for _ in range(min(rows, columns, rows if limit is None else limit)):
        best, place = left.view(batch, -1).max(1)
        found = best > threshold
        row, column = place // columns, place % columns
        column_of[number, row.where(found, rows)] = column
        row_of[number, column.where(found, columns)] = row
        left[number, row] = -torch.inf
        left[number, :, column] = -torch.inf
    return column_of[:, :-1], row_of[:, :-1]


# ---- overlap ------------------------------------------------------------------------------------


@register
class BoxIoU(Operator):
    r"""Intersection over union of every box with every other: :math:`\frac{|a ∩ b|}{|a ∪ b|}`, 0 where they are apart.

    Shapes: ``lhs`` :math:`(…, 4)`, ``rhs`` :math:`(…', 4)`, output :math:`(…, …')`. The gradient is zero.
    """

    name = "_contrib_box_iou"
    inputs = ("lhs", "rhs")
    zero_gradient = True
    format = Param(_FORMAT, "corner", "Whether a box is (left, top, right, bottom) or (x, y, width, height).")

    def infer_shape(self, p, inputs, outputs):
        for shape in inputs:
            if shape is not None and (not shape or shape[-1] not in (0, 4)):
                raise MXNetError(f"Boxes of box_iou should have 4 numbers along the last axis, but have shape {shape}")
        if None in inputs:
            return inputs, outputs
        return [(*shape[:-1], 4) for shape in inputs], [merge(outputs[0], (*inputs[0][:-1], *inputs[1][:-1]))]

    def kernel(self, p, inputs, outputs, env):
        left, right = (boxes.view(-1, 4) for boxes in inputs)
        output = outputs[0].view(len(left), len(right))

        def run() -> None:
            output.copy_(overlaps(corners(left, p.format).unsqueeze(1), corners(right, p.format)))

        return run


# ---- suppression --------------------------------------------------------------------------------


@register
class BoxNMS(Operator):
    r"""Non-maximum suppression: of two boxes that overlap, the one with the smaller score goes.

    The boxes of each sample are sorted by score; each that is still there removes those behind it which overlap it by
    more than ``overlap_thresh``, unless they have another id. Boxes that stay move to the front; what is behind them
    is -1 throughout. Not considered at all are boxes with a score not above ``valid_thresh``, with the background's
    id, and behind the first ``topk``.

    Shapes: ``data`` :math:`(…, N, k)` with at least the score and four coordinates among the :math:`k` numbers of a
    box; output the same. The gradient of a box that stayed goes where the box came from, unchanged even if
    ``out_format`` is another than ``in_format``; removed boxes get zero.

    Raises MXNetError if the places of score, id and coordinates are not in a box, or the same.
    """

    name = "_contrib_box_nms"
    aliases = ("_contrib_box_non_maximum_suppression",)
    outputs = ("output0", "output1")
    overlap_thresh = Param(Float, 0.5, "Overlap above which the box with the smaller score goes.")
    valid_thresh = Param(Float, 0.0, "Scores must be above this.")
    topk = Param(Int, -1, "How many of the best boxes are considered; -1 for all.")
    coord_start = Param(Int, 2, "Place of the first of the four coordinates in a box.")
    score_index = Param(Int, 1, "Place of the score in a box.")
    id_index = Param(Int, -1, "Place of the id of its class in a box; -1 if it has none.")
    background_id = Param(Int, -1, "Id of the background, whose boxes go.")
    force_suppress = Param(Bool, False, "Let boxes of different classes suppress each other.")
    in_format = Param(_FORMAT, "corner", "Whether a box comes as (left, top, right, bottom) or (x, y, width, height).")
    out_format = Param(_FORMAT, "corner", "As in_format, for the output.")
    samples = (
        Sample((2, 3, 6), values={0: [
            0.5, 0.9, 0, 0, 1, 1,  0.5, 0.8, 0, 0.1, 1, 1,  1.5, 0.5, 0, 0, 1, 1,
            0.5, 0.3, 0, 0, 2, 1,  1.5, 0.6, 0, 0.1, 2, 1,  1.5, 0.7, 3, 0, 4, 1,
        ]}, id_index=0),
        Sample((3, 5), values={0: [0.2, 0, 0, 1, 1,  0.8, 0, 0.1, 1, 1,  0.5, 3, 0, 1, 1]},
               coord_start=1, score_index=0, in_format="center", out_format="center", topk=2),
    )  # fmt: skip

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        if data is None:
            return [None], [None, outputs[1]]
        if len(data) < 2:
            raise MXNetError(f"Data of box_nms should have 2 axes at least, boxes and their numbers, but is {data}")
        if data[-1]:
            self.check_places(p, data[-1])
        return [data], [data, data[:-1]]

    @staticmethod
    def check_places(p: Any, width: int) -> None:
        coordinates = range(p.coord_start, p.coord_start + 4)
        for name in ("score_index", "id_index"):
            place = getattr(p, name)
            if name == "id_index" and place < 0:
                continue
            if not 0 <= place < width or place in coordinates or (name == "id_index" and place == p.score_index):
                raise MXNetError(
                    f"{name}={place} of box_nms must be one of the {width} places of a box, and no other's: the "
                    f"coordinates are at {list(coordinates)}, the score at {p.score_index}"
                )
        if p.coord_start < 0 or p.coord_start + 4 > width:
            raise MXNetError(f"coord_start={p.coord_start} of box_nms leaves the {width} numbers of a box")

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype], [dtype, torch.int64]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_contrib_box_nms", dy[0], y[1])]

    def kernel(self, p, inputs, outputs, env):
        *_, count, width = inputs[0].shape
        data, output = inputs[0].view(-1, count, width), outputs[0].view(-1, count, width)
        places = outputs[1].view(-1, count)
        coordinates = slice(p.coord_start, p.coord_start + 4)
        topk = count if p.topk < 0 else p.topk

        def survivors(boxes: torch.Tensor) -> torch.Tensor:
            """Positions of the boxes that stay, best first."""
            score = boxes[:, p.score_index]
            valid = score > p.valid_thresh
            if p.id_index >= 0:
                valid &= boxes[:, p.id_index] != p.background_id
            candidates = valid.nonzero().squeeze(1)
            order = candidates[score[candidates].argsort(descending=True, stable=True)[:topk]]
            boxes = boxes[order]
            groups = None if p.force_suppress or p.id_index < 0 else boxes[:, p.id_index].trunc()
            sides = corners(boxes[:, coordinates], p.in_format)
            return order[keep_best(sides, lambda overlap: overlap > p.overlap_thresh, groups)]

        def run() -> None:
            output.fill_(-1)
            places.fill_(-1)
            for sample, boxes in enumerate(data):
                kept = survivors(boxes)
                chosen = boxes[kept]
                if p.in_format != p.out_format:
                    convert = corners if p.out_format == "corner" else center
                    chosen[:, coordinates] = convert(chosen[:, coordinates])
                output[sample, : len(kept)] = chosen
                places[sample, : len(kept)] = kept

        def unchanged() -> None:
            output.copy_(data)
            places.copy_(torch.arange(count, device=env.device).expand_as(places))

        return run if topk else unchanged


@register
class BoxNMSGradient(Operator):
    """Gradient of box_nms: head gradients go back to where their boxes came from."""

    name = "_backward_contrib_box_nms"
    inputs = ("head_grad", "places")
    samples = (Sample((1, 3, 5), (1, 3), values={1: [2, 0, -1]}, integer=(1,)),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        return [data, None if data is None else data[:-1]], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, torch.int64], [dtype]

    def kernel(self, p, inputs, outputs, env):
        *_, count, width = outputs[0].shape
        head, output, places = inputs[0].view(-1, count, width), outputs[0].view(-1, count, width), inputs[1]
        # Behind the boxes of a sample there is a place for gradients that go nowhere.
        padded = head.new_empty(len(head), count + 1, width)
        target = torch.empty(places.view(-1, count).shape, dtype=torch.int64, device=env.device)

        def run() -> None:
            torch.remainder(places.view_as(target), count + 1, out=target)
            padded.zero_().scatter_(1, target.unsqueeze(2).expand_as(head), head)
            output.copy_(padded[:, :-1])

        return run


# ---- matching -----------------------------------------------------------------------------------


@register
class BipartiteMatching(Operator):
    r"""Greedy matching of rows and columns by their scores.

    The best score of a row and a column that are both free makes them partners, as long as it is above ``threshold``
    (below it if ``is_ascend``, where the smallest score is the best).

    Shapes: ``data`` :math:`(…, N, M)`; outputs: the column of each row :math:`(…, N)` and the row of each column
    :math:`(…, M)`, -1 for those without a partner. The gradient is zero.
    """

    name = "_contrib_bipartite_matching"
    outputs = ("output0", "output1")
    zero_gradient = True
    is_ascend = Param(Bool, False, "Take the smallest scores first.")
    threshold = Param(Float, doc="Scores must be above it, or below it if is_ascend.")
    topk = Param(Int, -1, "Largest number of matches; -1 for any.")
    samples = (Sample((2, 2, 3), threshold=0.0),)

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        if len(data) < 2:
            raise MXNetError(f"Data of bipartite_matching should have 2 axes at least, but has shape {data}")
        return inputs, [merge(outputs[0], data[:-1]), merge(outputs[1], (*data[:-2], data[-1]))]

    def kernel(self, p, inputs, outputs, env):
        *_, rows, columns = inputs[0].shape
        scores = inputs[0].view(-1, rows, columns)
        sign = -1 if p.is_ascend else 1
        limit = p.topk if p.topk > 0 else None

        def run() -> None:
            for output, partners in zip(outputs, best_pairs(scores * sign, p.threshold * sign, limit)):
                output.copy_(partners.view_as(output))

        return run


# ---- encoding -----------------------------------------------------------------------------------


@register
class BoxEncode(Operator):
    r"""What a network shall predict for anchors, so that :class:`BoxDecode` finds the boxes they are matched with.

    For the box :math:`b` of a positive sample and its anchor :math:`a`, as centers and sizes,

    .. math:: t = \left( \frac{b_x - a_x}{a_w},\; \frac{b_y - a_y}{a_h},\; \ln\frac{b_w}{a_w},\;
              \ln\frac{b_h}{a_h} \right),\qquad y = \frac{t - means}{stds};

    zero for other samples. The second output is 1 for positive samples, 0 for others.

    Shapes: ``samples`` (positive above 0.5) and ``matches`` (positions in ``refs``) :math:`(B, N)`, ``anchors``
    :math:`(B, N, 4)` and ``refs`` :math:`(B, M, 4)` as corners, ``means`` and ``stds`` :math:`(4)`, outputs
    :math:`(B, N, 4)`. The gradient is zero.
    """

    name = "_contrib_box_encode"
    inputs = ("samples", "matches", "anchors", "refs", "means", "stds")
    outputs = ("output0", "output1")
    zero_gradient = True

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        samples, matches, anchors, refs, means, stds = inputs
        pairs = merge(samples, matches)
        for told in (anchors, *outputs):
            pairs = merge(pairs, None if told is None else told[:-1])
        encoded = merge(anchors, None if pairs is None else (*pairs, 4))
        if refs is not None and pairs is not None:
            refs = merge(refs, (pairs[0], 0, 4))
        return [pairs, pairs, encoded, refs, merge(means, (4,)), merge(stds, (4,))], [encoded, encoded]

    def kernel(self, p, inputs, outputs, env):
        samples, matches, anchors, refs, means, stds = inputs

        def run() -> None:
            chosen = refs.gather(1, matches.long().unsqueeze(2).expand_as(anchors))
            box, anchor = center(chosen), center(anchors)
            shift = (box[..., :2] - anchor[..., :2]) / anchor[..., 2:]
            encoded = torch.cat((shift, torch.log(box[..., 2:] / anchor[..., 2:])), -1)
            positive = (samples > 0.5).unsqueeze(2)
            outputs[0].copy_(torch.where(positive, encoded.sub_(means).div_(stds), 0))
            outputs[1].copy_(positive.expand_as(outputs[1]))

        return run


@register
class BoxDecode(Operator):
    r"""Boxes from what a network predicts for anchors: the inverse of :class:`BoxEncode`, with means of zero.

    .. math:: b_x = x_0\, std_0\, a_w + a_x,\quad b_w = e^{x_2\, std_2}\, a_w,

    likewise for the height, and the result as corners. Exponents are at most ``clip`` if that is positive.

    Shapes: ``data`` :math:`(B, N, 4)`, ``anchors`` :math:`(1, N, 4)`, output :math:`(B, N, 4)`. The gradient is zero.
    """

    name = "_contrib_box_decode"
    inputs = ("data", "anchors")
    zero_gradient = True
    std0 = Param(Float, 1.0, "Factor of the shift in x.")
    std1 = Param(Float, 1.0, "Factor of the shift in y.")
    std2 = Param(Float, 1.0, "Factor of the logarithm of the width.")
    std3 = Param(Float, 1.0, "Factor of the logarithm of the height.")
    clip = Param(Float, -1.0, "Largest exponent; no limit if it is not positive.")
    format = Param(_FORMAT, "center", "Whether anchors are (left, top, right, bottom) or (x, y, width, height).")

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        if data is not None:
            data = merge(data, (0, 0, 4))
        count = 0 if data is None else data[1]
        anchors = merge(inputs[1], (1, count, 4))
        if data is not None:
            data = merge(data, (0, anchors[1], 4))
        return [data, anchors], [data]

    def kernel(self, p, inputs, outputs, env):
        data, anchors = inputs
        shift_stds = torch.tensor([p.std0, p.std1], dtype=data.dtype, device=env.device)
        size_stds = torch.tensor([p.std2, p.std3], dtype=data.dtype, device=env.device)
        low, high = outputs[0].chunk(2, -1)

        def run() -> None:
            anchor = anchors if p.format == "center" else center(anchors)
            exponent = data[..., 2:] * size_stds
            if p.clip > 0:
                exponent.clamp_max_(p.clip)
            half = exponent.exp_().mul_(anchor[..., 2:]).div_(2)
            middle = (data[..., :2] * shift_stds).mul_(anchor[..., 2:]).add_(anchor[..., :2])
            torch.sub(middle, half, out=low)
            torch.add(middle, half, out=high)

        return run
