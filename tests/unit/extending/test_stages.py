"""A stage and a second served model of docs/extending.md."""

import json
import types
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from skimage import data

from ced.cluster import parts as cluster_parts
from ced.config import Config, EvaluateConfig, TrainConfig
from ced.core.images import luma_of
from ced.core.jpeg import encode
from ced.data import edges, prepare
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.pipeline import publish, restorers
from ced.restoration import restorer
from ced.restoration.family import FAMILY, FORMAT, Family
from ced.store.outputs import MANIFEST, Making, Output, Store, make, parts_in, write_bytes, write_text
from ced.store.session import Session
from ced.tracking import client, registry
from ced.tracking.runs import PUBLISH, ROLE, Experiment

CONFIG = Config(
    autoencoder=TrainConfig(steps=4, batch_size=4, learning_rate=1e-2, warmup_steps=1, report_every=2),
    evaluate=EvaluateConfig(methods=("jpeg",), pictures=0),
)


@pytest.fixture
def brightness(page: Any) -> Any:
    return page.new_file(page.blocks("A stage")[0])


def test_a_stage_is_run_once(
    page: Any, brightness: Any, outputs: Path, session: Session, tasks_here: list[int]
) -> None:
    """By the lines of the flow; what they make is the mean of each example."""
    _, task, call = page.blocks("A stage")
    names = page.added_to(task)
    stage = names["brightness_task"]
    assert stage.name == "brightness"
    prepared = restorers.finished(outputs / "prepare")
    exec(call.code, names | {"brightness_task": stage.fn, "prepared": prepared, "running": session})
    again = stage.fn(brightness.BrightnessConfig(), prepared, session)
    assert again.reused and len(tasks_here) == 1, "the second time it is found"
    assert again.manifest.counts == {"examples": 12}
    assert set(again.manifest.parts) == {path.name for path in parts_in(prepared.path / prepare.EXAMPLES)}
    planes = [
        plane
        for part in parts_in(prepared.path / prepare.EXAMPLES)
        for some in edges.target_planes(part)
        for plane in luma_of(some)
    ]
    measured = pq.read_table(parts_in(again.path)).to_pylist()
    assert [row["brightness"] for row in measured] == [round(float(plane.mean()), 2) for plane in planes]
    other = brightness.run(brightness.BrightnessConfig(decimals=1), prepared, session)
    assert not other.reused and other.path != again.path, "other settings, another folder"


def test_a_stage_goes_on_where_it_was_interrupted(
    brightness: Any, outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks_here: list[int]
) -> None:
    prepared, config = restorers.finished(outputs / "prepare"), brightness.BrightnessConfig()
    session = Session(Store(tmp_path / "store"), workers=2)
    whole = brightness.brightness_part

    def killed(config: Any, folder: str, task: dict[str, Any]) -> dict[str, Any]:
        if task["part"].endswith("1.parquet"):
            (Path(folder) / ".part-00001.parquet.1.tmp").write_text("half of it")
            raise KeyboardInterrupt
        answer: dict[str, Any] = whole(config, folder, task)
        return answer

    monkeypatch.setattr(brightness, "brightness_part", killed)
    with pytest.raises(KeyboardInterrupt):
        brightness.run(config, prepared, session)
    (folder,) = (session.store.root / "brightness").iterdir()
    (first,) = parts_in(folder)
    before = first.stat()
    assert not (folder / MANIFEST).exists()

    monkeypatch.setattr(brightness, "brightness_part", whole)
    output = brightness.run(config, prepared, session)
    assert not output.reused and output.path == folder
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "kept as it was"
    assert not list(folder.glob(".part*"))

    run_tasks = cluster_parts.run_tasks
    monkeypatch.setattr(cluster_parts, "run_tasks", lambda function, rows, workers: run_tasks(function, rows[::-1], 1))
    elsewhere = brightness.run(config, prepared, Session(Store(tmp_path / "elsewhere"), workers=1))
    assert elsewhere.manifest.parts == output.manifest.parts, "the bytes depend neither on it nor on the workers"
    assert elsewhere.path.name == output.path.name


