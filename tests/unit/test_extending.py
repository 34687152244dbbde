"""The recipes of docs/extending.md: their code is taken from the page and goes the whole way, with no file of ced
touched."""

import importlib
import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageFilter
from skimage import data

from ced.cluster import parts as cluster_parts
from ced.config import Config, EvaluateConfig, PrepareConfig, PublishConfig, TrainConfig
from ced.core.images import Rejected, luma_of, luminance
from ced.core.jpeg import decode, encode
from ced.data import edges, prepare, sources
from ced.data.sources import Photograph
from ced.errors import ConfigError, FormatError, InputError
from ced.evaluation import evaluate, means, metrics
from ced.evaluation.metrics import METRICS
from ced.methods import KINDS, find, parse
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.blocks import Reach
from ced.networks import NETWORKS
from ced.pipeline import publish, restorers
from ced.report import results, text
from ced.report.section_table import table_section
from ced.restoration import restorer
from ced.restoration.family import FAMILY, FORMAT, Family
from ced.restoration.restorer import Restorer
from ced.store.outputs import MANIFEST, Making, Output, Store, make, parts_in, write_bytes, write_text
from ced.store.session import Session
from ced.tracking import client, registry
from ced.tracking.runs import PUBLISH, ROLE, Experiment
from ced.training import train
from ced.training.job import WEIGHTS, read_reports
from ced.training.train import TrainingInputs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
CONFIG = Config(
    autoencoder=TrainConfig(steps=4, batch_size=4, learning_rate=1e-2, warmup_steps=1, report_every=2),
    evaluate=EvaluateConfig(methods=("jpeg",), pictures=0),
)
JPEG_ALONE = EvaluateConfig(methods=("jpeg",), pictures=0)


