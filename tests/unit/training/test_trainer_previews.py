from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ced.config import TrainConfig
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.trainer import Trainer, preview_due, train, write_preview

MakeJob = Callable[..., TrainJob]


@given(st.integers(1, 3000), st.integers(1, 400))
def test_about_ten_pictures_a_training_and_one_at_the_end(steps: int, report_every: int) -> None:
    config = TrainConfig(steps=steps, report_every=report_every)
    reported = [step for step in range(1, steps + 1) if step % report_every == 0 or step == steps]
    due = [step for step in reported if preview_due(config, step)]
    assert due[-1] == steps and len(due) <= 11
    assert len(due) >= min(len(reported), 5) or report_every * 10 > steps


def test_original_jpeg_and_restored_side_by_side(job_of: MakeJob, tmp_path: Path) -> None:
    trainer = Trainer(job_of("ced-gt"), PlainContext("cpu"))
    write_preview(tmp_path, 5, trainer.objective, trainer.held_out, trainer.state.module)
    sheet = np.asarray(Image.open(tmp_path / "strips" / "00000005.png"))
    assert sheet.shape == (4 * 36 - 4, 3 * 36 - 4) and sheet.dtype == np.uint8
    chosen = [0, 2, 5, 7]  # of eight, evenly spread
    for row, example in enumerate(chosen):
        for column, name in enumerate(("target", "input", "input")):  # D starts at zero: restored is the input
            found = sheet[row * 36 : row * 36 + 32, column * 36 : column * 36 + 32]
            assert np.array_equal(found, trainer.held_out[name][example, 0]), (row, column)
    assert (sheet[32:36] == 255).all() and (sheet[:, 32:36] == 255).all()


def test_colour_stays_colour(job_of: MakeJob, colour_data: Path, tmp_path: Path) -> None:
    paths = {name: str(colour_data / name) for name in ("examples", "labelled")}
    trainer = Trainer(job_of("ed", **paths, channels=3), PlainContext("cpu"))
    write_preview(tmp_path, 1, trainer.objective, trainer.held_out, trainer.state.module)
    sheet = np.asarray(Image.open(tmp_path / "strips" / "00000001.png"))
    assert np.array_equal(sheet[:32, :32], trainer.held_out["target"][0].permute(1, 2, 0))


@pytest.mark.parametrize("model, fraction", [("classifier", 0.25), ("ed", 0.0)])
def test_where_there_is_nothing_to_show(job_of: MakeJob, tmp_path: Path, model: str, fraction: float) -> None:
    trainer = Trainer(job_of(model, validation_fraction=fraction), PlainContext("cpu"))
    write_preview(tmp_path, 1, trainer.objective, trainer.held_out, trainer.state.module)
    assert not (tmp_path / "strips").exists()


def test_a_training_leaves_them_with_the_averaged_weights(job_of: MakeJob) -> None:
    job = job_of("ed")
    trainer = Trainer(job, PlainContext("cpu"))
    trainer.run()
    names = [path.name for path in sorted(Path(job.out, "strips").iterdir())]
    assert names == ["00000005.png", "00000010.png", "00000012.png"]
    sheet = np.asarray(Image.open(Path(job.out, "strips", names[-1])))
    with torch.no_grad():
        restored = trainer.state.average(trainer.held_out["input"][:1] / 255)
    expected = (restored[0, 0] * 255).round().clamp(0, 255).to(torch.uint8)
    assert np.abs(sheet[:32, 72:104].astype(int) - expected.numpy()).max() <= 1


def test_the_same_pictures_again(job_of: MakeJob) -> None:
    jobs = [job_of("ed", out=out) for out in ("a", "b")]
    for job in jobs:
        train(job, PlainContext("cpu"))
    a, b = ([path.read_bytes() for path in sorted(Path(job.out, "strips").iterdir())] for job in jobs)
    assert a == b
