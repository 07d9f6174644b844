"""The single-shot detector's operators against their definitions, one anchor at a time."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer
from .test_boxes import overlap, random_boxes, suppressed, to_center

RANDOM = np.random.default_rng(5)


def test_anchors():
    anchors = call("_contrib_MultiBoxPrior", np.zeros((1, 1, 2, 4)), sizes=(0.5, 0.2), ratios=(1, 4))
    assert anchors.shape == (1, 2 * 4 * 3, 4)
    # On a map twice as wide as high, an anchor of ratio 1 is twice as narrow in parts of the width.
    per_pixel = to_center(anchors).reshape(2, 4, 3, 4)
    np.testing.assert_allclose(per_pixel[1, 2, :, :2], [[2.5 / 4, 1.5 / 2]] * 3)
    np.testing.assert_allclose(per_pixel[0, 3, :, 2:], [[0.25, 0.5], [0.1, 0.2], [0.5, 0.25]])


def test_anchors_in_steps():
    options = {"steps": (0.1, 0.2), "offsets": (0, 1), "sizes": (0.4,)}
    anchors = to_center(call("_contrib_MultiBoxPrior", np.zeros((1, 1, 2, 2)), **options))
    np.testing.assert_allclose(anchors[0, :, :2], [[0.2, 0], [0.4, 0], [0.2, 0.1], [0.4, 0.1]], atol=1e-15)
    clipped = call("_contrib_MultiBoxPrior", np.zeros((1, 1, 2, 2)), clip=True, **options)
    assert clipped.min() == 0


def test_mistakes_in_anchors():
    prior = registry.find("_contrib_MultiBoxPrior")
    for attrs in ({"steps": "(0.1,)"}, {"steps": "(0.1, -1)"}, {"sizes": "()"}, {"offsets": "(1, 2, 3)"}):
        with pytest.raises(MXNetError, match=next(iter(attrs)).rstrip("s")):
            prior.parse(attrs)
    with pytest.raises(MXNetError, match="4 axes"):
        infer("_contrib_MultiBoxPrior", [(1, 2, 3)])
    assert infer("_contrib_MultiBoxPrior", [(1, 2, 0, 3)])[1] == [(1, 0, 4)]


def targets_of(anchors, label, scores, threshold, ratio, limit):
    """Matched object of each anchor (-1: background, -2: ignored), as the definition reads."""
    objects = label[: next((i for i, row in enumerate(label) if row[0] == -1), len(label))]
    if len(objects) == 0:
        return [-2] * len(anchors)
    every = np.array([[overlap(a, o[1:5]) for o in objects] for a in anchors])
    matched = [-1] * len(anchors)
    for a, o in sorted(np.ndindex(every.shape), key=lambda pair: -every[pair]):
        if every[a, o] > 1e-6 and matched[a] == -1 and o not in matched:
            matched[a] = o
    for a in range(len(anchors)):
        if matched[a] == -1 and every[a].max() > threshold:
            matched[a] = int(every[a].argmax())
    if ratio > 0:
        count = int(ratio * sum(m >= 0 for m in matched))
        background = np.exp(scores[0]) / np.exp(scores).sum(0)
        candidates = [a for a, m in enumerate(matched) if m == -1 and every[a].max() < limit]
        chosen = sorted(candidates, key=lambda a: background[a])[:count]
        matched = [-2 if m == -1 and a not in chosen else m for a, m in enumerate(matched)]
    return matched


@pytest.mark.parametrize("ratio", [-1, 0.5, 2])
def test_targets(ratio):
    anchors, scores = random_boxes(1, 30), RANDOM.uniform(-1, 1, (3, 4, 30))
    labels = np.concatenate([RANDOM.integers(0, 3, (3, 4, 1)), random_boxes(3, 4)], -1)
    labels[1, 2:] = labels[2] = -1
    options = {"overlap_threshold": 0.3, "negative_mining_ratio": ratio, "negative_mining_thresh": 0.25}
    location, mask, classes = call("_contrib_MultiBoxTarget", anchors, labels, scores, **options)
    for b in range(3):
        matched = targets_of(anchors[0], labels[b], scores[b], 0.3, ratio, 0.25)
        wanted = [labels[b, m, 0] + 1 if m >= 0 else {-1: 0, -2: -1}[m] for m in matched]
        np.testing.assert_array_equal(classes[b], wanted)
        np.testing.assert_array_equal(mask[b].reshape(30, 4).all(1), np.array(matched) >= 0)
        for a, m in enumerate(matched):
            expected = np.zeros(4)
            if m >= 0:
                anchor, box = to_center(anchors[0, a]), to_center(labels[b, m, 1:])
                expected[:2] = (box[:2] - anchor[:2]) / anchor[2:] / 0.1
                expected[2:] = np.log(box[2:] / anchor[2:]) / 0.2
            np.testing.assert_allclose(location[b, 4 * a : 4 * a + 4], expected, atol=1e-12)


@pytest.mark.parametrize("force", [False, True])
def test_detection(force):
    anchors, shifts = random_boxes(1, 25), RANDOM.uniform(-1, 1, (2, 25, 4))
    probabilities = RANDOM.dirichlet(np.ones(4), (2, 25)).swapaxes(1, 2)
    options = {"threshold": 0.3, "nms_threshold": 0.15, "clip": False, "force_suppress": force}
    found = call("_contrib_MultiBoxDetection", probabilities, shifts.reshape(2, -1), anchors, **options)
    anchor = to_center(anchors[0])
    for b in range(2):
        t = shifts[b]
        middle = 0.1 * t[:, :2] * anchor[:, 2:] + anchor[:, :2]
        half = np.exp(0.2 * t[:, 2:]) * anchor[:, 2:] / 2
        boxes = np.concatenate([middle - half, middle + half], -1)
        best = probabilities[b, 1:]
        rows = np.column_stack([best.argmax(0), best.max(0), boxes])[best.max(0) >= 0.3]
        rows = rows[np.argsort(-rows[:, 1])]
        kept = suppressed(rows, 0.15, not force)
        assert 1 < len(kept) < len(rows)
        np.testing.assert_allclose(found[b, : len(rows), 1:], rows[:, 1:])
        expected = np.full(25, -1.0)
        expected[kept] = rows[kept, 0]
        np.testing.assert_array_equal(found[b, :, 0], expected)
        assert (found[b, len(rows) :] == -1).all()


def test_detection_of_nothing_and_within_the_image():
    anchors = np.array([[[-0.5, 0.2, 0.5, 1.5]]])
    inputs = np.array([[[0.2], [0.8]]]), np.zeros((1, 4)), anchors
    np.testing.assert_allclose(call("_contrib_MultiBoxDetection", *inputs), [[[0, 0.8, 0, 0.2, 0.5, 1]]])
    assert (call("_contrib_MultiBoxDetection", *inputs, threshold=0.9) == -1).all()


def test_only_the_most_probable_are_considered():
    anchors = np.array([[[0, 0, 0.1, 0.1], [0.5, 0.5, 0.6, 0.6], [0.8, 0.8, 0.9, 0.9]]])
    probabilities = np.array([[[0.4, 0.1, 0.3], [0.6, 0.9, 0.7]]])
    found = call("_contrib_MultiBoxDetection", probabilities, np.zeros((1, 12)), anchors, nms_topk=2)
    np.testing.assert_array_equal(found[0, :, :2], [[0, 0.9], [0, 0.7], [-1, 0.6]])


def test_inference():
    told = infer("_contrib_MultiBoxDetection", [(2, 4, 0), None, (1, 7, 4)])
    assert told == ([(2, 4, 7), (2, 28), (1, 7, 4)], [(2, 7, 6)])
    assert infer("_contrib_MultiBoxDetection", [None, (2, 28), None])[1] == [(2, 7, 6)]
    told = infer("_contrib_MultiBoxTarget", [(1, 7, 4), (2, 3, 5), (0, 4, 0)])
    assert told == ([(1, 7, 4), (2, 3, 5), (2, 4, 7)], [(2, 28), (2, 28), (2, 7)])
    with pytest.raises(MXNetError, match="Labels"):
        infer("_contrib_MultiBoxTarget", [(1, 7, 4), (2, 3, 4), None])
    with pytest.raises(MXNetError):
        infer("_contrib_MultiBoxDetection", [(2, 4, 6), None, (1, 7, 4)])
