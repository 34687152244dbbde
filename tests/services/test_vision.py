"""Table 3 on a real Ray, with models that are really run."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

from ced.cli import main
from ced.config import NetworkConfig, VisionConfig
from ced.errors import InputError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.report import vision_stage as report
from ced.restoration import restorer
from ced.store.outputs import Output, Store
from ced.store.session import Session
from ced.tracking import client as mlflow_tracking
from ced.vision import backends, evaluate
from ced.vision.evaluate import Sources

pytestmark = pytest.mark.usefixtures("ray_session")

REAL = Path(__file__).parents[3] / "shared" / "data"
OBJECTS = 5


@pytest.fixture(scope="module")
def sources(tiny_voc: Path, tiny_detector: Path, tiny_segmenter: Path) -> Sources:
    return Sources(str(tiny_voc), "", str(tiny_detector), str(tiny_segmenter))


def network(offset: float) -> AutoEncoder:
    """One that adds `offset` to every pixel."""
    made = AutoEncoder(NetworkConfig(width=4, width_half=4, width_full=4, blocks=1), 1, conditioned=False)
    torch.nn.init.zeros_(made.decoder.last.weight)
    torch.nn.init.constant_(made.decoder.last.bias, offset)
    return made


def write(folder: Path, offset: float) -> Path:
    """A luminance restorer's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in restorer.files("ed", weights.encode(network(offset))).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> VisionConfig:
    """With a luminance restorer that makes everything black, so that nothing can be seen any more, and a program."""
    dark = write(tmp_path_factory.mktemp("dark"), -2)
    methods = ("original", "jpeg", f"dark={dark}", "copied=command:cp {input} {output}")
    return VisionConfig(methods=methods, qualities=(10, 40), colours=("rgb", "y"), pictures=1)


@pytest.fixture(scope="module")
def made(sources: Sources, config: VisionConfig, tmp_path_factory: pytest.TempPathFactory) -> Output:
    return evaluate.run(config, sources, Session(Store(tmp_path_factory.mktemp("made"))))


def test_every_image_has_a_row_for_each_version(made: Output) -> None:
    rows = pq.read_table(made.path / "per_image.parquet").to_pylist()
    assert made.manifest.counts == {"images": 4, "objects": OBJECTS, "rows": len(rows), "failures": 0}
    assert len(rows) == 4 * 2 * (1 + 2 * 3)
    assert len({(row["image_id"], row["method"], row["quality"], row["colour"]) for row in rows}) == len(rows)


def test_the_scores_are_those_of_what_is_there_to_see(made: Output) -> None:
    """Three originals are seen rightly, in the fourth a dog is taken for a person, as surely; black shows nothing."""
    rows = {(row.colour, row.quality, row.method): row for row in report.rows_of(made)}
    original = rows["rgb", 0, "original"]
    assert original.ap_area["person"] == pytest.approx(2 / 3)
    assert original.ap_area["dog"] == pytest.approx(2 / 3)
    assert original.iou["dog"] == pytest.approx((256 + 240) / (256 + 240 + 256))
    for quality in (10, 40):
        assert rows["y", quality, "dark"].map == 0
        assert rows["y", quality, "dark"].iou["dog"] == 0


def test_a_program_that_hands_its_input_on_is_the_jpeg_itself(made: Output) -> None:
    rows = {(row.colour, row.quality, row.method): row for row in report.rows_of(made)}
    for colour in ("rgb", "y"):
        for quality in (10, 40):
            jpeg, copied = rows[colour, quality, "jpeg"], rows[colour, quality, "copied"]
            assert repr(dataclasses.replace(copied, method="jpeg")) == repr(jpeg)  # nan is not equal to itself


