"""Edges, means and labels against NumPy on all coefficients at once."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import data

from ced.core.classes import Classes, fit, wanted_bins
from ced.core.frequency import coefficients
from ced.core.quantiles import Coarse, Fine
from ced.errors import FormatError


def fitted(values: np.ndarray, count: int = 7) -> Classes:
    coarse = Coarse.of(values)
    return fit(coarse, Fine.of(values, wanted_bins(coarse, count)), count)


def slow_label(value: float, edges: np.ndarray) -> int:
    return sum(1 for edge in edges if value > edge)


@pytest.fixture(scope="module")
def q() -> np.ndarray:
    """Coefficients of real photographs: (16, N)."""
    planes = np.stack([data.camera(), data.brick(), data.grass()])
    return coefficients(planes).transpose(1, 0, 2, 3).reshape(16, -1)


@pytest.fixture(scope="module")
def classes(q: np.ndarray) -> Classes:
    return fitted(q)


def test_edges_are_numpys_quantiles_bit_for_bit(q: np.ndarray, classes: Classes) -> None:
    expected = np.quantile(q, np.arange(1, 7) / 7, method="inverted_cdf", axis=1).T.astype(np.float32)
    assert np.array_equal(classes.edges.view(np.uint32), expected.view(np.uint32))


def test_counts_are_equal_up_to_ties(q: np.ndarray, classes: Classes) -> None:
    assert (classes.counts.sum(axis=1) == q.shape[1]).all()
    for channel in range(16):
        ties = max((q[channel] == edge).sum() for edge in classes.edges[channel])
        assert np.abs(classes.counts[channel] - q.shape[1] / 7).max() <= ties + 1


def test_labels_are_searchsorted(q: np.ndarray, classes: Classes) -> None:
    maps = q[:, :400].reshape(16, 20, 20)
    labels = classes.label(maps)
    assert labels.dtype == np.uint8
    for channel in range(16):
        expected = np.searchsorted(classes.edges[channel], maps[channel], side="left")
        assert np.array_equal(labels[channel], expected)
    assert labels[5, 3, 4] == slow_label(maps[5, 3, 4], classes.edges[5])


def test_counts_and_means_are_those_of_the_labels(q: np.ndarray, classes: Classes) -> None:
    labels = classes.label(q[:, :, None])[:, :, 0]
    for channel in range(16):
        for k in range(7):
            members = q[channel][labels[channel] == k].astype(float)
            assert classes.counts[channel, k] == members.size
            # Fixed point of 2^-20 and one float32 rounding of the mean.
            assert classes.representatives[channel, k] == pytest.approx(members.mean(), rel=2**-23, abs=2**-20)


@given(
    hnp.arrays(np.float32, st.tuples(st.just(1), st.integers(1, 40)), elements=st.integers(-3, 3)),
    st.integers(2, 7),
)
@settings(max_examples=60, deadline=None)
def test_ties_and_few_values(values: np.ndarray, count: int) -> None:
    classes = fitted(values, count)
    expected = np.quantile(values[0], np.arange(1, count) / count, method="inverted_cdf")
    assert np.array_equal(classes.edges[0], expected)
    labels = np.searchsorted(expected, values[0], side="left")
    assert np.array_equal(classes.counts[0], np.bincount(labels, minlength=count))
    assert (np.diff(classes.representatives[0]) >= 0).all()


def test_mapping_gives_each_class_its_representative(classes: Classes) -> None:
    labels = np.random.default_rng(0).integers(0, 7, (2, 16, 3, 5)).astype(np.uint8)
    mapped = classes.coefficients(labels)
    for index in np.ndindex(*labels.shape):
        assert mapped[index] == classes.representatives[index[1], labels[index]]


def test_deviations_are_those_of_the_mapped_labels(q: np.ndarray, classes: Classes) -> None:
    mapped = classes.coefficients(classes.label(q[:, :, None]))[:, :, 0].astype(float)
    assert classes.deviations == pytest.approx(mapped.std(axis=1), rel=1e-5)


def test_a_channel_of_one_value_has_deviation_one() -> None:
    assert fitted(np.zeros((1, 9), np.float32)).deviations.tolist() == [1.0]


def test_json_gives_the_same_bits_back(classes: Classes) -> None:
    again = Classes.from_json(classes.to_json())
    for name in ("edges", "representatives", "counts"):
        assert getattr(again, name).tobytes() == getattr(classes, name).tobytes()
    assert again.to_json() == classes.to_json()


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"format": "other"}, "not a class table"),
        ({"version": 2}, "version 2, this ced reads version 1"),
        ({"edges": [[1.0]]}, "tables of different shapes"),
        ({"counts": None}, "not a valid class table"),
        ({"representatives": [["a"]]}, "not a valid class table"),
    ],
)
def test_other_formats_are_refused_by_name(classes: Classes, change: dict[str, object], clause: str) -> None:
    text = json.dumps(json.loads(classes.to_json()) | change)
    with pytest.raises(FormatError, match=clause) as refusal:
        Classes.from_json(text, "here/classes.json")
    assert str(refusal.value).startswith("here/classes.json: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '"x"', '{"format": "ced-classes", "version": 1, "edges": NaN}']
)
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Classes.from_json(text)
