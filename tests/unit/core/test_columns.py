"""Binary columns to planes and back, sliced and chunked as Parquet readers give them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.core import columns
from ced.core.colour import luminance
from ced.core.columns import binary, luma_of, stack


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 2))
def test_chunks_and_slices(lengths: list[int], skip: int) -> None:
    planes = np.random.default_rng(0).integers(0, 256, (sum(lengths), 1, 2, 3), np.uint8)
    pieces = np.split(planes, np.cumsum(lengths)[:-1])
    column = pa.chunked_array([pa.array([p.tobytes() for p in piece], pa.binary()) for piece in pieces])
    assert np.array_equal(stack(column.slice(skip), (1, 2, 3)), planes[skip:])


def test_values_of_another_size_are_refused() -> None:
    column = pa.chunked_array([pa.array([b"123456", b"12345"])])
    with pytest.raises(ValueError, match="not all of 6 bytes"):
        stack(column, (1, 2, 3))


def test_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="not all of 2 bytes"):
        stack(pa.chunked_array([pa.array([b"12", None])]), (2,))


def test_luma_of_one_and_of_three_planes() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 3, 8, 8), np.uint8)
    assert np.array_equal(luma_of(rgb), luminance(rgb.transpose(0, 2, 3, 1)))
    assert np.array_equal(luma_of(rgb[:, :1]), rgb[:, 0])


@given(st.integers(0, 9), st.integers(1, 40))
def test_planes_become_a_column_and_come_back(rows: int, chunk: int) -> None:
    planes = np.random.default_rng(rows).integers(0, 256, (rows, 1, 2, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_CHUNK", chunk)  # bytes: also fewer than one value has
        column = binary(planes)
    assert column.to_pylist() == [plane.tobytes() for plane in planes]
    assert np.array_equal(stack(column, (1, 2, 3)), planes)


def test_planes_that_are_views_are_stored_as_they_look() -> None:
    planes = np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4)[..., ::-1]
    assert np.array_equal(stack(binary(planes), (1, 3, 4)), planes)