class Block(NamedTuple):
    """A piece of code of the page, and the file that its first line says it belongs in."""

    file: str
    code: str

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def blocks(section: str) -> list[Block]:
    """The pieces of code below the heading that begins so."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return [Block(*found) for found in re.findall(r"```python\n# ([\w/.]+)[^\n]*\n(.*?)```", text, re.S)]


@pytest.fixture(autouse=True)
def one_thread_and_one_seed() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def new_file(monkeypatch: pytest.MonkeyPatch) -> Callable[[Block], Any]:
    """Declare the module that a piece of code is, for the length of a test."""

    def declare(block: Block) -> types.ModuleType:
        assert not (ROOT / block.file).exists(), "the page's files are of nobody else"
        module = types.ModuleType(block.module)
        monkeypatch.setitem(sys.modules, block.module, module)
        exec(block.code, vars(module))
        return module

    return declare


def added_to(block: Block) -> dict[str, Any]:
    """The names of a module once a piece of code stands at its end; the module itself stays as it is."""
    names = dict(vars(importlib.import_module(block.module)))
    exec(block.code, names)
    return names


def add_line(monkeypatch: pytest.MonkeyPatch, entries: Any, block: Block) -> None:
    """Put a line of the page into the mapping that a registry was made of, for the length of a test."""
    line = eval(f"{{{block.code}}}", dict(vars(importlib.import_module(block.module))))
    monkeypatch.setattr(entries, "_entries", dict(entries._entries))
    monkeypatch.setattr(entries, "_modules", entries._modules | line)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(data.chelsea()[60:132, 100:204]).save(folder / "cat.png")
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "store"))


def test_the_files_are_as_many_as_the_page_says() -> None:
    counted = re.findall(r"^\| \[.*?\]\(#([\w-]+)\) \| (\d) \| (\d) \|$", PAGE, re.M)
    assert len(counted) == 6
    for anchor, new, changed in counted:
        files = {block.file for block in blocks(anchor.replace("-", " ").capitalize())}
        there = {file for file in files if (ROOT / file).exists()}
        assert (len(files - there), len(there)) == (int(new), int(changed)), anchor


def test_every_piece_of_code_belongs_to_a_recipe() -> None:
    sections = re.findall(r"^\| \[.*?\]\(#([\w-]+)\) \|", PAGE, re.M)
    of_recipes = sum(len(blocks(anchor.replace("-", " ").capitalize())) for anchor in sections)
    assert of_recipes == len(re.findall(r"^```\w+$", PAGE, re.M)) == 13


# A network


@pytest.fixture
def toy(new_file: Callable[[Block], Any], monkeypatch: pytest.MonkeyPatch) -> type:
    """The class, declared by the two pieces of code of the page."""
    file, line = blocks("A network")
    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS._entries))
    added_to(line)
    toy: type = new_file(file).Toy
    return toy


@pytest.fixture
def trained(toy: type, outputs: Path, session: Session) -> Output:
    inputs = TrainingInputs(restorers.finished(outputs / "label"), restorers.finished(outputs / "edges"))
    return train.run("toy", CONFIG, inputs, session, device="cpu")


@pytest.fixture
def restoring(trained: Output, outputs: Path, session: Session) -> Output:
    return restorers.run("toy", trained, trained, restorers.finished(outputs / "edges"), session)


@pytest.mark.usefixtures("tasks_here")
def test_a_network_goes_the_whole_way(
    trained: Output, restoring: Output, images: Path, session: Session, tmp_path: Path
) -> None:
    assert [line["step"] for line in read_reports(trained.path)] == [2, 4]
    config = EvaluateConfig(methods=("toy", "jpeg"), pictures=0)
    assert config.trained == ("toy",) and PublishConfig(method="toy").method == "toy"
    rows = means.rows_of(evaluate.run(config, str(images), {"toy": restoring}, session))
    assert {row.method: row.images for row in rows} == {"jpeg": 1, "toy": 1}
    assert len({row.value("psnr") for row in rows}) == 2, "it changes something"
    lines = text.terminal(rows).splitlines()
    assert next(i for i, line in enumerate(lines) if "JPEG" in line) < next(
        i for i, line in enumerate(lines) if "Toy" in line
    )
    registry.save(tmp_path / "model", restoring.path, tmp_path / "scratch")
    stored = tmp_path / "model" / "artifacts" / "restorer"
    assert sorted(path.name for path in stored.iterdir()) == ["autoencoder.safetensors", "restorer.json"]


def test_a_networks_folder_is_a_method(restoring: Output, session: Session) -> None:
    method = find(parse(f"mine={restoring.path}"), EvaluateConfig(), session.store.root)
    assert method.colours == ("y", "rgb") and method.timed


def test_a_networks_tiles_show_no_seams(restoring: Output, toy: type, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Restorer.load(restoring.path)
    assert type(opened.autoencoder) is toy
    plane = data.camera()[None, :200, :120]
    whole = opened.restore_planes(plane)
    monkeypatch.setattr(restorer, "TILE_PIXELS", 120 * 16)
    in_tiles = differences(opened.restore_planes(plane), whole)
    assert in_tiles.max() <= 1 and in_tiles.mean() < 1e-3  # sums of another order, rounded
    monkeypatch.setattr(toy, "reaches", (Reach(),))
    assert differences(opened.restore_planes(plane), whole).max() > 1, "without its reach there are some"


def differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """In gray levels."""
    return np.abs(one.astype(int) - other)


def test_weights_of_a_network_that_is_not_declared_are_refused(
    restoring: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NETWORKS, "_entries", {name: NETWORKS.get(name) for name in NETWORKS.names if name != "toy"})
    with pytest.raises(FormatError, match="unknown network of kind 'toy'"):
        Restorer.load(restoring.path)


def test_a_network_starts_from_its_own_weights(trained: Output, toy: type) -> None:
    data, fresh = (trained.path / WEIGHTS).read_bytes(), toy(1)
    weights.start(fresh, data)
    assert weights.encode(fresh) == data


# A metric


@pytest.mark.usefixtures("tasks_here")
def test_a_metric_is_in_everything_that_shows_figures(
    images: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = evaluate.run(JPEG_ALONE, str(images), {}, session)
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    added_to(*blocks("A metric"))
    output = evaluate.run(JPEG_ALONE, str(images), {}, session)
    assert output.path != before.path, "measured again"

    luma = luminance(data.chelsea()[60:132, 100:204])
    expected = float(differences(luma, decode(encode(luma, 10))).max())
    assert [row["worst"] for row in evaluate.per_image(output)] == [expected]
    rows = means.rows_of(output)
    assert rows[0].value("worst") == expected and rows[0].intervals["worst"] == (expected, expected)
    assert means.figures_of(rows)["jpeg/q10/worst"] == expected, "MLflow's name"
    assert metrics.gate("worst").beats(expected - 1, expected)

    stored = json.loads(results.results_json(rows, {}, {}))["rows"][0]
    assert stored["worst"] == expected and stored["intervals"]["worst"] == [expected, expected]
    assert "worst_low" in results.sheet(rows)
    for table in (text.terminal(rows, 250), text.markdown(rows), text.latex(rows), table_section(rows)):
        assert "Worst" in table and f"{expected:.1f}" in table
    assert "The largest error of a single pixel" in table_section(rows)


# A source of photographs


@pytest.fixture
def photographs(new_file: Callable[[Block], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Three photographs in an array, of a source that the page declares."""
    file, line = blocks("A source of photographs")
    add_line(monkeypatch, sources.KINDS, line)
    new_file(file)
    pictures = np.stack([np.full((40, 40, 3), gray, np.uint8) for gray in (0, 100, 200)])
    np.save(tmp_path / "photographs.npy", pictures)
    return tmp_path / "photographs.npy"


