"""Region proposals: where in an image objects may be, before anyone asks which.

Ren et al., "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks", 2015. Boxes are corners
in pixels of the image, and the corner pixels belong to them: a box from 3 to 3 is one pixel wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..base import MXNetError
from .boxes import keep_best
from .operator import Operator, Sample, register
from .parameter import Bool, Float, Floats, Int, Param, Params
from .shapes import merge

__all__: list[str] = []


def _anchors(p: Params) -> list[tuple[float, float, float, float]]:
    """The anchors of the first place: one for each ratio and scale, scales fastest."""
    size, middle = p.feature_stride**2, (p.feature_stride - 1) / 2
    anchors = []
    for ratio in p.ratios:
        width = math.floor(math.sqrt(math.floor(size / ratio)) + 0.5)
        height = math.floor(width * ratio + 0.5)
        for scale in p.scales:
            x, y = (width * scale - 1) / 2, (height * scale - 1) / 2
            anchors.append((middle - x, middle - y, middle + x, middle + y))
    return anchors


@register
class MultiProposal(Operator):
    r"""The most promising boxes of each image.

    At every place of the feature map there are anchors of several scales and ratios of height to width, around the
    middle of the ``feature_stride`` pixels that the place stands for. With predictions :math:`t`, the anchor
    :math:`(x, y, w, h)`, as center and size, becomes the box :math:`(t_0 w + x,\; t_1 h + y,\; e^{t_2} w,\;
    e^{t_3} h)`; with ``iou_loss``, the predictions are added to the anchor's corners. Boxes are cut to the image. Its
    score is the probability that there is an object; it is -1 for boxes of places beyond the image, and for boxes with
    a side below ``rpn_min_size`` times the image's scale, which grow by that much. Of the ``rpn_pre_nms_top_n`` boxes
    with the best scores, those that overlap a better one by more than ``threshold`` go, and the first
    ``rpn_post_nms_top_n`` of the rest are the output; if there are fewer, they repeat.

    Shapes: ``cls_prob`` :math:`(N, 2 A, h, w)`, the probabilities of background before those of objects, for
    :math:`A` anchors; ``bbox_pred`` :math:`(N, 4 A, h, w)`; ``im_info`` :math:`(N, 3)` of rows (height, width, scale).
    Outputs for :math:`M` proposals of each image: rows (image, left, top, right, bottom) :math:`(N M, 5)`, and with
    ``output_score`` the scores :math:`(N M, 1)`. The gradient is zero.

    Raises MXNetError if there are other numbers of anchors than scales and ratios make, and, when it runs, if an
    image is larger than its feature map.
    """

    name = "_contrib_MultiProposal"
    inputs = ("cls_prob", "bbox_pred", "im_info")
    outputs = ("output", "score")
    zero_gradient = True
    rpn_pre_nms_top_n = Param(Int, 6000, "How many of the best boxes are considered; all if it is not positive.")
    rpn_post_nms_top_n = Param(Int, 300, "Number of proposals.")
    threshold = Param(Float, 0.7, "Overlap above which the box with the smaller score goes.")
    rpn_min_size = Param(Int, 16, "Least height and width, in pixels of the image before it was scaled.")
    scales = Param(Floats, (4.0, 8.0, 16.0, 32.0), "Scales of anchors, in feature strides.")
    ratios = Param(Floats, (0.5, 1.0, 2.0), "Ratios of height to width.")
    feature_stride = Param(Int, 16, "How many pixels of the image one place of the feature map stands for.")
    output_score = Param(Bool, False, "Show the scores too.")
    iou_loss = Param(Bool, False, "Add predictions to corners.")
    samples: Sequence[Sample] = (
        Sample((2, 4, 2, 3), (2, 8, 2, 3), (2, 3), values={0: (0, 1), 2: [32, 48, 1, 30, 40, 2]},
               scales=(1, 2), ratios=(1,), rpn_pre_nms_top_n=8, rpn_post_nms_top_n=5, rpn_min_size=4),
    )  # fmt: skip

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.rpn_post_nms_top_n < 1 or p.feature_stride < 1:
            raise MXNetError(
                f"rpn_post_nms_top_n={p.rpn_post_nms_top_n} and feature_stride={p.feature_stride} of {self.name} "
                "must be at least 1"
            )
        return p

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 2 if p.output_score else 1

    def images(self, batch: int) -> int:
        """How many of the images are looked at."""
        return batch

    def infer_shape(self, p, inputs, outputs):
        anchors = len(p.scales) * len(p.ratios)
        probability = merge(inputs[0], (0, 2 * anchors, 0, 0))
        info = merge(inputs[2], (probability[0], 3))
        moves = merge(inputs[1], (info[0], 4 * anchors, *probability[2:]))
        batch = moves[0]
        rows = self.images(batch) * p.rpn_post_nms_top_n
        outputs = [merge(output, (rows, width)) for output, width in zip(outputs, (5, 1))]
        return [(batch, 2 * anchors, *moves[2:]), moves, (batch, 3)], outputs

    def kernel(self, p, inputs, outputs, env):
        probability, moves, info = inputs
        batch, channels, height, width = probability.shape
        places = [torch.arange(n, dtype=torch.float64) * p.feature_stride for n in (width, height)]
        shifts = torch.stack(torch.meshgrid(*places, indexing="xy"), -1).repeat(1, 1, 2).unsqueeze(2)
        anchors = (torch.tensor(_anchors(p), dtype=torch.float64) + shifts).to(probability)

        # Both as (image, place down, place across, anchor, …), the order in which equal scores are considered.
        scores = probability[:, channels // 2 :].movedim(1, -1)
        moves = moves.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2)
        # The last pixels of an image, for corners.
        first, last = torch.arange(height, device=env.device), torch.arange(width, device=env.device)
        rows = [output.view(self.images(batch), -1, output.shape[1]) for output in outputs]

        def boxes_of(image: int) -> torch.Tensor:
            limits = (info[image, :2].flip(0) - 1).repeat(2)
            if p.iou_loss:
                boxes = anchors + moves[image]
            else:
                size = anchors[..., 2:] - anchors[..., :2] + 1
                middle = anchors[..., :2] + (size - 1) / 2 + moves[image, ..., :2] * size
                half = (moves[image, ..., 2:].exp() * size - 1) / 2
                boxes = torch.cat((middle - half, middle + half), -1)
            return torch.minimum(boxes, limits).clamp_min_(0)

        def run() -> None:
            inside = (info[:, :2] / p.feature_stride).int()
            if (inside > torch.tensor([height, width], device=env.device)).any():
                raise MXNetError(
                    f"im_info of {self.name} has an image larger than its feature map of {height} by {width} places, "
                    f"each {p.feature_stride} pixels"
                )
            for image in range(self.images(batch)):
                boxes = boxes_of(image)
                beyond = (first.unsqueeze(1) >= inside[image, 0]) | (last >= inside[image, 1])
                least = p.rpn_min_size * info[image, 2]
                small = (boxes[..., 2:] - boxes[..., :2] + 1 < least).any(-1)
                grown = torch.cat((boxes[..., :2] - least / 2, boxes[..., 2:] + least / 2), -1)
                boxes = torch.where(small.unsqueeze(-1), grown, boxes).view(-1, 4)
                score = scores[image].masked_fill(small | beyond.unsqueeze(2), -1).reshape(-1)
                order = score.argsort(descending=True, stable=True)
                if p.rpn_pre_nms_top_n > 0:
                    order = order[: p.rpn_pre_nms_top_n]
                limit = min(p.rpn_post_nms_top_n, len(order))
                kept = order[keep_best(boxes[order], lambda overlap: overlap > p.threshold, extra=1.0, limit=limit)]
                chosen = kept[torch.arange(p.rpn_post_nms_top_n, device=env.device) % len(kept)]
                rows[0][image, :, 0] = image
                rows[0][image, :, 1:] = boxes[chosen]
                rows[1][image, :, 0] = score[chosen]

        return run


@register
class Proposal(MultiProposal):
    """The most promising boxes of a single image; otherwise as MultiProposal.

    Raises MXNetError if there is more than one image.
    """

    name = "_contrib_Proposal"
    samples = (
        Sample((1, 6, 3, 2), (1, 12, 3, 2), (1, 3), values={0: (0, 1), 2: [48, 32, 1]},
               scales=(2,), ratios=(0.5, 1, 2), rpn_post_nms_top_n=4, rpn_min_size=4, output_score=True),
    )  # fmt: skip

    def images(self, batch):
        if batch > 1:
            raise MXNetError(f"Proposal takes one image, not {batch}; MultiProposal takes any number")
        return 1
