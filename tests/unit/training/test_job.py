import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ced.errors import ConfigError, FormatError, InputError
from ced.training.job import TrainJob, fingerprint, read

MakeJob = Callable[..., TrainJob]


def test_a_job_survives_its_text_and_pickle(job_of: MakeJob) -> None:
    job = job_of("classifier", learning_rate=0.1 + 0.2)
    assert TrainJob.from_json(job.to_json()) == job
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "ed"}', "null"])
def test_something_else_is_no_job(text: str) -> None:
    with pytest.raises(FormatError, match=r"mine\.json: not a training job"):
        TrainJob.from_json(text, "mine.json")


def test_an_unknown_setting_is_refused(job_of: MakeJob) -> None:
    stored = json.loads(job_of().to_json())
    stored["train"]["momentum"] = 0.9
    with pytest.raises(FormatError, match="momentum"):
        TrainJob.from_json(json.dumps(stored))


def test_an_unknown_model_is_refused_with_the_nearest(job_of: MakeJob) -> None:
    with pytest.raises(ConfigError, match="did you mean 'ced-gt'"):
        job_of("ced-tg")


@pytest.mark.parametrize(("model", "block_effect"), [("ced-est", 0.0), ("ced-est", 1.0), ("ced-gt", 1.0)])
def test_what_takes_a_classifiers_estimates_asks_for_it(job_of: MakeJob, model: str, block_effect: float) -> None:
    with pytest.raises(ConfigError, match=rf"{model} .* name its model\.safetensors"):
        job_of(model, block_effect=block_effect)


@pytest.mark.parametrize(("model", "block_effect"), [("ed", 1.0), ("ced-gt", 0.0), ("classifier", 0.0)])
def test_what_takes_none_does_not(job_of: MakeJob, model: str, block_effect: float) -> None:
    assert job_of(model, block_effect=block_effect).classifier == ""


def test_the_section_is_where_the_settings_come_from(job_of: MakeJob) -> None:
    assert (job_of("classifier").section, job_of("ced-gt").section) == ("classifier", "autoencoder")


def copied(job: TrainJob, root: Path) -> TrainJob:
    """The same job from copies of its inputs, elsewhere."""
    shutil.copytree(job.labelled, root / "labels")
    shutil.copy(job.classes, root / "table.json")
    return dataclasses.replace(
        job, labelled=str(root / "labels"), classes=str(root / "table.json"), out=str(root / "o")
    )


def test_the_fingerprint_does_not_know_paths(job_of: MakeJob, tmp_path: Path) -> None:
    job = job_of("ced-gt")
    assert fingerprint(copied(job, tmp_path)) == fingerprint(job)


@pytest.mark.parametrize("change", [{"seed": 1}, {"steps": 13}, {"model": "ed"}, {"channels": 3}])
def test_the_fingerprint_knows_every_setting(job_of: MakeJob, change: dict) -> None:
    assert fingerprint(job_of(**{"model": "ced-gt"} | change)) != fingerprint(job_of("ced-gt"))


def test_the_fingerprint_knows_the_network(job_of: MakeJob) -> None:
    job = job_of()
    assert fingerprint(dataclasses.replace(job, network=dataclasses.replace(job.network, slope=0.2))) != fingerprint(
        job
    )


@pytest.mark.parametrize("changed", ["labels/manifest.json", "table.json"])
def test_the_fingerprint_knows_the_data(job_of: MakeJob, tmp_path: Path, changed: str) -> None:
    job = copied(job_of("ced-gt"), tmp_path)
    before = fingerprint(job)
    with (tmp_path / changed).open("a") as file:
        file.write(" ")
    assert fingerprint(job) != before


@pytest.mark.parametrize(
    ("model", "block_effect", "known"), [("ced-est", 0.0, True), ("ced-gt", 1.0, True), ("ced-gt", 0.0, False)]
)
def test_the_fingerprint_knows_a_classifier_that_is_used(
    job_of: MakeJob, tmp_path: Path, model: str, block_effect: float, known: bool
) -> None:
    weights = tmp_path / "c.safetensors"
    weights.write_bytes(b"one")
    job = job_of(model, classifier=str(weights), block_effect=block_effect)
    before = fingerprint(job)
    weights.write_bytes(b"two")
    assert (fingerprint(job) != before) is known


def test_ed_needs_no_classes(job_of: MakeJob) -> None:
    assert fingerprint(job_of("ed", classes="nowhere")) == fingerprint(job_of("ed"))
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        fingerprint(job_of("ced-gt", classes="nowhere"))


@pytest.mark.parametrize("model", ["arcnn", "galteri-mse"])
def test_other_authors_networks_depend_on_neither_classes_nor_shapes(job_of: MakeJob, model: str) -> None:
    job = job_of(model)
    shape = dataclasses.replace(job.network, width=99)
    assert fingerprint(dataclasses.replace(job, classes="nowhere", network=shape)) == fingerprint(job)
    assert fingerprint(job) != fingerprint(job_of("ed"))
    assert job.section == "autoencoder"


def test_a_folder_in_the_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        read(str(tmp_path))


def test_the_fingerprint_knows_the_weights_it_starts_from(job_of: MakeJob, tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    for path, content in ((one, b"1"), (same, b"1"), (other, b"2")):
        path.write_bytes(content)
    marks = [fingerprint(job_of("ed", start=str(path))) for path in (one, same, other)]
    assert marks[0] == marks[1] and len({*marks, fingerprint(job_of("ed"))}) == 3
