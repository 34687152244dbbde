"""What an evaluation is called, what is found out before it starts, and what is read back."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ced import schema
from ced.config import Config, EvaluateConfig, PrepareConfig, PublishConfig
from ced.errors import ConfigError, InputError
from ced.evaluation import evaluate
from ced.evaluation.metrics import per_image_schema
from ced.store.outputs import Making, Manifest, Output, Store, write_table
from ced.store.session import Session


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
    with pytest.raises(InputError, match="no test images given; name them with --test-images"):
        evaluate.check(dataclasses.replace(config, test_images=""))
    with pytest.raises(InputError, match="gone: no such folder"):
        evaluate.check(dataclasses.replace(config, test_images=str(tmp_path / "gone")))
    only_ed = dataclasses.replace(config, evaluate=EvaluateConfig(methods=("ed",)))
    with pytest.raises(ConfigError, match="publish.method ced-gt is not evaluated"):
        evaluate.check(only_ed)
    gray = dataclasses.replace(config, prepare=PrepareConfig(colour="rgb"))
    with pytest.raises(ConfigError, match="restore colour images alone; set evaluate.colour=rgb too"):
        evaluate.check(gray)
    with pytest.raises(ConfigError, match="publish.gate = 'lpips': use one of psnr, psnr_b, ssim"):
        evaluate.check(dataclasses.replace(config, publish=PublishConfig(gate="lpips")))
    elsewhere = EvaluateConfig(methods=("jpeg", "ced-gt=models/mine"))
    with pytest.raises(ConfigError, match="publish.method ced-gt is not evaluated"):
        evaluate.check(dataclasses.replace(only_ed, evaluate=elsewhere))


def test_one_restored_file_for_two_originals_is_refused_before_any_work(tmp_path: Path) -> None:
    plane = np.full((16, 16), 9, np.uint8)
    for name in ("set/a/1.png", "set/b/1.png", "restored/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(plane).save(tmp_path / name)
    config = EvaluateConfig(methods=(f"mine=folder:{tmp_path / 'restored'}",))
    with pytest.raises(InputError, match="would stand for set/a/1.png and for set/b/1.png"):
        evaluate.run(config, str(tmp_path / "set"), {}, Session(Store(tmp_path / "store")))
    assert not (tmp_path / "store" / "evaluate").exists()


def test_counts_are_those_of_what_was_written(tmp_path: Path) -> None:
    facts = {"dataset": "d", "colour": "y", "height": 16, "width": 16, "quality": 10, "message": ""}
    rows = [
        {**facts, "image_id": image, "method": method, "reason": "timeout" * (image + method == "bslow")}
        for image in "ab"
        for method in ("jpeg", "slow")
    ]
    write_table(tmp_path / evaluate.FILE, pa.Table.from_pylist(rows, per_image_schema()))
    assert evaluate._counts(tmp_path) == {"images": 2, "rows": 4, "failures": 1, "set aside": 0}
    bad = [{"source": "c", "reason": "empty", "message": "no bytes"}]
    write_table(tmp_path / evaluate.QUARANTINE, pa.Table.from_pylist(bad, schema.QUARANTINE))
    assert evaluate._counts(tmp_path)["set aside"] == 1


def output(folder: Path) -> Output:
    return Output(folder, Manifest("evaluate", "f", {}, {}, {}, {}), reused=False)


def test_failures_are_told_by_method_and_not_without_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    facts = {"dataset": "d", "colour": "y", "height": 16, "width": 16, "quality": 10}
    rows = [
        {**facts, "image_id": f"i{number}", "method": "slow", "reason": "timeout", "message": "late" * 99}
        for number in range(8)
    ]
    write_table(tmp_path / evaluate.FILE, pa.Table.from_pylist(rows, per_image_schema()))
    evaluate._report_failures(output(tmp_path))
    line, cure = caplog.messages
    assert line.startswith("evaluate: slow failed 8 of 8 times: i0 (timeout: latelate")
    assert line.endswith("; and 5 more in per_image.parquet") and len(line) < 600
    assert cure == f"evaluate: the same command tries these again once {tmp_path} is removed"


def test_pictures_are_read_back_and_a_missing_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    plane = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(plane).save(tmp_path / "pictures" / "00003-original.png")
    kept = evaluate.picture(output(tmp_path), 3, 10, "original")
    assert kept is not None and np.array_equal(kept, plane)
    assert evaluate.picture(output(tmp_path), 3, 10, "jpeg") is None


def test_an_evaluation_that_was_killed_while_tidying_is_only_tidied(tmp_path: Path) -> None:
    """With per_image.parquet there, nothing is measured: the task's folder of images does not even exist."""
    rows = [{"dataset": "d", "colour": "y", "height": 16, "width": 16, "quality": 10, "image_id": "a"}]
    rows = [row | {"method": "jpeg", "reason": "", "message": ""} for row in rows]
    write_table(tmp_path / evaluate.FILE, pa.Table.from_pylist(rows, per_image_schema()))
    scratch = tmp_path / ".parts" / "rows" / "part-00000-q010.parquet"
    write_table(scratch, pa.Table.from_pylist(rows, per_image_schema()))
    making = Making(tmp_path)
    measurer = evaluate.Fidelity("d", str(tmp_path), "y", "jpeg", (), 0, (), per_image_schema())
    evaluate._produce(measurer, (10,), [], Session(Store(tmp_path / "store")), making)
    assert making.counts["images"] == 1
    assert not scratch.exists()