def test_a_method_that_fails_on_some_images_is_counted_and_named(
    sources: Sources, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder in which one of four images is missing, and one has another size."""
    (tmp_path / "restored").mkdir()
    for path in sorted(Path(sources.voc, "JPEGImages").iterdir())[1:]:
        with Image.open(path) as image:
            image = image.convert("RGB")
        image = image.crop((0, 0, 40, 40)) if path.stem == "2007_000001" else image
        image.save(tmp_path / "restored" / f"{path.stem}.png")
    config = VisionConfig(methods=("original", f"mine=folder:{tmp_path / 'restored'}"), pictures=0)
    output = evaluate.run(config, sources, Session(Store(tmp_path / "store")))
    assert output.manifest.counts["failures"] == 2
    _, mine = report.rows_of(output)
    assert (mine.images, mine.failures) == (2, 2)
    (told,) = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert told.startswith("evaluate-vision: mine failed 2 of 4 times: 2007_000000 (no file: ")
    assert "2007_000001 (another size: 40x40 RGB, not 64x48 RGB)" in told


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_bytes_on_one_worker_or_more(
    made: Output, sources: Sources, config: VisionConfig, tmp_path: Path, workers: int
) -> None:
    again = evaluate.run(config, sources, Session(Store(tmp_path), workers))
    assert again.manifest.parts == made.manifest.parts


def test_finished_work_is_found_and_a_changed_model_is_not(
    made: Output, sources: Sources, config: VisionConfig, tmp_path: Path
) -> None:
    store = Store(made.path.parents[1])
    assert evaluate.run(config, sources, Session(store)).reused
    other = Path(shutil.copy(sources.detector, tmp_path / "other.onnx"))
    assert evaluate.run(config, sources._replace(detector=str(other)), Session(store)).reused  # the same bytes
    import onnx

    model = onnx.load(other)
    model.doc_string = "another"
    onnx.save(model, other)
    changed = evaluate.run(config, sources._replace(detector=str(other)), Session(store))
    assert not changed.reused and changed.path != made.path
    dark = next(text for text in config.methods if text.startswith("dark=")).removeprefix("dark=")
    copied = Path(shutil.copytree(dark, tmp_path / "restorer"))
    methods = tuple(text.replace(dark, str(copied)) for text in config.methods)
    moved = dataclasses.replace(config, methods=methods)
    assert evaluate.run(moved, sources, Session(store)).reused  # the content, not the place
    write(copied, -3)
    assert not evaluate.run(moved, sources, Session(store)).reused


def test_a_bad_image_is_named_and_the_others_are_kept(sources: Sources, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sources.voc, tmp_path / "voc"))
    good = (folder / "JPEGImages" / "2007_000001.png").read_bytes()
    (folder / "JPEGImages" / "2007_000001.png").write_bytes(good[:60])
    config, store = VisionConfig(methods=("jpeg",), pictures=0), Store(tmp_path / "store")
    with pytest.raises(InputError, match="image 2007_000001 \\(.*\\) cannot be evaluated; repair it or take out"):
        evaluate.run(config, sources._replace(voc=str(folder)), Session(store))
    assert len(list(tmp_path.glob("store/evaluate-vision/*/.parts/part-*.parquet"))) == 3


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    made: Output, sources: Sources, config: VisionConfig, tmp_path: Path
) -> None:
    """kill -9 of the driver as soon as its first part is there; then the same again."""
    script = f"""
from pathlib import Path
from ced.cluster import connection
from ced.store.outputs import Store
from ced.store.session import Session
from ced.config import VisionConfig
from ced.vision import evaluate
from ced.vision.evaluate import Sources
config = {config!r}
with connection.session("local"):
    evaluate.run(config, {sources!r}, Session(Store(Path({str(tmp_path)!r})), workers=1))
"""
    driver = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("evaluate-vision/*/.parts/part-*.parquet")):
        assert time.monotonic() < deadline and driver.poll() is None
        time.sleep(0.01)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("evaluate-vision/*/.parts/part-*.parquet")}
    assert not list(tmp_path.glob("evaluate-vision/*/manifest.json"))
    output = evaluate.run(config, sources, Session(Store(tmp_path)))
    assert output.manifest.parts == made.manifest.parts
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_command_prints_the_table_and_writes_the_report(
    sources: Sources, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["--voc", sources.voc, "--detector", sources.detector, "--segmenter", sources.segmenter]
    places = ["--store", str(tmp_path / "store"), "--report", str(tmp_path / "report")]
    assert main.main(["evaluate-vision", *models, *places, "--colour", "rgb", "--pictures", "1"]) == 0
    said = capsys.readouterr().out
    assert "voc, 4 images" in said and "JPEG (QF 10)" in said and "Original" in said
    names = {path.relative_to(tmp_path / "report").as_posix() for path in (tmp_path / "report").rglob("*.*")}
    assert names == {
        *("report.html", "results.json", "table.md", "table.tex", "table.csv"),
        *("pictures/00000-rgb-q000-original.png", "pictures/00000-rgb-q010-jpeg.png"),
    }
    run = said[said.index("MLflow:    run ") :].split()[2]
    client = MlflowClient(mlflow_tracking.local_uri(tmp_path / "store"))
    found = client.get_run(run)
    rows = json.loads((tmp_path / "report" / "results.json").read_text())["rows"]
    for row in rows:
        for measure in ("map", "map_area", "miou"):
            assert found.data.metrics[f"{row['method']}/q{row['quality']}/rgb/{measure}"] == row[measure]
    assert (found.info.status, found.data.params["dataset"]) == ("FINISHED", "voc")
    assert {one.path for one in client.list_artifacts(run)} == {*map(str, _tops(names)), "per_image.parquet"}
    assert {one.path for one in client.list_artifacts(run, "pictures")} == {n for n in names if "/" in n}


def _tops(names: set[str]) -> set[str]:
    return {name.partition("/")[0] for name in names}


@pytest.mark.skipif(not REAL.is_dir(), reason="VOC 2007 and the models are not on this machine")
def test_the_real_models_see_less_in_real_jpegs(tmp_path: Path) -> None:
    """Four images; what is stored agrees with the models run here, one image at a time."""
    voc = REAL / "voc2007-val"
    boxes = json.loads((voc / "boxes.json").read_text())
    names = sorted(boxes)[:4]
    for kind, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        (tmp_path / "voc" / kind).mkdir(parents=True)
        for name in names:
            (tmp_path / "voc" / kind / f"{name}.{suffix}").symlink_to(voc / kind / f"{name}.{suffix}")
    (tmp_path / "voc" / "boxes.json").write_text(json.dumps({name: boxes[name] for name in names}))
    models = (str(REAL / "models" / "yolox_nano.onnx"), str(REAL / "models" / "deeplabv3_mnv2_pascal_quant.tflite"))
    sources = Sources(str(tmp_path / "voc"), "", *models)
    config = VisionConfig(qualities=(5,), pictures=0)
    output = evaluate.run(config, sources, Session(Store(tmp_path / "store")))
    original, jpeg = report.rows_of(output)
    assert original.images == 4
    assert original.map > 0.7 > jpeg.map
    assert original.miou > 0.6 > jpeg.miou
    first = pq.read_table(output.path / "per_image.parquet").to_pylist()[0]
    with Image.open(voc / "JPEGImages" / f"{names[0]}.jpg") as image:
        found = backends.load_detector(models[0]).detect(np.asarray(image.convert("RGB")))
    assert first["boxes"] == found.boxes.tolist()
