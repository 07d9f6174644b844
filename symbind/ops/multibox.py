"""Single-shot detection: anchors around every pixel of a feature map, their training targets, and their detections.

Liu et al., "SSD: Single Shot MultiBox Detector", 2016. Boxes are corners in parts of the image: 0 is its left or
upper edge, 1 the right or lower one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from ..base import MXNetError
from .boxes import best_pairs, center, keep_best, overlaps
from .operator import Operator, Sample, register
from .parameter import Bool, Float, Floats, Int, Param
from .shapes import merge

__all__: list[str] = []


def _exactly(p: Any, name: str, count: int) -> None:
    value = getattr(p, name)
    if len(value) != count:
        raise MXNetError(f"{name}={value} must be {count} numbers")


# ---- anchors ------------------------------------------------------------------------------------


@register
class MultiBoxPrior(Operator):
    r"""Anchors around every pixel of a feature map.

    With sizes :math:`s_i` and ratios :math:`r_j` of width to height, each pixel has the anchors :math:`(s_i, r_0)` for
    all sizes, then :math:`(s_0, r_j)` for the other ratios. An anchor is :math:`s / \sqrt r` high and
    :math:`s \sqrt r\, h / w` wide; that of pixel :math:`(i, j)` has its center at
    :math:`((j + offsets_1)\, steps_1,\; (i + offsets_0)\, steps_0)`.

    Shapes: ``data`` :math:`(N, C, h, w)`, whose numbers do not matter; output :math:`(1, h w k, 4)` for :math:`k`
    anchors per pixel. The gradient is zero.

    Raises MXNetError if only one step is given, or there are no sizes.
    """

    name = "_contrib_MultiBoxPrior"
    unread = (0,)
    zero_gradient = True
    sizes = Param(Floats, (1.0,), "Sizes of anchors, in parts of the image's height.")
    ratios = Param(Floats, (1.0,), "Ratios of width to height.")
    clip = Param(Bool, False, "Cut off what reaches beyond the image.")
    steps = Param(Floats, (-1.0, -1.0), "Distance of centers, down and across; 1/h and 1/w if it is not positive.")
    offsets = Param(Floats, (0.5, 0.5), "Place of the first center, down and across, in steps.")
    samples = (Sample((1, 2, 2, 3), sizes=(0.5, 0.25), ratios=(1, 2)),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        _exactly(p, "steps", 2)
        _exactly(p, "offsets", 2)
        if p.steps[0] * p.steps[1] < 0:
            raise MXNetError(f"steps={p.steps} of MultiBoxPrior must both be given, or none")
        if not p.sizes or not p.ratios:
            raise MXNetError("MultiBoxPrior needs a size and a ratio at least")
        return p

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        if len(data) < 4:
            raise MXNetError(f"Data of MultiBoxPrior should have 4 axes, but has shape {data}")
        count = data[2] * data[3] * (len(p.sizes) + len(p.ratios) - 1)
        return inputs, [merge(outputs[0], (1, count, 4))]

    def kernel(self, p, inputs, outputs, env):
        height, width = inputs[0].shape[2:4]
        steps = p.steps if min(p.steps) > 0 else (1 / height, 1 / width)
        # In double precision, and once: the anchors never change.
        down, across = (
            torch.arange(count, dtype=torch.float64).add_(offset).mul_(step)
            for count, offset, step in zip((height, width), p.offsets, steps)
        )
        kinds = [(size, p.ratios[0]) for size in p.sizes] + [(p.sizes[0], ratio) for ratio in p.ratios[1:]]
        halves = torch.tensor(
            [(size * height / width * ratio**0.5 / 2, size / ratio**0.5 / 2) for size, ratio in kinds],
            dtype=torch.float64,
        )
        middle = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1).unsqueeze(2)
        anchors = torch.cat((middle - halves, middle + halves), -1)
        if p.clip:
            anchors.clamp_(0, 1)
        return partial(outputs[0].copy_, anchors.to(outputs[0]).view_as(outputs[0]))


# ---- training -----------------------------------------------------------------------------------


@register
class MultiBoxTarget(Operator):
    r"""What a detector shall predict for its anchors, given the objects of an image.

    Every object is matched with an anchor: the pair that overlaps most first, then the best of those left. Of the
    other anchors, each that overlaps an object by more than ``overlap_threshold`` is matched with the one that it
    overlaps most. A matched anchor gets the class of its object plus 1, and for object :math:`b` and anchor :math:`a`
    as centers and sizes the location

    .. math:: \left( \frac{b_x - a_x}{a_w v_0},\; \frac{b_y - a_y}{a_h v_1},\;
              \frac{\ln (b_w / a_w)}{v_2},\; \frac{\ln (b_h / a_h)}{v_3} \right)

    with :math:`v` = ``variances``. All other anchors are background, class 0. With ``negative_mining_ratio`` :math:`m`
    only :math:`m` times as many as are matched: those which the network believes least to be background, among the
    ones that overlap no object by ``negative_mining_thresh``; the rest is ignored.

    Shapes: ``anchor`` :math:`(1, A, 4)`, ``label`` :math:`(B, L, 5…)` of rows (class, left, top, right, bottom, …)
    that end at a class of -1, ``cls_pred`` :math:`(B, classes + 1, A)`. Outputs: ``loc_target`` and ``loc_mask`` (1
    for matched anchors) :math:`(B, 4 A)`, ``cls_target`` :math:`(B, A)`. Images without objects are ignored
    altogether. The gradient is zero.
    """

    name = "_contrib_MultiBoxTarget"
    inputs = ("anchor", "label", "cls_pred")
    outputs = ("loc_target", "loc_mask", "cls_target")
    zero_gradient = True
    overlap_threshold = Param(Float, 0.5, "Overlap above which an anchor is matched; if not positive, none is.")
    ignore_label = Param(Float, -1.0, "Class of ignored anchors.")
    negative_mining_ratio = Param(Float, -1.0, "Background anchors per matched one; all if it is not positive.")
    negative_mining_thresh = Param(Float, 0.5, "Overlap below which an anchor may become background.")
    minimum_negative_samples = Param(Int, 0, "Accepted for MXNet's sake.")
    variances = Param(Floats, (0.1, 0.1, 0.2, 0.2), "Unit of each number of a location.")
    samples = (
        Sample((1, 4, 4), (2, 2, 5), (2, 3, 4), negative_mining_ratio=1.0, values={
            0: [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 0, 0.5, 0.4, 1, 0.4, 0, 1, 0.6],
            1: [0, 0.1, 0, 0.5, 0.4, -1, -1, -1, -1, -1, 1, 0.4, 0.4, 1, 1, 0, 0, 0.4, 0.5, 0.9],
        }),
    )  # fmt: skip

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        _exactly(p, "variances", 4)
        return p

    def num_outputs(self, p):
        return 3

    def infer_shape(self, p, inputs, outputs):
        anchor, label, predicted = inputs
        if label is not None and (len(label) != 3 or 0 < label[2] < 5):
            raise MXNetError(f"Labels of MultiBoxTarget should be of shape (batch, objects, 5 or more), not {label}")
        anchor, predicted = merge(anchor, (1, 0, 4)), merge(predicted, (0, 0, 0))
        classes = merge(outputs[2], (0, 0))
        (batch, count) = merge(merge((0 if label is None else label[0], anchor[1]), predicted[::2]), classes)
        location = merge(merge(outputs[0], outputs[1]), (batch, 4 * count))
        batch = batch or location[0]
        label = label if label is None else (batch, *label[1:])
        return [(1, count, 4), label, (batch, predicted[1], count)], [location, location, (batch, count)]

    def kernel(self, p, inputs, outputs, env):
        anchors, labels, predicted = inputs
        anchors, count = anchors[0], anchors.shape[1]
        variances = torch.tensor(p.variances, dtype=anchors.dtype, device=env.device)
        location, mask = (output.view(-1, count, 4) for output in outputs[:2])

        def background(matched: torch.Tensor, overlap: torch.Tensor) -> torch.Tensor:
            """Which anchors (B, A) are negative samples."""
            if p.negative_mining_ratio <= 0:
                return ~matched
            wanted = (matched.sum(1, keepdim=True) * p.negative_mining_ratio).long()
            candidate = ~matched & (overlap < p.negative_mining_thresh)
            belief = torch.softmax(predicted, 1)[:, 0].masked_fill_(~candidate, torch.inf)
            rank = belief.argsort(stable=True, dim=1).argsort(1)
            return candidate & (rank < wanted)

        def run() -> None:
            exists = (labels[..., 0] != -1).cumprod(1).bool()
            every = overlaps(anchors.unsqueeze(1), labels[:, None, :, 1:5])
            every.masked_fill_(~exists.unsqueeze(1), -1)
            # Objects that touch no anchor at all stay without one.
            partner = best_pairs(every, 1e-6)[0]
            matched = partner >= 0
            overlap, nearest = every.max(2)
            if p.overlap_threshold > 0:
                matched |= overlap > p.overlap_threshold
            partner = partner.where(partner >= 0, nearest)
            known = exists[:, :1]
            negative = background(matched, overlap) & known

            objects = labels.gather(1, partner.unsqueeze(2).expand(-1, -1, labels.shape[2]))
            outputs[2].fill_(p.ignore_label).masked_fill_(negative, 0)
            outputs[2].copy_(torch.where(matched, objects[..., 0] + 1, outputs[2]))
            box, anchor = center(objects[..., 1:5]), center(anchors)
            shift = (box[..., :2] - anchor[:, :2]) / anchor[:, 2:]
            encoded = torch.cat((shift, torch.log(box[..., 2:] / anchor[:, 2:])), -1).div_(variances)
            location.copy_(torch.where(matched.unsqueeze(2), encoded, 0))
            mask.copy_(matched.unsqueeze(2).expand_as(mask))

        return run


# ---- detection ----------------------------------------------------------------------------------


@register
class MultiBoxDetection(Operator):
    r"""The objects that a detector found.

    An anchor whose most probable class, the background aside, has a probability of ``threshold`` or more gives a box:
    the anchor :math:`a` (as center and size) moved and scaled by its predicted location :math:`t`,

    .. math:: x = t_0 v_0 a_w + a_x,\quad w = e^{t_2 v_2} a_w,

    likewise for the height, with :math:`v` = ``variances``. Boxes are sorted by probability; those behind the first
    ``nms_topk`` are suppressed, and so is the less probable of two of one class that overlap by ``nms_threshold``.

    Shapes: ``cls_prob`` :math:`(B, classes + 1, A)`, ``loc_pred`` :math:`(B, 4 A)`, ``anchor`` :math:`(1, A, 4)`;
    output :math:`(B, A, 6)` of rows (class, probability, left, top, right, bottom), where the class is -1 for boxes
    that were suppressed, and behind the last one everything. The gradient is zero.
    """

    name = "_contrib_MultiBoxDetection"
    inputs = ("cls_prob", "loc_pred", "anchor")
    zero_gradient = True
    clip = Param(Bool, True, "Cut off what reaches beyond the image.")
    threshold = Param(Float, 0.01, "Least probability of an object.")
    background_id = Param(Int, 0, "Accepted for MXNet's sake: the background is class 0.")
    nms_threshold = Param(Float, 0.5, "Overlap from which on boxes are suppressed; if not in (0, 1], none are.")
    force_suppress = Param(Bool, False, "Let boxes of different classes suppress each other.")
    variances = Param(Floats, (0.1, 0.1, 0.2, 0.2), "Unit of each number of a location.")
    nms_topk = Param(Int, -1, "How many of the most probable boxes are considered; -1 for all.")
    samples = (
        Sample((2, 3, 4), (2, 16), (1, 4, 4), values={
            0: (0, 1), 1: (-1, 1), 2: [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 0, 0.5, 0.4, 1, 0.4, 0, 1, 0.6],
        }),
    )  # fmt: skip

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        _exactly(p, "variances", 4)
        return p

    def infer_shape(self, p, inputs, outputs):
        probability, location = merge(inputs[0], (0, 0, 0)), merge(inputs[1], (0, 0))
        anchor, output = merge(inputs[2], (1, 0, 4)), merge(outputs[0], (0, 0, 6))
        batch, count = merge(merge(probability[::2], (location[0], anchor[1])), output[:2])
        if location[1] % 4:
            raise MXNetError(f"loc_pred of MultiBoxDetection should have 4 numbers per anchor, not shape {location}")
        count = count or location[1] // 4
        location = merge(location, (batch, 4 * count))
        return [(batch, probability[1], count), location, (1, count, 4)], [(batch, count, 6)]

    def kernel(self, p, inputs, outputs, env):
        probability, location, anchors = inputs
        output, anchors = outputs[0], anchors[0]
        location = location.view(len(probability), -1, 4)
        variances = torch.tensor(p.variances, dtype=anchors.dtype, device=env.device)

        def decoded() -> torch.Tensor:
            """The boxes of all anchors, (B, A, 4)."""
            anchor, shift = center(anchors), location * variances
            middle = shift[..., :2] * anchor[:, 2:] + anchor[:, :2]
            half = shift[..., 2:].exp() * anchor[:, 2:] / 2
            boxes = torch.cat((middle - half, middle + half), -1)
            return boxes.clamp_(0, 1) if p.clip else boxes

        def run() -> None:
            best, number = probability[:, 1:].max(1)
            rows = torch.cat((number.unsqueeze(2), best.unsqueeze(2), decoded()), -1)
            output.fill_(-1)
            for sample, found in enumerate(rows):
                found = found[found[:, 1] >= p.threshold]
                if 0 < p.nms_threshold <= 1:
                    found = found[found[:, 1].argsort(descending=True, stable=True)]
                    rivals = found[: p.nms_topk] if p.nms_topk > 0 else found
                    groups = None if p.force_suppress else rivals[:, 0]
                    kept = keep_best(rivals[:, 2:], lambda overlap: overlap >= p.nms_threshold, groups)
                    gone = torch.ones(len(found), dtype=torch.bool, device=env.device)
                    found[:, 0].masked_fill_(gone.index_fill_(0, kept, False), -1)
                output[sample, : len(found)] = found

        return run
