"""Average precision: by a slow obvious reference, two libraries on the same predictions, and what must hold."""

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, jaccard_score

from ced.vision import scoring
from ced.vision.objects import VOID, Detections, Objects, overlaps
from ced.vision.scoring import mean

KINDS = 3


def scene(random: np.random.Generator, difficult: float, sure: bool = False) -> tuple[Objects, Detections]:
    """Up to six objects, found with displaced boxes, some twice, some not at all, some where nothing is."""
    count = int(random.integers(0, 7))
    corners = random.uniform(0, 200, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(10, 100, (count, 2))], axis=1)
    truth = Objects.of(boxes, random.integers(0, KINDS, count), random.random(count) < difficult)
    again = random.integers(0, count, int(random.integers(0, 12))) if count else np.empty(0, int)
    moved = truth.boxes[again] + random.normal(0, 8, (len(again), 4))
    strays = random.uniform(0, 100, (3, 2))
    found = np.concatenate([moved, np.concatenate([strays, strays + 40], axis=1)])
    classes = np.concatenate([truth.classes[again], random.integers(0, KINDS, 3)])
    scores = random.permutation(len(found)) / 16 + random.uniform(0, 1 / 16, len(found))
    return truth, Detections.of(found, scores, classes)


def scenes(seed: int, difficult: float, count: int = 12) -> tuple[list[Objects], list[Detections]]:
    random = np.random.default_rng(seed)
    made = [scene(random, difficult) for _ in range(count)]
    return [truth for truth, _ in made], [found for _, found in made]


def slow(truths: list[Objects], found: list[Detections], number: int) -> tuple[float, float]:
    """VOC's development kit in words: 11-point and area AP of one class."""
    everything = [
        (-float(score), image, box)
        for image, one in enumerate(found)
        for box, score, kind in zip(*one, strict=True)
        if kind == number
    ]
    wanted = sum(1 for t in truths for k, d in zip(t.classes, t.difficult, strict=True) if k == number and not d)
    seen, right, wrong, curve = set(), 0, 0, []
    for _, image, box in sorted(everything, key=lambda one: one[0]):
        truth, best, nearest = truths[image], -1.0, -1
        for place in range(len(truth.boxes)):
            if truth.classes[place] == number:
                shared = overlaps(box[None], truth.boxes[place : place + 1])[0, 0]
                if shared > best:
                    best, nearest = shared, place
        if best >= 0.5 and truth.difficult[nearest]:
            continue
        if best >= 0.5 and (image, nearest) not in seen:
            seen.add((image, nearest))
            right += 1
        else:
            wrong += 1
        curve.append((right / wanted if wanted else 0.0, right / (right + wrong)))
    if not wanted:
        return math.nan, math.nan
    at_least = [max((p for r, p in curve if r >= tenth / 10), default=0.0) for tenth in range(11)]
    every = [max((p for r, p in curve if r >= k / wanted), default=0.0) for k in range(1, wanted + 1)]
    return sum(at_least) / 11, sum(every) / wanted


@given(st.integers(0, 10**6))
def test_both_are_those_of_the_slow_reference(seed: int) -> None:
    truths, found = scenes(seed, difficult=0.3)
    ours = scoring.precision(truths, found)
    for number in range(KINDS):
        expected = slow(truths, found, number)
        assert (ours.eleven_point[number], ours.area[number]) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_both_are_those_of_mean_average_precision_on_objects_that_all_count(seed: int) -> None:
    """Its greedy policy is VOC's. Its flags for difficult objects get mixed up, so there are none; its boxes are
    inclusive."""
    from mean_average_precision.mean_average_precision_2d import MeanAveragePrecision2d

    truths, found = scenes(seed, difficult=0.0, count=30)
    theirs = MeanAveragePrecision2d(KINDS)
    for truth, one in zip(truths, found, strict=True):
        inclusive = [boxes.astype(np.float64) - (0, 0, 1, 1) for boxes in (truth.boxes, one.boxes)]
        nothing = np.zeros(len(truth.classes))
        theirs.add(np.c_[inclusive[1], one.classes, one.scores], np.c_[inclusive[0], truth.classes, nothing, nothing])
    ours = scoring.precision(truths, found)
    eleven = theirs.value(0.5, recall_thresholds=np.arange(11) / 10, mpolicy="greedy")
    area = theirs.value(0.5, mpolicy="greedy")
    assert ours.eleven_point[:KINDS] == pytest.approx([eleven[0.5][n]["ap"] for n in range(KINDS)], abs=1e-6)
    assert ours.area[:KINDS] == pytest.approx([area[0.5][n]["ap"] for n in range(KINDS)], abs=1e-6)
    assert mean(ours.eleven_point) == pytest.approx(eleven["mAP"], abs=1e-6)


