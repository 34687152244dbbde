"""What a restorer's folder holds, by method."""

import dataclasses
from pathlib import Path

import pytest

from ced.config import NetworkConfig
from ced.errors import InputError
from ced.models import weights
from ced.models.base import build
from ced.models.baselines import Galteri
from ced.networks import restoring
from ced.pipeline import restorers
from ced.restoration.restorer import Restorer
from ced.store.outputs import Manifest, Output, Store
from ced.store.session import Session

NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1)


def trained(root: Path, model: str) -> Output:
    folder = root / model
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights.encode(build(model, NETWORK, 1, 7)))
    return Output(folder, Manifest("train", "", {}, {}, {}, {"model.safetensors": model}), reused=True)


@pytest.mark.parametrize("method", restoring())
def test_each_method_can_be_loaded_from_what_was_trained(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(Galteri, "BLOCKS", 1)
    classes, classifier = restorers.finished(outputs / "edges"), trained(tmp_path, "classifier")
    autoencoder, store = trained(tmp_path, method), Store(tmp_path / "store")
    made = restorers.run(method, autoencoder, classifier, classes, Session(store))
    restorer = Restorer.load(made.path)
    assert restorer.method == method
    assert (restorer.classifier is not None) is method.startswith("ced")
    assert ("classifier" in made.manifest.inputs) is method.startswith("ced")
    assert restorers.from_folder(method, made.path).manifest.parts == made.manifest.parts
    assert restorers.run(method, autoencoder, classifier, classes, Session(store)).reused


def test_a_temperature_makes_another_restorer_of_ced_gt_alone(outputs: Path, tmp_path: Path) -> None:
    classes, classifier = restorers.finished(outputs / "edges"), trained(tmp_path, "classifier")
    for method, same in (("ced-gt", False), ("ced-est", True), ("ed", True)):
        autoencoder, session = trained(tmp_path, method), Session(Store(tmp_path / "store"))
        paper, warmer = (restorers.run(method, autoencoder, classifier, classes, session, t) for t in (0.0, 0.05))
        assert (warmer.path == paper.path) is same
        assert Restorer.load(warmer.path).temperature == (0.0 if same else 0.05)


def test_another_classifier_makes_another_restorer_of_ced_alone(outputs: Path, tmp_path: Path) -> None:
    classes, classifier = restorers.finished(outputs / "edges"), trained(tmp_path, "classifier")
    other = dataclasses.replace(classifier, manifest=dataclasses.replace(classifier.manifest, parts={"x": "y"}))
    for method, same in (("ced-gt", False), ("arcnn", True), ("ed", True)):
        autoencoder, store = trained(tmp_path, method), Store(tmp_path / "store")
        first = restorers.run(method, autoencoder, classifier, classes, Session(store))
        assert (restorers.run(method, autoencoder, other, classes, Session(store)).path == first.path) is same


def test_a_part_that_is_gone_is_told(outputs: Path) -> None:
    (outputs / "prepare" / "examples" / "part-00001.parquet").unlink()
    with pytest.raises(InputError, match=r"prepare: examples/part-00001.parquet missing; `ced data verify"):
        restorers.finished(outputs / "prepare")
    for part in (outputs / "label").glob("part-*.parquet"):
        part.unlink()
    with pytest.raises(InputError, match=r"label: part-00000.parquet and 1 more missing"):
        restorers.finished(outputs / "label")


def test_an_unfinished_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished output"):
        restorers.finished(tmp_path)
