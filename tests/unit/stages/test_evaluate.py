"""What an evaluation is called, and what is found out before it starts."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from ced.config import Config, EvaluateConfig
from ced.core import jpeg, metrics
from ced.core.colour import luminance
from ced.errors import ConfigError, InputError
from ced.stages import evaluate


@pytest.mark.parametrize(
    ("images", "name"),
    [("/data/live1", "LIVE1"), ("/data/LIVE1/", "LIVE1"), ("x/bsds500", "BSDS500"), ("my photos", "my photos")],
)
def test_data_sets_are_named_after_their_folder(images: str, name: str) -> None:
    assert evaluate.dataset_name(images) == name


def test_the_builtin_photographs_have_a_name_too() -> None:
    assert evaluate.dataset_name("builtin:test") == "built-in"


def test_mistakes_are_found_before_training(tmp_path: Path) -> None:
    config = Config(images=("builtin:train",), test_images="builtin:test")
    evaluate.check(config)
    with pytest.raises(InputError, match="--images"):
        evaluate.check(dataclasses.replace(config, images=()))
    with pytest.raises(InputError, match="lost: no such folder"):
        evaluate.check(dataclasses.replace(config, images=("builtin:train", str(tmp_path / "lost"))))
    with pytest.raises(InputError, match="--test-images"):
        evaluate.check(dataclasses.replace(config, test_images=""))
    with pytest.raises(InputError, match="gone: no such folder"):
        evaluate.check(dataclasses.replace(config, test_images=str(tmp_path / "gone")))
    only_ed = dataclasses.replace(config, evaluate=EvaluateConfig(methods=("ed",)))
    with pytest.raises(ConfigError, match="publish.method ced-gt is not evaluated"):
        evaluate.check(only_ed)


def task(folder: Path, pictures: int = 0) -> evaluate.Task:
    return evaluate.Task("set", str(folder), (10, 20), (("jpeg", ""),), pictures)


def test_one_image_is_one_part_of_all_methods_and_qualities(tmp_path: Path) -> None:
    Image.fromarray(data.chelsea()[:75, :101]).save(tmp_path / "cat.png")
    row = {"number": 3, "name": "set/cat.png", "photograph": ("set/cat.png", str(tmp_path / "cat.png"), "")}
    assert evaluate.evaluate_image(task(tmp_path), row)["reason"] == ""
    rows = pq.read_table(tmp_path / ".parts" / "part-00003.parquet").to_pylist()
    assert [(r["quality"], r["method"], r["height"], r["width"]) for r in rows] == [
        (10, "jpeg", 75, 101),
        (20, "jpeg", 75, 101),
    ]
    original = luminance(data.chelsea()[:75, :101])
    expected = metrics.measure(original, jpeg.decode(jpeg.encode(original, 10)))
    assert {name: rows[0][name] for name in expected._fields} == expected._asdict()


def test_pictures_are_kept_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(data.chelsea()[:40, :40]).save(tmp_path / "cat.png")
    evaluate.evaluate_image(
        task(tmp_path, pictures=1), {"number": 0, "name": "n", "photograph": ("n", str(tmp_path / "cat.png"), "")}
    )
    original = luminance(data.chelsea()[:40, :40])
    with Image.open(tmp_path / "pictures" / "00000-q000-original.png") as kept:
        assert np.array_equal(np.asarray(kept), original)
    with Image.open(tmp_path / "pictures" / "00000-q020-jpeg.png") as kept:
        assert np.array_equal(np.asarray(kept), jpeg.decode(jpeg.encode(original, 20)))


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"words", "not an image")])
def test_a_bad_image_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    row = {"number": 0, "name": "set/bad.jpg", "photograph": ("set/bad.jpg", str(tmp_path / "bad.jpg"), "")}
    assert evaluate.evaluate_image(task(tmp_path), row)["reason"] == reason


def test_an_image_smaller_than_a_measures_window_says_so(tmp_path: Path) -> None:
    Image.new("L", (8, 30)).save(tmp_path / "thin.png")
    row = {"number": 0, "name": "set/thin.png", "photograph": ("set/thin.png", str(tmp_path / "thin.png"), "")}
    answer = evaluate.evaluate_image(task(tmp_path), row)
    assert (answer["reason"], answer["message"]) == ("too small", "8x30 pixels, the measures take 9x9 and more")
