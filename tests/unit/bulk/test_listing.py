"""What there is to restore, found in little memory."""

import gc
import multiprocessing
import os
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.bulk import listing
from ced.bulk.listing import Photographs
from ced.data.sources import Photograph

path = st.binary(max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"/")))
photographs = st.builds(
    Photograph,
    st.text(st.characters(codec="utf-8"), max_size=20),
    path | st.just("s3://bucket/a%20b/c.jpg"),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.integers(-1, 1 << 40),
    st.integers(-1, 1 << 50),
    st.sampled_from(["", "/cache/index"]),
    st.sampled_from(["files", "archive"]),
)


@given(st.lists(photographs, max_size=7))
def test_photographs_come_out_as_they_went_in(some: list[Photograph]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "_AT_ONCE", 3)
        kept = Photographs(iter(some))
    assert len(kept) == len(some) and list(kept) == list(kept) == some


def taken(folder: Path, count: int) -> int:
    """Bytes at most, and those that Arrow keeps, of a listing of so many empty files."""
    source = folder / f"{count}"
    source.mkdir()
    for number in range(count):
        (source / f"{number:06d}.jpg").touch()
    gc.collect()
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    found = listing.find([str(source)], str(folder / "out"), "png", False)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(list(found.photographs)) == count
    return most + pa.total_allocated_bytes() - before


def test_a_name_takes_less_than_300_bytes(tmp_path: Path) -> None:
    """In a process of its own: what other tests have left to be freed would count."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(taken, (tmp_path, 100))  # what is imported and cached
        few, many = (pool.apply(taken, (tmp_path, count)) for count in (3_000, 9_000))
    assert (many - few) / 6_000 < 300
