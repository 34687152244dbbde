"""Restored images in a folder: found by name and quality, and what is wrong with them is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.errors import InputError
from ced.methods import Damaged, Failed, checked
from ced.methods.folder import FolderMethod, of_colour, pixels


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.mark.parametrize("name", ["below/man.png", "below/man.bmp", "man.png", "man.tif"])
def test_a_file_is_found_by_path_or_bare_name_and_any_suffix(tmp_path: Path, gray: Damaged, name: str) -> None:
    restored = 255 - gray.image
    save(tmp_path / name, restored)
    assert np.array_equal(checked(FolderMethod("mine", tmp_path), gray), restored)


def test_the_path_goes_before_the_bare_name(tmp_path: Path, gray: Damaged) -> None:
    save(tmp_path / "man.png", gray.image)
    save(tmp_path / "below" / "man.png", 255 - gray.image)
    assert np.array_equal(checked(FolderMethod("mine", tmp_path), gray), 255 - gray.image)


def test_qualities_have_folders_of_their_own(tmp_path: Path, gray: Damaged) -> None:
    save(tmp_path / "q10" / "man.png", gray.image)
    save(tmp_path / "q20" / "man.png", 255 - gray.image)
    assert np.array_equal(checked(FolderMethod("mine", tmp_path), gray), gray.image)
    other = Damaged(gray.name, 30, gray.stream, gray.image)
    with pytest.raises(Failed, match="q30"):
        checked(FolderMethod("mine", tmp_path), other)


def test_colours_have_folders_of_their_own_above_the_qualities(tmp_path: Path, gray: Damaged, colour: Damaged) -> None:
    save(tmp_path / "y" / "q10" / "man.png", 255 - gray.image)
    save(tmp_path / "rgb" / "q20" / "cat.png", 255 - colour.image)
    method = FolderMethod("mine", tmp_path)
    assert np.array_equal(checked(method, gray), 255 - gray.image)
    assert np.array_equal(checked(method, colour), 255 - colour.image)
    assert of_colour(tmp_path / "y", "y") == tmp_path / "y", "qualities are no colours"
    with pytest.raises(Failed, match=r"rgb/q10/below/man\.\* is not there"):
        checked(method, Damaged(gray.name, 10, gray.stream, np.stack([gray.image] * 3, axis=2)))


def test_an_image_of_a_single_file_has_no_folder_in_its_name(tmp_path: Path, gray: Damaged) -> None:
    save(tmp_path / "man.png", gray.image)
    alone = Damaged("man.jpg", 10, gray.stream, gray.image)
    assert np.array_equal(checked(FolderMethod("mine", tmp_path), alone), gray.image)


def apart(folder: Path, *names: str, qualities: tuple[int, ...] = (10,)) -> None:
    FolderMethod("mine", folder).check_apart(names, ("y",), qualities)


def test_one_file_is_never_taken_for_two_originals(tmp_path: Path, gray: Damaged) -> None:
    """Of as many pixels they would be measured against each other, and nobody would see why."""
    save(tmp_path / "man.png", gray.image)
    for others in (("d/below/man.png",), ("d/man.jpg",), ("d/a/man.png", "d/b/man.tif")):
        names = ("d/man.png", *others) if len(others) == 1 else others
        with pytest.raises(InputError, match=f"man.png would stand for {names[0]} and for {names[1]}"):
            apart(tmp_path, *names)
    apart(tmp_path, "d/man.png", "d/woman.png", "d/below/else.png")
    save(tmp_path / "below" / "man.png", gray.image)
    apart(tmp_path, "d/man.png", "d/below/man.png")
    apart(tmp_path / "below", "d/a/other.png", "d/b/other.png")


def test_files_are_apart_at_every_quality_factor(tmp_path: Path, gray: Damaged) -> None:
    for place in ("q10/a/man.png", "q10/b/man.png", "q20/a/man.png", "q20/man.png"):
        save(tmp_path / place, gray.image)
    apart(tmp_path, "d/a/man.png", "d/b/man.png", qualities=(10, 20))
    with pytest.raises(InputError, match="q20/man.png would stand for d/b/man.png and for d/c/man.png"):
        apart(tmp_path, "d/a/man.png", "d/b/man.png", "d/c/man.png", qualities=(10, 20))


@pytest.mark.parametrize("name", ["a.b.png", "a[1]*.png", "ü é.png"])
def test_odd_names_are_names(tmp_path: Path, gray: Damaged, name: str) -> None:
    save(tmp_path / name, gray.image)
    save(tmp_path / "a1x.png", 255 - gray.image)
    odd = Damaged(f"set/{name}", 10, gray.stream, gray.image)
    assert np.array_equal(checked(FolderMethod("mine", tmp_path), odd), gray.image)


def test_a_missing_file_and_two_files_are_failures(tmp_path: Path, gray: Damaged) -> None:
    with pytest.raises(Failed) as caught:
        checked(FolderMethod("mine", tmp_path), gray)
    assert (caught.value.reason, str(tmp_path / "below" / "man") in caught.value.message) == ("no file", True)
    save(tmp_path / "man.png", gray.image)
    save(tmp_path / "man.bmp", gray.image)
    (tmp_path / "man.txt").write_text("no image")
    with pytest.raises(Failed) as caught:
        checked(FolderMethod("mine", tmp_path), gray)
    assert caught.value.reason == "ambiguous"


def test_another_size_and_a_broken_file_are_failures(tmp_path: Path, gray: Damaged) -> None:
    save(tmp_path / "man.png", gray.image[:-1])
    with pytest.raises(Failed, match="70x44, not 70x45"):
        checked(FolderMethod("mine", tmp_path), gray)
    (tmp_path / "man.png").write_bytes(b"words")
    with pytest.raises(Failed, match="man.png: no known image format"):
        checked(FolderMethod("mine", tmp_path), gray)


def test_gray_stored_as_colour_is_gray_and_colour_is_refused(tmp_path: Path, gray: Damaged, colour: Damaged) -> None:
    save(tmp_path / "man.png", np.stack([gray.image] * 3, axis=-1))
    assert np.array_equal(checked(FolderMethod("mine", tmp_path), gray), gray.image)
    save(tmp_path / "man.png", colour.image)
    with pytest.raises(Failed, match="use --colour rgb") as caught:
        checked(FolderMethod("mine", tmp_path), gray)
    assert caught.value.reason == "not gray"


def test_a_gray_file_serves_for_a_colour_image(colour: Damaged, gray: Damaged) -> None:
    import io

    stream = io.BytesIO()
    Image.fromarray(gray.image).save(stream, "PNG")
    assert np.array_equal(pixels(stream.getvalue(), colour, "x"), np.stack([gray.image] * 3, axis=-1))
