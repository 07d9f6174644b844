"""Region proposals against a loop over boxes."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer

RANDOM = np.random.default_rng(7)
OPTIONS = {"scales": (1, 2), "ratios": (0.5, 1), "feature_stride": 8, "rpn_min_size": 4, "threshold": 0.4}


def anchor(ratio, scale, stride):
    width = np.floor(np.sqrt(np.floor(stride**2 / ratio)) + 0.5)
    height = np.floor(width * ratio + 0.5)
    middle = (stride - 1) / 2
    return middle, middle, width * scale, height * scale


def overlap(a, b):
    width, height = (max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + 1, 0) for i in (0, 1))
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def proposals(scores, moves, info, before, after):
    """Boxes and scores of one image, in order and before they repeat."""
    _, height, width = moves.shape
    found = []
    for y in range(height):
        for x in range(width):
            for a, (ratio, scale) in enumerate([(0.5, 1), (0.5, 2), (1, 1), (1, 2)]):
                cx, cy, w, h = anchor(ratio, scale, 8)
                t = moves[4 * a : 4 * a + 4, y, x]
                cx, cy, w, h = cx + 8 * x + t[0] * w, cy + 8 * y + t[1] * h, w * np.exp(t[2]), h * np.exp(t[3])
                box = np.array([cx - (w - 1) / 2, cy - (h - 1) / 2, cx + (w - 1) / 2, cy + (h - 1) / 2])
                box = np.clip(box, 0, [info[1] - 1, info[0] - 1] * 2)
                score = scores[4 + a, y, x]
                least = 4 * info[2]
                if min(box[2] - box[0], box[3] - box[1]) + 1 < least:
                    box, score = box + np.array([-1, -1, 1, 1]) * least / 2, -1
                if y >= int(info[0] / 8) or x >= int(info[1] / 8):
                    score = -1
                found.append((score, box))
    kept = []
    for score, box in sorted(found, key=lambda pair: -pair[0])[:before]:
        if len(kept) < after and all(overlap(box, other) <= 0.4 for _, other in kept):
            kept.append((score, box))
    return kept


@pytest.mark.parametrize(("before", "after"), [(40, 6), (5, 8)])
def test_proposals(before, after):
    scores, moves = RANDOM.uniform(0, 1, (2, 8, 3, 4)), RANDOM.uniform(-0.4, 0.4, (2, 16, 3, 4))
    info = np.array([[24, 32, 1.0], [17, 26, 1.5]])
    options = {"rpn_pre_nms_top_n": before, "rpn_post_nms_top_n": after, **OPTIONS}
    rows, best = call("_contrib_MultiProposal", scores, moves, info, output_score=True, **options)
    rows, best = rows.reshape(2, after, 5), best.reshape(2, after)
    for image in range(2):
        expected = proposals(scores[image], moves[image], info[image], before, after)
        for i in range(after):
            score, box = expected[i % len(expected)]
            np.testing.assert_allclose(rows[image, i], [image, *box], atol=1e-9)
            assert best[image, i] == score
    alone = call("_contrib_Proposal", scores[:1], moves[:1], info[:1], **options)
    np.testing.assert_array_equal(alone, rows[0])


def test_moves_of_corners():
    scores = np.array([0.3, 0.7]).reshape(1, 2, 1, 1)
    moves = np.array([1.0, 2, -1, 0.5]).reshape(1, 4, 1, 1)
    options = {"scales": (1,), "ratios": (1,), "feature_stride": 8, "rpn_post_nms_top_n": 1, "rpn_min_size": 1}
    row = call("_contrib_Proposal", scores, moves, np.array([[8, 8, 1.0]]), iou_loss=True, **options)
    np.testing.assert_allclose(row, [[0, 1, 2, 6, 7]])


def test_mistakes():
    small = np.zeros((1, 8, 1, 1)), np.zeros((1, 16, 1, 1)), np.array([[64, 8, 1.0]])
    with pytest.raises(MXNetError, match="larger than its feature map"):
        call("_contrib_Proposal", *small, **OPTIONS)
    with pytest.raises(MXNetError, match="one image, not 2"):
        infer("_contrib_Proposal", [(2, 8, 3, 3), None, None], **OPTIONS)
    with pytest.raises(MXNetError):
        infer("_contrib_MultiProposal", [(2, 6, 3, 3), None, None], **OPTIONS)


def test_inference():
    shapes = [(2, 8, 3, 4), (2, 16, 3, 4), (2, 3)]
    for i in range(3):
        told, outputs = infer("_contrib_MultiProposal", [shapes[i] if i == k else None for k in range(3)], **OPTIONS)
        assert told[2] == (2, 3)
        assert outputs == [(600, 5), (600, 1)]
    assert infer("_contrib_MultiProposal", [shapes[0], None, None], **OPTIONS)[0] == shapes