@pytest.mark.usefixtures("tasks_here")
def test_a_source_is_prepared_and_evaluated(photographs: Path, session: Session) -> None:
    output = prepare.run(PrepareConfig(size=32, flip=False), (str(photographs),), session)
    counts = output.manifest.counts
    assert (counts["photographs"], counts["prepared"], counts["examples"]) == (3, 3, 3)
    examples = pq.read_table(output.path / prepare.EXAMPLES).to_pylist()
    assert [row["source"] for row in examples] == [f"photographs.npy/{number}.png" for number in range(3)]
    assert [row["target"][0] for row in examples] == [16, 102, 188], "luminance"
    (row,) = means.rows_of(evaluate.run(JPEG_ALONE, str(photographs), {}, session))
    assert (row.dataset, row.images) == ("photographs.npy", 3)


def test_a_source_says_what_is_wrong_with_it(photographs: Path, tmp_path: Path) -> None:
    first, *_ = sources.find((str(photographs),))
    assert [photo.name for photo in sources.find((str(photographs),), "[12].png")] == [
        *("photographs.npy/1.png", "photographs.npy/2.png"),
    ]
    np.save(tmp_path / "gray.npy", np.zeros((3, 40, 40), np.uint8))
    np.save(tmp_path / "none.npy", np.zeros((0, 40, 40, 3), np.uint8))
    (tmp_path / "words.npy").write_text("words")
    for name, pattern, clause in (
        ("gone.npy", "", "no such file"),
        ("gray.npy", "", r"uint8 \(3, 40, 40\), not \(N, H, W, 3\)"),
        ("words.npy", "", "not an array of numpy"),
        ("none.npy", "", "no files in it"),
        ("photographs.npy", "*.jpg", "none of its 3 files matches"),
    ):
        with pytest.raises(InputError, match=clause):
            sources.find((str(tmp_path / name),), pattern)
    with pytest.raises(InputError, match="no such file"):
        sources.check((str(tmp_path / "gone.npy"),))
    with pytest.raises(Rejected, match="too large"):
        sources.read(first, 100)
    with pytest.raises(Rejected, match="unreadable"):
        sources.read(Photograph("a", str(photographs), "", 1, member=3, kind="array"))


# A kind of method


@pytest.mark.usefixtures("tasks_here")
def test_a_method_is_a_row(
    new_file: Callable[[Block], Any], monkeypatch: pytest.MonkeyPatch, images: Path, session: Session
) -> None:
    file, line = blocks("A kind of method")
    add_line(monkeypatch, KINDS, line)
    new_file(file)
    config = EvaluateConfig(methods=("jpeg", "soft=median:3"), pictures=1)
    for colour in ("y", "rgb"):
        output = evaluate.run(EvaluateConfig(config.methods, colour=colour, pictures=1), str(images), {}, session)
        rows = {row.method: row for row in means.rows_of(output)}
        assert rows["soft"].images == 1 and rows["soft"].failures == 0
        assert rows["soft"].value("psnr") != rows["jpeg"].value("psnr")
        assert rows["soft"].value("seconds_per_megapixel") > 0, "it is timed"
        damaged, soft = (evaluate.picture(output, 0, 10, method) for method in ("jpeg", "soft"))
        assert damaged is not None
        assert np.array_equal(soft, np.asarray(Image.fromarray(damaged).filter(ImageFilter.MedianFilter(3))))
        assert "soft" in text.terminal(list(rows.values()))
    other = evaluate.run(EvaluateConfig(("jpeg", "soft=median:5"), pictures=1), str(images), {}, session)
    assert not other.reused, "another median is measured again"
    with pytest.raises(ConfigError, match="method soft: a median of '4'; use median:3"):
        find(parse("soft=median:4"), config, session.store.root)


# A stage


@pytest.fixture
def brightness(new_file: Callable[[Block], Any]) -> Any:
    return new_file(blocks("A stage")[0])


def test_a_stage_is_run_once(brightness: Any, outputs: Path, session: Session, tasks_here: list[int]) -> None:
    """By the lines of the flow; what they make is the mean of each example."""
    _, task, call = blocks("A stage")
    names = added_to(task)
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


def test_a_second_model_is_served_beside_the_first(
    new_file: Callable[[Block], Any], tmp_path: Path, tracking_uri: str
) -> None:
    """In a registry that is a file: each has its own files, and answers with its own pixels."""
    file, task, call = blocks("A second served model")
    second = new_file(file)
    session = Session(Store(tmp_path / "store"), tracking_uri=tracking_uri)
    first, small, strong = (brightening(brighter, session.store) for brighter in (0.0, 0.05, 0.1))
    with Experiment.open(tracking_uri, "ced").run({PUBLISH: "p", ROLE: "pipeline"}, "first") as run:
        version = registry.register(run, "p", "ced", first.path, tmp_path / "scratch")
        registry.promote(run.client, version, "champion")

    def note(making: Making) -> None:
        write_text(making.folder / publish.FILE, json.dumps({"run_id": run.id, "experiment_id": run.experiment}))

    published = make(session.store, "publish", {}, {}, note)
    names = added_to(task)
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
