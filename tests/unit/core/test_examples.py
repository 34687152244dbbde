"""Examples of one photograph: sizes, flips, crops decided by seed and identity alone. Binary columns to planes and
back, sliced and chunked as Parquet readers give them."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from ced.config import PrepareConfig
from ced.core import examples as core_examples
from ced.core import jpeg
from ced.core.examples import binary, examples, stack
from ced.core.images import Rejected, luminance

RESIZE = PrepareConfig(mode="resize", size=96)
CROPS = PrepareConfig(mode="crops", size=32, smallest_scale=0.3)


def listed(rgb: np.ndarray, config: PrepareConfig, name: str = "a.jpg", crops: int = 3) -> list:
    return list(examples(Image.fromarray(rgb), name, config, crops))


def test_the_whole_image_is_resized_as_pillow_does() -> None:
    cat = data.chelsea()
    plain, flipped = listed(cat, RESIZE)
    expected = luminance(np.asarray(Image.fromarray(cat).resize((96, 96), Image.Resampling.BICUBIC)))
    assert np.array_equal(plain.target, expected[None])
    assert np.array_equal(flipped.target, expected[None, :, ::-1])
    assert (plain.flip, flipped.flip) == (False, True)


@pytest.mark.parametrize("colour", ["y", "rgb"])
def test_inputs_are_what_the_stream_decodes_to(colour: str) -> None:
    for example in listed(data.chelsea(), dataclasses.replace(RESIZE, colour=colour, quality="20")):
        decoded = jpeg.decode(example.jpeg)
        planes = decoded[None] if colour == "y" else decoded.transpose(2, 0, 1)
        assert np.array_equal(example.input, planes)
        assert example.target.shape == (1 if colour == "y" else 3, 96, 96)


def test_without_flips_half_as_many() -> None:
    assert len(listed(data.chelsea(), dataclasses.replace(CROPS, flip=False))) == 3


def test_crops_depend_on_seed_and_identity_alone() -> None:
    cat = data.chelsea()
    first = [e.target.tobytes() for e in listed(cat, CROPS)]
    assert first == [e.target.tobytes() for e in listed(cat, CROPS)]
    assert first[:4] == [e.target.tobytes() for e in listed(cat, CROPS, crops=2)]
    assert first != [e.target.tobytes() for e in listed(cat, CROPS, name="b.jpg")]
    assert first != [e.target.tobytes() for e in listed(cat, dataclasses.replace(CROPS, seed=1))]


def test_crops_are_named_after_the_photograph() -> None:
    assert [e.image_id for e in listed(data.chelsea(), CROPS)] == [f"a.jpg#{i}" for i in (0, 0, 1, 1, 2, 2)]


@given(st.integers(32, 200), st.integers(32, 200), st.floats(0.05, 1), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_crops_of_any_photograph_have_the_size(height: int, width: int, smallest: float, seed: int) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    config = dataclasses.replace(CROPS, smallest_scale=smallest, seed=seed)
    assert all(e.target.shape == (1, 32, 32) for e in listed(rgb, config))


def test_crops_come_at_many_scales() -> None:
    # A ramp's slope in a crop tells the scale it was taken at.
    ramp = np.repeat(np.linspace(0, 255, 400)[None, :, None], 400, axis=0).repeat(3, axis=2).astype(np.uint8)
    slopes = [float(np.ptp(e.target)) for e in listed(ramp, CROPS, crops=40) if not e.flip]
    assert max(slopes) / min(slopes) > 2


def test_a_photograph_smaller_than_a_crop_is_set_aside() -> None:
    with pytest.raises(Rejected, match="too small: 40x31 pixels, a crop takes 32x32"):
        listed(np.zeros((31, 40, 3), np.uint8), CROPS)


def test_one_quality_factor_is_that_of_every_example() -> None:
    assert {e.quality for e in listed(data.chelsea(), dataclasses.replace(CROPS, quality="35"))} == {35}


@pytest.mark.parametrize(("quality", "drawn"), [("10,20,40", {10, 20, 40}), ("11-14", {11, 12, 13, 14})])
def test_quality_factors_are_drawn_per_example(quality: str, drawn: set[int]) -> None:
    found = listed(data.chelsea(), dataclasses.replace(CROPS, quality=quality), crops=40)
    assert {e.quality for e in found} == drawn
    assert any(plain.quality != flipped.quality for plain, flipped in zip(found[::2], found[1::2], strict=True))
    for example in found[:6]:
        assert example.jpeg == jpeg.encode(example.target[0], example.quality)


def test_quality_factors_depend_on_seed_and_identity_alone() -> None:
    several = dataclasses.replace(CROPS, quality="10-90")
    first = [e.quality for e in listed(data.chelsea(), several)]
    assert first == [e.quality for e in listed(data.coffee(), several)]
    assert first != [e.quality for e in listed(data.chelsea(), several, name="b.jpg")]
    assert first != [e.quality for e in listed(data.chelsea(), dataclasses.replace(several, seed=1))]


def test_drawing_quality_factors_moves_no_crop() -> None:
    one, several = (listed(data.chelsea(), dataclasses.replace(CROPS, quality=q)) for q in ("10", "10,90"))
    assert [e.target.tobytes() for e in one] == [e.target.tobytes() for e in several]


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


@given(st.integers(0, 9), st.integers(1, 40))
def test_planes_become_a_column_and_come_back(rows: int, chunk: int) -> None:
    planes = np.random.default_rng(rows).integers(0, 256, (rows, 1, 2, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_examples, "_CHUNK", chunk)  # bytes: also fewer than one value has
        column = binary(planes)
    assert column.to_pylist() == [plane.tobytes() for plane in planes]
    assert np.array_equal(stack(column, (1, 2, 3)), planes)


def test_planes_that_are_views_are_stored_as_they_look() -> None:
    planes = np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4)[..., ::-1]
    assert np.array_equal(stack(binary(planes), (1, 3, 4)), planes)
