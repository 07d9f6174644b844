"""Boxes against loops over boxes: overlap, suppression, matching, encoding and back."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer

RANDOM = np.random.default_rng(3)


def random_boxes(*shape):
    return np.sort(RANDOM.uniform(0, 1, (*shape, 2, 2)), -2).reshape(*shape, 4)


def overlap(a, b):
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def to_center(boxes):
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)


def suppressed(rows, threshold, by_class, topk=None, background=-1):
    """Rows (class, score, corners) that stay, best first, and where they were; written as the definition reads."""
    order = [i for i in np.argsort(-rows[:, 1], kind="stable") if rows[i, 1] > 0]
    if by_class:
        order = [i for i in order if rows[i, 0] != background]
    kept = []
    for i in order[:topk]:
        rivals = [j for j in kept if not by_class or rows[j, 0] == rows[i, 0]]
        if all(overlap(rows[j, 2:], rows[i, 2:]) <= threshold for j in rivals):
            kept.append(i)
    return kept


def test_overlap():
    left, right = random_boxes(2, 3), random_boxes(4)
    expected = [[[overlap(a, b) for b in right] for a in row] for row in left]
    np.testing.assert_allclose(call("_contrib_box_iou", left, right), expected)
    centers = call("_contrib_box_iou", to_center(left), to_center(right), format="center")
    np.testing.assert_allclose(centers, expected, atol=1e-12)


def test_boxes_that_only_touch_or_are_empty_do_not_overlap():
    boxes = np.array([[0.0, 0, 1, 1], [1, 0, 2, 1], [0.5, 0.5, 0.5, 0.5], [2, 2, 1, 1]])
    np.testing.assert_array_equal(call("_contrib_box_iou", boxes, boxes), np.diag([1, 1, 0, 0]))


@pytest.mark.parametrize("options", [{}, {"id_index": 0}, {"id_index": 0, "background_id": 1}, {"topk": 6}])
def test_suppression(options):
    rows = np.concatenate([RANDOM.integers(0, 3, (2, 20, 1)), RANDOM.uniform(-0.2, 1, (2, 20, 1))], -1)
    rows = np.concatenate([rows, random_boxes(2, 20)], -1)
    result = call("_contrib_box_nms", rows, overlap_thresh=0.2, **options)
    for sample, seen in zip(rows, result):
        by_class = "id_index" in options
        kept = suppressed(sample, 0.2, by_class, options.get("topk"), options.get("background_id", -1))
        assert 1 < len(kept) < 20
        np.testing.assert_array_equal(seen[: len(kept)], sample[kept])
        assert (seen[len(kept) :] == -1).all()


def test_suppression_may_cross_classes_and_change_the_format():
    boxes = random_boxes(15)
    rows = np.concatenate([np.arange(15)[:, None], RANDOM.uniform(0, 1, (15, 1)), to_center(boxes)], -1)
    kept = suppressed(np.concatenate([rows[:, :2], boxes], -1), 0.1, by_class=False)
    options = {"id_index": 0, "force_suppress": True, "in_format": "center", "overlap_thresh": 0.1}
    result = call("_contrib_box_nms", rows, **options)
    np.testing.assert_allclose(result[: len(kept), 2:], boxes[kept], atol=1e-12)
    assert 0 < len(kept) < 15


def test_nothing_to_suppress():
    rows = np.array([[0, -0.5, 0, 0, 1, 1.0]])
    np.testing.assert_array_equal(call("_contrib_box_nms", rows), -np.ones((1, 6)))
    np.testing.assert_array_equal(call("_contrib_box_nms", rows, topk=0), rows)


def test_places_in_a_box_are_checked():
    assert infer("_contrib_box_nms", [None], [(2, 3, 6), None])[0] == [(2, 3, 6)]
    assert infer("_contrib_box_nms", [(2, 0, 6)])[1] == [(2, 0, 6), (2, 0)]
    for options, name in [
        ({"score_index": 3}, "score_index"),
        ({"id_index": 1}, "id_index"),
        ({"id_index": 6}, "id_index"),
        ({"coord_start": 3}, "coord_start"),
    ]:
        with pytest.raises(MXNetError, match=name):
            infer("_contrib_box_nms", [(2, 3, 6)], **options)
    with pytest.raises(MXNetError, match="2 axes"):
        infer("_contrib_box_nms", [(6,)])


@pytest.mark.parametrize(("ascending", "threshold"), [(False, 0.4), (True, 0.6)])
def test_matching(ascending, threshold):
    scores = RANDOM.uniform(0, 1, (2, 5, 4))
    rows, columns = call("_contrib_bipartite_matching", scores, threshold=threshold, is_ascend=ascending)
    for sample, row_partners, column_partners in zip(scores, rows, columns):
        expected = np.full(5, -1)
        pairs = sorted(np.ndindex(5, 4), key=lambda pair: sample[pair], reverse=not ascending)
        for r, c in pairs:
            good = sample[r, c] < threshold if ascending else sample[r, c] > threshold
            if good and expected[r] < 0 and c not in expected:
                expected[r] = c
        np.testing.assert_array_equal(row_partners, expected)
        for r, c in enumerate(expected):
            assert c < 0 or column_partners[c] == r
        assert (column_partners >= 0).sum() == (expected >= 0).sum() > 0


def test_number_of_matches_is_limited():
    scores = np.eye(4) + 1
    rows, columns = call("_contrib_bipartite_matching", scores, threshold=0.0, topk=2)
    np.testing.assert_array_equal(rows, [0, 1, -1, -1])
    np.testing.assert_array_equal(columns, rows)
    assert infer("_contrib_bipartite_matching", [(2, 0, 3)], threshold=0)[1] == [(2, 0), (2, 3)]


@pytest.mark.parametrize("kind", ["corner", "center"])
def test_decoding_undoes_encoding(kind):
    anchors, refs = random_boxes(6), random_boxes(2, 3)
    samples = np.array([[1, 1, 0, -1, 1, 1], [1, 0, 1, 1, 1, -1.0]])
    matches = RANDOM.integers(0, 3, (2, 6)).astype(float)
    stds = np.array([0.1, 0.1, 0.2, 0.2])
    both = np.stack([anchors, anchors])
    encoded, mask = call("_contrib_box_encode", samples, matches, both, refs, np.zeros(4), stds)
    np.testing.assert_array_equal(mask, np.repeat(samples[..., None] > 0.5, 4, -1))
    assert (encoded[samples < 0.5] == 0).all()
    given = (anchors if kind == "corner" else to_center(anchors))[None]
    decoded = call("_contrib_box_decode", encoded, given, std0=0.1, std1=0.1, std2=0.2, std3=0.2, format=kind)
    for b, n in np.argwhere(samples > 0.5):
        np.testing.assert_allclose(decoded[b, n], refs[b, int(matches[b, n])], atol=1e-12)


def test_decoded_sizes_are_limited():
    anchor = np.array([[[0.0, 0, 2, 2]]])
    huge = np.array([[[0.0, 0, 100, -1]]])
    np.testing.assert_allclose(
        call("_contrib_box_decode", huge, anchor, clip=1.0), [[[-np.e, -1 / np.e, np.e, 1 / np.e]]]
    )


def test_inference_of_encoding():
    unknown = [None] * 6
    told = infer("_contrib_box_encode", [(2, 3), None, None, (0, 5, 4), None, None])
    assert told[0] == [(2, 3), (2, 3), (2, 3, 4), (2, 5, 4), (4,), (4,)]
    assert infer("_contrib_box_encode", unknown, [(2, 3, 4), None])[0][0] == (2, 3)
    assert infer("_contrib_box_decode", [None, (1, 7, 4)], [(2, 0, 4)])[0] == [(2, 7, 4), (1, 7, 4)]
    with pytest.raises(MXNetError):
        infer("_contrib_box_decode", [(2, 7, 4), (2, 7, 4)])