# A second served model


def brightening(brighter: float, store: Store) -> Output:
    """A restorer of ED that makes images brighter, so that each can be told from the others."""
    network = AutoEncoder(CONFIG.network, 1, conditioned=False)
    torch.nn.init.constant_(network.decoder.last.bias, brighter)

    def produce(making: Making) -> None:
        for name, content in restorer.files("ed", weights.encode(network)).items():
            write_bytes(making.folder / name, content)

    return make(store, "restorer-ed", {"brighter": brighter}, {}, produce)


def family_of(restorers: dict[str, Output], store: Store) -> Output:
    """A family: gray JPEGs up to quality factor 10 by the first restorer, all others by the last."""
    highest = [10, *[100] * (len(restorers) - 1)]
    members = [
        {"folder": name, "colours": ["y", "rgb"], "quality": [1, most]}
        for name, most in zip(restorers, highest, strict=True)
    ]

    def produce(making: Making) -> None:
        write_text(making.folder / FAMILY, json.dumps({"format": FORMAT, "version": 1, "members": members}))
        for name, output in restorers.items():
            for part in output.manifest.parts:
                write_bytes(making.folder / name / part, (output.path / part).read_bytes())

    return make(store, "family", {"members": members}, {}, produce)


def test_a_second_model_is_served_beside_the_first(page: Any, tmp_path: Path, tracking_uri: str) -> None:
    """In a registry that is a file: each has its own files, and answers with its own pixels."""
    file, task, call = page.blocks("A second served model")
    second = page.new_file(file)
    session = Session(Store(tmp_path / "store"), tracking_uri=tracking_uri)
    first, small, strong = (brightening(brighter, session.store) for brighter in (0.0, 0.05, 0.1))
    with Experiment.open(tracking_uri, "ced").run({PUBLISH: "p", ROLE: "pipeline"}, "first") as run:
        version = registry.register(run, "p", "ced", first.path, tmp_path / "scratch")
        registry.promote(run.client, version, "champion")

    def note(making: Making) -> None:
        write_text(making.folder / publish.FILE, json.dumps({"run_id": run.id, "experiment_id": run.experiment}))

    published = make(session.store, "publish", {}, {}, note)
    names = page.added_to(task)
    names |= {"outputs": types.SimpleNamespace(restorers={"ed": small}), "published": published, "running": session}
    exec(call.code, names | {"second_task": names["second_task"].fn})
    again = second.run(second.SecondModel(), small, published, session)
    assert again.reused and json.loads((again.path / second.FILE).read_text()) == {"model": "ced-small", "version": "1"}
    family = family_of({"strong": strong, "small": small}, session.store)
    second.run(second.SecondModel("ced-family"), family, published, session)

    served = {"ced": first, "ced-small": small, "ced-family": family}
    plane = data.camera()[:64, :48]
    answers = {}
    for name, output in served.items():
        champion = f"models:/{name}@champion"
        model = mlflow.pyfunc.load_model(str(client.resolve_model(tracking_uri, champion)))
        for quality in (10, 40):
            stream = encode(plane, quality)
            (png,) = model.predict(pd.DataFrame({"image": [stream]}))["image"]
            assert png == Family.load(output.path).restore_bytes(stream), "as `ced restore` does"
            answers[name, quality] = png
    assert len({answers[name, 10] for name in served}) == 3, "each its own pixels"
    assert answers["ced-family", 40] == answers["ced-small", 40] != answers["ced", 40]
    (run_of_small,) = run.client.search_runs([run.experiment], f"tags.`{ROLE}` = 'ced-small'")
    assert run_of_small.data.tags["mlflow.parentRunId"] == run.id and run_of_small.info.status == "FINISHED"
