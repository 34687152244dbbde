"""A network that docs/networks.md declares, from training to the registry, with no file of ced touched."""

import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ced.methods.open import open_method
from PIL import Image
from skimage import data

from ced.cluster import ray_data
from ced.config import Config, EvaluateConfig, PublishConfig, TrainConfig
from ced.errors import FormatError
from ced.evaluation import evaluate
from ced.methods import parse
from ced.methods import prepare as prepare_method
from ced.models import weights
from ced.models.blocks import Reach
from ced.networks import NETWORKS, Architecture
from ced.pipeline import restorers
from ced.report import stage as report
from ced.report import table
from ced.restoration import restorer
from ced.restoration.restorer import Restorer
from ced.store.outputs import Output, Store
from ced.store.session import Session
from ced.tracking import registry
from ced.training import stage

DOCS = Path(__file__).parents[3] / "docs" / "networks.md"
CONFIG = Config(
    autoencoder=TrainConfig(steps=4, batch_size=4, learning_rate=1e-2, warmup_steps=1, report_every=2),
    evaluate=EvaluateConfig(methods=("jpeg",), pictures=0),
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> type:
    """The class, declared by the two pieces of code of the page."""
    file, line = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S)
    module = types.ModuleType("ced.models.toy")
    exec(file, vars(module))
    monkeypatch.setitem(sys.modules, "ced.models.toy", module)
    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS._entries))
    exec(line, {"NETWORKS": NETWORKS, "Architecture": Architecture})
    return module.Toy


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks of an evaluation run one after the other in this process, which knows the network."""

    def run_tasks(task: Callable[[Any], Callable[[], Any]], rows: list[Any], workers: int) -> Iterator[Any]:
        return (task(row)() for row in rows)

    monkeypatch.setattr(ray_data, "run_tasks", run_tasks)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(data.chelsea()[60:132, 100:204]).save(folder / "cat.png")
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "store"))


@pytest.fixture
def trained(toy: type, outputs: Path, session: Session) -> Output:
    prepared = stage.Data(restorers.finished(outputs / "label"), restorers.finished(outputs / "edges"))
    return stage.run("toy", CONFIG, prepared, session, device="cpu")


@pytest.fixture
def restoring(trained: Output, outputs: Path, session: Session) -> Output:
    return restorers.run("toy", trained, trained, restorers.finished(outputs / "edges"), session)


def test_it_goes_the_whole_way(
    trained: Output, restoring: Output, images: Path, session: Session, in_process: None, tmp_path: Path
) -> None:
    assert [line["step"] for line in stage.curve(trained)] == [2, 4]
    config = EvaluateConfig(methods=("toy", "jpeg"), pictures=0)
    assert config.trained == ("toy",) and PublishConfig(method="toy").method == "toy"
    rows = report.rows_of(evaluate.run(config, str(images), {"toy": restoring}, session))
    assert {row.method: row.images for row in rows} == {"jpeg": 1, "toy": 1}
    assert len({row.psnr for row in rows}) == 2, "it changes something"
    lines = table.terminal(rows).splitlines()
    assert next(i for i, line in enumerate(lines) if "JPEG" in line) < next(
        i for i, line in enumerate(lines) if "Toy" in line
    )
    registry.save(tmp_path / "model", restoring.path, tmp_path / "scratch")
    stored = tmp_path / "model" / "artifacts" / "restorer"
    assert sorted(path.name for path in stored.iterdir()) == ["autoencoder.safetensors", "restorer.json"]


def test_its_folder_is_a_method(restoring: Output, session: Session) -> None:
    asked = parse(f"mine={restoring.path}")
    method = open_method(prepare_method(asked, EvaluateConfig(), session.store.root))
    assert method.colour == "any" and method.timed


def test_its_tiles_show_no_seams(restoring: Output, toy: type, monkeypatch: pytest.MonkeyPatch) -> None:
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
    """In grey levels."""
    return np.abs(one.astype(int) - other)


def test_where_it_is_not_declared_its_weights_are_refused(restoring: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORKS, "_entries", {name: NETWORKS.get(name) for name in NETWORKS.names if name != "toy"})
    with pytest.raises(FormatError, match="unknown network of kind 'toy'"):
        Restorer.load(restoring.path)


def test_it_starts_from_its_own_weights(trained: Output, toy: type) -> None:
    data, fresh = (trained.path / stage.WEIGHTS).read_bytes(), toy(1)
    weights.start(fresh, data)
    assert weights.encode(fresh) == data
