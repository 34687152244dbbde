"""What the output of a training depends on, and where weights to start from are."""

from pathlib import Path

import pytest

from ced.config import Config, override
from ced.errors import InputError
from ced.restoration import family
from ced.store.outputs import Manifest, Output, Store
from ced.store.session import Session
from ced.training import train
from ced.training.job import WEIGHTS
from ced.training.train import TrainingInputs


def output(content: str) -> Output:
    return Output(Path("nowhere"), Manifest("stage", "f", {}, {}, {}, {"part": content}), reused=True)


def test_ced_est_without_a_classifier_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="estimates of a classifier"):
        train.run("ced-est", Config(), TrainingInputs(output("a"), output("b")), Session(Store(tmp_path)))


def test_the_size_in_words() -> None:
    assert train.size("ed", Config(), 7) == "1,034,513 parameters, 68.2 G multiply-adds a megapixel"
    assert train.size("arcnn", Config(), 7) == "106,561 parameters, 106.4 G multiply-adds a megapixel"


def test_the_size_is_that_of_the_classes_there_are() -> None:
    assert train.size("classifier", Config(), 7) != train.size("classifier", Config(), 5)
    assert train.size("classifier", Config(), 5) == train.size("classifier", override(Config(), ["classes.count=5"]), 5)
    classes = Output(Path("nowhere"), Manifest("edges", "f", {"count": 5}, {}, {}, {}), reused=True)
    assert TrainingInputs(output("a"), classes).class_count == 5


def test_a_network_of_other_authors_is_not_trained_anew_for_another_shape_of_ours() -> None:
    wider = override(Config(), ["network.width=128"])
    for model in ("arcnn", "galteri-mse"):
        assert train._described(model, wider) == train._described(model, Config())
    assert train._described("ed", wider) != train._described("ed", Config())


def test_where_weights_to_start_from_are_found(tmp_path: Path) -> None:
    trained = tmp_path / "models" / "train-ed"
    trained.mkdir(parents=True)
    (trained / WEIGHTS).touch()
    assert train.weights_in(tmp_path / "models", "ed") == trained / WEIGHTS
    released = family.RELEASED / "y"
    assert train.weights_in(released, "classifier") == released / "classifier.safetensors"
    assert train.weights_in(released, "ced-gt") == released / "autoencoder.safetensors"
    with pytest.raises(InputError, match="models: no weights of classifier to start from"):
        train.weights_in(tmp_path / "models", "classifier")
