"""A network of docs/extending.md: trained, restoring, evaluated and registered."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from ced.config import Config, EvaluateConfig, PublishConfig, TrainConfig
from ced.errors import FormatError
from ced.evaluation import evaluate
from ced.methods import find, parse
from ced.models import weights
from ced.models.blocks import Reach
from ced.networks import NETWORKS
from ced.pipeline import restorers
from ced.report import tables
from ced.restoration import restorer
from ced.restoration.restorer import Restorer
from ced.store.outputs import Output
from ced.store.session import Session
from ced.tracking import registry
from ced.training import train
from ced.training.job import WEIGHTS, read_reports
from ced.training.train import TrainingInputs

CONFIG = Config(
    autoencoder=TrainConfig(steps=4, batch_size=4, learning_rate=1e-2, warmup_steps=1, report_every=2),
    evaluate=EvaluateConfig(methods=("jpeg",), pictures=0),
)


@pytest.fixture
def toy(page: Any, monkeypatch: pytest.MonkeyPatch) -> type:
    """The class, declared by the two pieces of code of the page."""
    file, line = page.blocks("A network")
    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS._entries))
    page.added_to(line)
    toy: type = page.new_file(file).Toy
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
    rows = evaluate.rows_of(evaluate.run(config, str(images), {"toy": restoring}, session))
    assert {row.method: row.images for row in rows} == {"jpeg": 1, "toy": 1}
    assert len({row.value("psnr") for row in rows}) == 2, "it changes something"
    lines = tables.terminal(rows).splitlines()
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
