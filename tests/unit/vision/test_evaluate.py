"""One image of Table 3: which methods restore it, which versions are looked at, and what is kept and drawn of each."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from skimage import data

from ced import schema
from ced.config import NetworkConfig, VisionConfig
from ced.core import jpeg
from ced.core.images import luminance
from ced.errors import CedError, FormatError, InputError
from ced.evaluation.runner import measure_part
from ced.methods import Damaged, checked
from ced.methods.command import CommandMethod
from ced.methods.restorer import JpegMethod, RestorerMethod
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.restoration import restorer
from ced.store.attempts import MOST, Attempts
from ced.vision import backends, scoring, voc
from ced.vision import evaluate as evaluate_vision
from ced.vision.evaluate import Recognition, Sources
from ced.vision.objects import CLASSES, SEGMENTS, Detections, Objects

BOTH = VisionConfig(methods=("original", "jpeg"), qualities=(10, 20), colours=("rgb", "y"), pictures=1)


@pytest.fixture
def sources(tiny_voc: Path, tiny_detector: Path, tiny_segmenter: Path) -> Sources:
    return Sources(str(tiny_voc), "", str(tiny_detector), str(tiny_segmenter))


def task_of(number: int, scene: voc.Scene) -> dict:
    part = f"part-{number:05d}.parquet"
    return {"part": part, "name": scene.name, "number": number, "scene": json.dumps(scene)}


def evaluate(sources: Sources, folder: Path, number: int = 0, config: VisionConfig = BOTH) -> list[dict]:
    scene = voc.find(sources.voc)[number]
    measurer = Recognition(config, sources, str(folder), evaluate_vision.find_methods(config, folder))
    answer = measure_part(measurer, task_of(number, scene))()
    assert (answer["name"], answer["reason"], answer["message"]) == (scene.name, "", "")
    table = pq.read_table(folder / ".parts" / f"part-{number:05d}.parquet")
    assert table.schema.equals(schema.VISION)
    rows: list[dict] = table.to_pylist()
    return rows


def confusion(row: dict) -> np.ndarray:
    return np.frombuffer(row["confusion"], "<i8").reshape(21, 21)


def test_the_original_is_looked_at_once_in_each_colour(sources: Sources, tmp_path: Path) -> None:
    rows = evaluate(sources, tmp_path)
    assert [(row["colour"], row["quality"], row["method"]) for row in rows] == [
        *(("rgb", 0, "original"), ("rgb", 10, "jpeg"), ("rgb", 20, "jpeg")),
        *(("y", 0, "original"), ("y", 10, "jpeg"), ("y", 20, "jpeg")),
    ]
    assert {(row["dataset"], row["image_id"], row["height"], row["width"]) for row in rows} == {
        ("voc", "2007_000000", 48, 64)
    }


def test_a_row_holds_what_was_found_and_what_is_labelled(sources: Sources, tmp_path: Path) -> None:
    row = evaluate(sources, tmp_path, number=2)[0]
    assert row["true_boxes"] == [[32, 0, 48, 16], [48, 32, 64, 48]]
    assert row["true_classes"] == ["person", "dog"] and row["true_difficult"] == [False, False]
    assert sorted(zip(row["classes"], row["boxes"], strict=True)) == [
        ("dog", [48, 32, 64, 48]),
        ("person", [32, 0, 48, 16]),
    ]
    assert min(row["scores"]) > 0.99
    expected = np.zeros((21, 21), np.int64)
    expected[0, 0], expected[15, 15], expected[12, 12] = 48 * 63 - 256 - 240, 256, 240  # void takes the last column
    assert np.array_equal(confusion(row), expected)


def test_the_models_are_shown_the_damaged_image_itself(sources: Sources, tmp_path: Path) -> None:
    rgb, mask = voc.read(voc.find(sources.voc)[0])
    rows = {(row["colour"], row["quality"]): row for row in evaluate(sources, tmp_path)}
    gray = jpeg.decode(jpeg.encode(luminance(rgb), 10))
    assert gray.ndim == 2  # one-channel JPEG
    shown = {("rgb", 10): jpeg.decode(jpeg.encode(rgb, 10)), ("y", 10): np.stack([gray] * 3, axis=2)}
    for key, image in shown.items():
        found = backends.load_detector(sources.detector).detect(image)
        labels = backends.load_segmenter(sources.segmenter).segment(image)
        assert rows[key]["boxes"] == found.boxes.tolist()
        assert rows[key]["scores"] == found.scores.tolist()
        assert np.array_equal(confusion(rows[key]), scoring.confusion(mask, labels))


def test_without_the_original_only_the_others_are_looked_at(sources: Sources, tmp_path: Path) -> None:
    config = VisionConfig(methods=("jpeg",), pictures=0)
    rows = evaluate(sources, tmp_path, config=config)
    assert [(row["method"], row["quality"]) for row in rows] == [("jpeg", 10)]
    assert not (tmp_path / "pictures").exists()


def test_a_method_that_fails_has_a_row_that_says_why(sources: Sources, tmp_path: Path) -> None:
    """A program that restores nothing; the other method and the other images go on."""
    config = VisionConfig(methods=("jpeg", "none=command:sh -c 'echo lost >&2; exit 3' {input} {output}"), pictures=1)
    good, bad = evaluate(sources, tmp_path, config=config)
    assert (good["reason"], good["message"]) == ("", "")
    assert (bad["method"], bad["reason"], bad["message"]) == ("none", "exit code", "sh ended with 3 (lost)")
    assert bad["boxes"] == bad["scores"] == bad["classes"] == [] and bad["confusion"] is None
    assert (bad["height"], bad["width"], bad["true_boxes"]) == (48, 64, good["true_boxes"])
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["00000-rgb-q010-jpeg.png"]


def test_images_restored_elsewhere_are_what_is_looked_at(sources: Sources, tmp_path: Path) -> None:
    """A folder that holds the original instead of the damaged image: what is seen is what is seen in the original."""
    scene = voc.find(sources.voc)[2]
    rgb, _ = voc.read(scene)
    (tmp_path / "restored").mkdir()
    Image.fromarray(rgb).save(tmp_path / "restored" / f"{scene.name}.png")
    methods = ("original", "jpeg", f"perfect=folder:{tmp_path / 'restored'}")
    config = VisionConfig(methods=methods, qualities=(1,), pictures=0)
    original, jpeg, perfect = evaluate(sources, tmp_path, 2, config)
    for column in ("boxes", "scores", "classes", "confusion"):
        assert perfect[column] == original[column]
    assert jpeg["scores"] != original["scores"]


def test_the_first_images_are_drawn(sources: Sources, tmp_path: Path) -> None:
    evaluate(sources, tmp_path, 0)
    evaluate(sources, tmp_path, 1)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names[0] == "00000-rgb-q000-original.png"
    assert len(names) == 6 and all(name.startswith("00000-") for name in names)
    with Image.open(tmp_path / "pictures" / names[0]) as image:
        assert image.size == (128, 48)


def test_a_bad_image_says_why(sources: Sources, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sources.voc, tmp_path / "voc"))
    (folder / "JPEGImages" / "2007_000000.png").write_bytes(b"words")
    scene = voc.find(str(folder))[0]
    measurer = Recognition(BOTH, sources, str(tmp_path), ())
    answer = measure_part(measurer, task_of(0, scene))()
    assert (answer["name"], answer["reason"]) == ("2007_000000", "not an image")
    assert not (tmp_path / ".parts").exists()


def test_data_sets_are_named_after_their_folder_and_split(sources: Sources) -> None:
    assert evaluate_vision.dataset_name(sources) == "voc"
    assert evaluate_vision.dataset_name(sources._replace(split="val")) == "voc val"


def ended(folder: Path, step: str) -> None:
    """What processes leave that end at a step of the first image, often enough."""
    for _ in range(MOST):
        Attempts(folder / ".begun" / "part-00000.parquet").take(step, AssertionError)


def test_a_method_that_ends_the_process_again_and_again_has_failed_there(sources: Sources, tmp_path: Path) -> None:
    ended(tmp_path, "jpeg 20 y")
    rows = evaluate(sources, tmp_path)
    failed = [(row["method"], row["quality"], row["colour"]) for row in rows if row["reason"]]
    assert failed == [("jpeg", 20, "y")] and rows[-1]["reason"] == "crashed"
    assert not list((tmp_path / ".begun").iterdir())


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("image", "3 times the process ended that decoded it"),
        ("models at jpeg 10 rgb", "3 times the process ended that showed jpeg 10 rgb to the models"),
    ],
)
def test_an_image_at_which_decoder_or_models_end_the_process_is_told(
    sources: Sources, tmp_path: Path, step: str, message: str
) -> None:
    ended(tmp_path, step)
    scene = voc.find(sources.voc)[0]
    measurer = Recognition(BOTH, sources, str(tmp_path), evaluate_vision.find_methods(BOTH, tmp_path))
    answer = measure_part(measurer, task_of(0, scene))()
    assert (answer["name"], answer["reason"], answer["message"]) == (scene.name, "crashed", message)
    assert not (tmp_path / ".parts").exists() and not list((tmp_path / ".begun").iterdir())


RGB = np.ascontiguousarray(data.chelsea()[40:91, 60:130])
OFFSET = 20


def brightener(folder: Path, channels: int) -> str:
    """A restorer that adds OFFSET to every value."""
    network = AutoEncoder(NetworkConfig(width=4, width_half=4, width_full=4, blocks=1), channels, conditioned=False)
    torch.nn.init.zeros_(network.decoder.last.weight)
    torch.nn.init.constant_(network.decoder.last.bias, OFFSET / 255)
    folder.mkdir()
    for name, content in restorer.files("ed", weights.encode(network)).items():
        (folder / name).write_bytes(content)
    return str(folder)


@pytest.fixture(scope="module")
def luminance_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return brightener(tmp_path_factory.mktemp("y") / "restorer", 1)


@pytest.fixture(scope="module")
def rgb_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return brightener(tmp_path_factory.mktemp("rgb") / "restorer", 3)


def brighter(plane: np.ndarray) -> np.ndarray:
    return np.clip(plane.astype(int) + OFFSET, 0, 255).astype(np.uint8)


def damaged(image: np.ndarray) -> Damaged:
    return Damaged("cat.jpg", 10, b"", image)


def restored(folder: str, through: str, image: np.ndarray, tmp_path: Path) -> np.ndarray:
    """What the method makes of an image, as a worker opens it."""
    colour = "rgb" if image.ndim == 3 else "y"
    config = VisionConfig(methods=("original", f"mine={folder}"), colours=(colour,), through=through)
    (prepared,) = evaluate_vision.find_methods(config, tmp_path)
    return checked(prepared, damaged(image))


def ycbcr(rgb: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(plane) for plane in Image.fromarray(rgb).convert("YCbCr").split()]


def merged(*planes: np.ndarray) -> np.ndarray:
    return np.asarray(Image.merge("YCbCr", [Image.fromarray(plane) for plane in planes]).convert("RGB"))


def test_luminance_goes_through_the_model(luminance_model: str, tmp_path: Path) -> None:
    plane = np.ascontiguousarray(RGB[..., 1])
    for through in ("", "luma", "rgb"):  # "rgb" says nothing about luminance
        assert np.array_equal(restored(luminance_model, through, plane, tmp_path), brighter(plane))


@pytest.mark.parametrize("through", ["", "ycbcr"])
def test_every_channel_of_ycbcr_goes_through_a_model_of_luminance(
    luminance_model: str, through: str, tmp_path: Path
) -> None:
    expected = merged(*map(brighter, ycbcr(RGB)))
    assert np.array_equal(restored(luminance_model, through, RGB, tmp_path), expected)


def test_luma_alone_leaves_the_colours(luminance_model: str, tmp_path: Path) -> None:
    luma, blue, red = ycbcr(RGB)
    assert np.array_equal(restored(luminance_model, "luma", RGB, tmp_path), merged(brighter(luma), blue, red))


@pytest.mark.parametrize("through", ["", "rgb"])
def test_a_model_of_rgb_takes_all_three_at_once(rgb_model: str, through: str, tmp_path: Path) -> None:
    assert np.array_equal(restored(rgb_model, through, RGB, tmp_path), brighter(RGB))


def test_the_original_is_no_method_and_the_others_keep_their_order(luminance_model: str, tmp_path: Path) -> None:
    texts = ("cp=command:cp {input} {output}", "original", "jpeg", f"mine={luminance_model}")
    found = evaluate_vision.find_methods(VisionConfig(methods=texts), tmp_path)
    assert [(method.name, type(method)) for method in found] == [
        ("cp", CommandMethod),
        ("jpeg", JpegMethod),
        ("mine", RestorerMethod),
    ]


@pytest.mark.parametrize(
    ("model", "colours", "through", "message"),
    [
        ("rgb", ("rgb", "y"), "", "method mine: .* restores colour images alone; use --colour rgb"),
        ("rgb", ("rgb",), "luma", "--methods mine: .* restores RGB; use --through rgb, or leave it out"),
        ("y", ("rgb",), "rgb", "--methods mine: .* restores luminance; use --through ycbcr or luma, or leave it out"),
    ],
)
def test_what_a_model_cannot_take_is_found_out_early(
    model: str,
    colours: tuple[str, ...],
    through: str,
    message: str,
    rgb_model: str,
    luminance_model: str,
    tmp_path: Path,
) -> None:
    folder = {"rgb": rgb_model, "y": luminance_model}[model]
    with pytest.raises(CedError, match=message):
        evaluate_vision.find_methods(
            VisionConfig(methods=(f"mine={folder}",), colours=colours, through=through), tmp_path
        )


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    for text, kind in ((f"mine={tmp_path}", FormatError), (f"mine=folder:{tmp_path / 'gone'}", InputError)):
        with pytest.raises(kind):
            evaluate_vision.find_methods(VisionConfig(methods=(text,)), tmp_path)


GRAY = np.full((60, 80, 3), 100, np.uint8)
NOTHING = Objects.of([], [], [])
DOG = CLASSES.index("dog")


def test_the_colours_are_vocs() -> None:
    colours = evaluate_vision.palette()
    known = {"background": (0, 0, 0), "aeroplane": (128, 0, 0), "dog": (64, 0, 128), "tvmonitor": (0, 64, 128)}
    assert {name: tuple(colours[SEGMENTS.index(name)].tolist()) for name in known} == known
    assert tuple(colours[255].tolist()) == (224, 224, 192)


def test_a_box_is_drawn_on_its_own_pixels() -> None:
    found = Detections.of([[10, 20, 50, 55]], [0.9], [DOG])
    drawn = evaluate_vision.draw_boxes(GRAY, found, NOTHING)
    changed = (drawn != GRAY).any(axis=2)
    assert (np.flatnonzero(changed.any(axis=1))[[0, -1]] == (20, 54)).all()
    columns = np.flatnonzero(changed[50])
    assert (columns == [10, 11, 48, 49]).all()
    assert tuple(drawn[50, 10].tolist()) == (64, 0, 128)


def test_the_unsure_are_left_out_and_the_labelled_are_white() -> None:
    unsure = Detections.of([[10, 20, 50, 55]], [0.29], [DOG])
    assert np.array_equal(evaluate_vision.draw_boxes(GRAY, unsure, NOTHING), GRAY)
    drawn = evaluate_vision.draw_boxes(GRAY, unsure, Objects.of([[2, 3, 9, 8]], [DOG], [False]))
    assert (drawn[3, 2:9] == 255).all() and (drawn[7, 2:9] == 255).all() and (drawn[8] == 100).all()


def test_a_box_of_less_than_a_pixel_is_drawn_too() -> None:
    drawn = evaluate_vision.draw_boxes(GRAY, Detections.of([[5.2, 5.2, 5.4, 5.4]], [0.9], [DOG]), NOTHING)
    assert (drawn != GRAY).any()


def test_classes_tint_the_image_and_the_background_does_not() -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[10:20, 30:40] = SEGMENTS.index("dog")
    drawn = evaluate_vision.tint_classes(GRAY, labels)
    assert (drawn[10:20, 30:40] == ((64 + 100) // 2, 50, (128 + 100) // 2)).all()
    assert (drawn[labels == 0] == 100).all()


def test_both_stand_side_by_side_in_the_png() -> None:
    data = evaluate_vision.overlay(GRAY, Detections.of([], [], []), NOTHING, np.zeros((60, 80), np.uint8))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.size, image.mode) == ((160, 60), "RGB")
        assert (np.asarray(image) == 100).all()