def apart(seed: int) -> tuple[list[Objects], list[Detections]]:
    """Objects on a grid, each found once at most, some difficult: here COCO's way of matching is VOC's."""
    random = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(20):
        corners = 100.0 * np.stack(np.unravel_index(random.permutation(16)[:8], (4, 4)), axis=1)
        boxes = np.concatenate([corners, corners + 60], axis=1)
        truths.append(Objects.of(boxes, random.integers(0, KINDS, 8), random.random(8) < 0.3))
        places = random.permutation(8)[:6]
        moved = boxes[places] + random.normal(0, 9, (6, 4))
        stray = [[405.0, 405, 440, 440]]
        scores = random.random(7)
        found.append(Detections.of([*moved, *stray], scores, [*truths[-1].classes[places], 0]))
    return truths, found


@pytest.mark.parametrize("seed", range(5))
def test_both_are_those_of_pycocotools_with_difficult_objects(seed: int) -> None:
    """COCO asks for the best precision at 101 recalls; asked for 11, or for one at each object, it gives VOC's two.

    A difficult object is one whose area lies outside of the range that counts.
    """
    truths, found = apart(seed)
    ours = scoring.precision(truths, found)
    for number in range(KINDS):
        recalls = np.arange(1, scoring.matches(truths, found, number).objects + 1)
        assert ours.eleven_point[number] == pytest.approx(coco(truths, found, number, np.arange(11) / 10), abs=1e-9)
        assert ours.area[number] == pytest.approx(coco(truths, found, number, recalls / len(recalls)), abs=1e-9)


def coco(truths: list[Objects], found: list[Detections], number: int, recalls: np.ndarray) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    labelled, seen = [], []
    for image, (truth, one) in enumerate(zip(truths, found, strict=True), start=1):
        for box, kind, hard in zip(*truth, strict=True):
            area = 1e9 if hard else 100.0
            labelled.append(
                {"image_id": image, "category_id": int(kind), "bbox": wide(box), "area": area, "iscrowd": 0}
            )
        for box, score, kind in zip(*one, strict=True):
            seen.append({"image_id": image, "category_id": int(kind), "bbox": wide(box), "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        numbered = [{**one, "id": n} for n, one in enumerate(labelled, start=1)]
        images = [{"id": n} for n in range(1, len(truths) + 1)]
        data.dataset = {"images": images, "categories": [{"id": n} for n in range(KINDS)], "annotations": numbered}
        data.createIndex()
        judge = COCOeval(data, data.loadRes(seen), "bbox")
        judge.params.catIds, judge.params.iouThrs, judge.params.recThrs = [number], np.array([0.5]), recalls
        judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e8]], ["all"], [100]
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"][0, :, 0, 0, 0].mean())


def wide(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = map(float, box)
    return [x1, y1, x2 - x1, y2 - y1]


@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_no_order_plays_a_part_even_among_equal_scores(seed: int, random: object) -> None:
    truths, found = scenes(seed, difficult=0.3, count=5)
    found = [one._replace(scores=np.round(one.scores, 1)) for one in found]
    order = random.sample(range(5), 5)  # type: ignore[attr-defined]
    within = [random.sample(range(len(one.scores)), len(one.scores)) for one in found]  # type: ignore[attr-defined]
    mixed = [Detections(*(column[p] for column in one)) for one, p in zip(found, within, strict=True)]
    ours, other = (
        scoring.precision(truths, found),
        scoring.precision([truths[n] for n in order], [mixed[n] for n in order]),
    )
    assert np.array_equal(ours.area, other.area, equal_nan=True)
    assert np.array_equal(ours.eleven_point, other.eleven_point, equal_nan=True)


@given(st.integers(0, 10**6))
def test_perfect_detections_have_a_precision_of_one(seed: int) -> None:
    truths, _ = scenes(seed, difficult=0.0)
    found = [Detections.of(t.boxes, np.linspace(0.9, 0.1, len(t.classes)), t.classes) for t in truths]
    ours = scoring.precision(truths, found)
    there = {int(kind) for truth in truths for kind in truth.classes}
    for values in (ours.eleven_point, ours.area):
        assert [n for n in range(20) if values[n] == 1] == sorted(there)
        assert np.isnan(np.delete(values, sorted(there))).all()
    assert mean(ours.eleven_point) == mean(ours.area) == 1 if there else math.isnan(mean(ours.area))


@given(st.integers(0, 10**6))
def test_wrong_detections_less_sure_than_all_change_nothing_of_the_area(seed: int) -> None:
    truths, found = scenes(seed, difficult=0.3)
    stray = [900, 900, 950, 950]
    more = [Detections.of([*one.boxes, stray], [*one.scores, 0], [*one.classes, 1]) for one in found]
    before, after = (scoring.precision(truths, some).area for some in (found, more))
    assert after == pytest.approx(before, rel=1e-12, nan_ok=True)  # more zeros in the sum: other last bits


def test_a_worked_example() -> None:
    """Two objects; surest a hit, then a second hit on the same one (wrong), then the other."""
    truth = Objects.of([[0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]], [4, 4, 4], [False, False, True])
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [80, 80, 90, 90]]
    found = Detections.of(boxes, [0.9, 0.8, 0.7, 0.6], [4, 4, 4, 4])
    curve = scoring.matches([truth], [found], 4)
    assert (curve.right.tolist(), curve.wrong.tolist(), curve.objects) == ([1, 1, 2], [0, 1, 1], 2)
    assert scoring.area(curve) == pytest.approx((1 + 2 / 3) / 2)
    assert scoring.eleven_point(curve) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)  # recall 0.5 is reached by the first


def test_an_overlap_of_exactly_one_half_counts() -> None:
    truth = Objects.of([[0, 0, 10, 10]], [0], [False])
    half, less = ([[0, 0, 10, 5]], [[0, 0, 10, 4.99]])
    assert mean(scoring.precision([truth], [Detections.of(half, [1], [0])]).area) == 1
    assert mean(scoring.precision([truth], [Detections.of(less, [1], [0])]).area) == 0


def test_recall_is_compared_in_whole_numbers() -> None:
    """Three of ten objects found: recall 0.3 is reached, though 0.1 + 0.1 + 0.1 is more than 0.3."""
    one = scoring.Matches(np.array([1, 2, 3]), np.zeros(3, np.int64), 10)
    assert scoring.eleven_point(one) == 4 / 11


def test_nothing_found_is_zero_and_nothing_there_is_no_value() -> None:
    truth, nothing = Objects.of([[0, 0, 10, 10]], [3], [False]), Detections.of([], [], [])
    ours = scoring.precision([truth], [nothing])
    assert (ours.area[3], ours.eleven_point[3], mean(ours.area)) == (0, 0, 0)
    assert np.isnan(ours.area[[0, 1, 2, 4]]).all()
    only_difficult = truth._replace(difficult=np.array([True]))
    assert math.isnan(mean(scoring.precision([only_difficult], [nothing]).area))


VALUES = st.sampled_from([0, 1, 2, 15, 20, VOID])
MASKS = arrays(np.uint8, (6, 7), elements=VALUES)
LABELS = arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 15, 20]))


@given(MASKS, LABELS)
def test_confusion_and_iou_are_scikit_learns(truth: np.ndarray, predicted: np.ndarray) -> None:
    kept = truth != VOID
    found = scoring.confusion(truth, predicted)
    assert found.dtype == np.int64
    if not kept.any():
        assert not found.any()
        return
    assert np.array_equal(found, confusion_matrix(truth[kept], predicted[kept], labels=range(21)))
    there = sorted({*truth[kept].tolist(), *predicted[kept].tolist()})
    expected = jaccard_score(truth[kept], predicted[kept], labels=there, average=None)
    ours = scoring.intersection_over_union(found)
    assert ours[there] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(np.delete(ours, there)).all()
    assert mean(ours) == pytest.approx(expected.mean(), abs=1e-12)


@given(MASKS, LABELS)
def test_each_pixel_is_counted_once(truth: np.ndarray, predicted: np.ndarray) -> None:
    expected = np.zeros((21, 21), np.int64)
    for row, column in zip(truth.ravel(), predicted.ravel(), strict=True):
        if row != VOID:
            expected[row, column] += 1
    assert np.array_equal(scoring.confusion(truth, predicted), expected)


@given(st.lists(st.tuples(MASKS, LABELS), min_size=1, max_size=4))
def test_the_sum_over_images_is_that_of_all_pixels(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    one_by_one = sum(scoring.confusion(*pair) for pair in pairs)
    truths, labels = (np.concatenate(some) for some in zip(*pairs, strict=True))
    assert np.array_equal(one_by_one, scoring.confusion(truths, labels))


@given(MASKS)
def test_a_perfect_segmentation_has_an_iou_of_one_whatever_it_says_of_void(truth: np.ndarray) -> None:
    predicted = np.where(truth == VOID, 7, truth).astype(np.uint8)
    ours = scoring.intersection_over_union(scoring.confusion(truth, predicted))
    assert (mean(ours) == 1) if (truth != VOID).any() else math.isnan(mean(ours))


def test_a_worked_example_of_pixels() -> None:
    truth = np.array([[0, 0, 15, 15], [VOID, 0, 15, VOID]], np.uint8)
    predicted = np.array([[0, 15, 15, 15], [3, 0, 0, 15]], np.uint8)
    ours = scoring.intersection_over_union(scoring.confusion(truth, predicted))
    assert (ours[0], ours[15], mean(ours)) == (2 / 4, 2 / 4, 0.5)
    assert np.isnan(ours[3])  # said of a void pixel alone


@pytest.mark.parametrize(("truth", "predicted"), [(21, 0), (0, 21), (0, VOID)])
def test_classes_that_are_none_are_refused(truth: int, predicted: int) -> None:
    with pytest.raises(ValueError, match="masks hold 0 to 20, and 255 for void"):
        scoring.confusion(np.full((2, 2), truth, np.uint8), np.full((2, 2), predicted, np.uint8))


def test_masks_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="different size"):
        scoring.confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
