"""What the training stage says, and what its output depends on."""

import logging
from pathlib import Path

import pytest

from ced.config import Config
from ced.errors import InputError
from ced.overrides import override
from ced.restoration.restorer import RELEASED
from ced.store.outputs import Manifest, Output, Store
from ced.store.session import Session
from ced.training import train

REPORT = {"step": 50, "steps": 200, "loss": 1.23456, "images_per_second": 75.0, "batch_size": 16}


def output(content: str) -> Output:
    return Output(Path("nowhere"), Manifest("stage", "f", {}, {}, {}, {"part": content}), reused=True)


def test_the_line_of_a_classifier() -> None:
    told = train.line("classifier", REPORT | {"validation_accuracy_stage_1": 0.3, "validation_accuracy_stage_2": 0.31})
    expected = "classifier: step 50 of 200, loss 1.235, accuracy 0.3000 / 0.3100, 75 images a second, 0:32 left"
    assert told == expected


def test_the_line_of_an_autoencoder() -> None:
    told = train.line("ed", REPORT | {"validation_psnr": 29.404})
    assert told == "ed: step 50 of 200, loss 1.235, PSNR 29.40 dB, 75 images a second, 0:32 left"


def test_ced_est_without_a_classifier_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="estimates of a classifier"):
        train.run("ced-est", Config(), train.Data(output("a"), output("b")), Session(Store(tmp_path)))


def test_lines_are_said_once_and_only_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = tmp_path / "metrics.jsonl"
    line = '{"step": 1, "steps": 2, "loss": 0.5}\n'
    with caplog.at_level(logging.INFO, logger="ced"):
        assert train._say_new("ed", metrics, 0) == 0
        metrics.write_text(line + '{"step": 2, "st')
        said = train._say_new("ed", metrics, 0)
        assert train._say_new("ed", metrics, said) == said
        metrics.write_text(line + line.replace('"step": 1', '"step": 2'))
        train._say_new("ed", metrics, said)
    assert caplog.messages == ["ed: step 1 of 2, loss 0.5", "ed: step 2 of 2, loss 0.5"]


def test_the_size_in_words() -> None:
    assert train.size("ed", Config(), 7) == "1,034,513 parameters, 68.2 G multiply-adds a megapixel"
    assert train.size("arcnn", Config(), 7) == "106,561 parameters, 106.4 G multiply-adds a megapixel"


def test_the_size_is_that_of_the_classes_there_are() -> None:
    assert train.size("classifier", Config(), 7) != train.size("classifier", Config(), 5)
    assert train.size("classifier", Config(), 5) == train.size("classifier", override(Config(), ["classes.count=5"]), 5)
    classes = Output(Path("nowhere"), Manifest("edges", "f", {"count": 5}, {}, {}, {}), reused=True)
    assert train.Data(output("a"), classes).class_count == 5


def test_a_network_of_other_authors_is_not_trained_anew_for_another_shape_of_ours() -> None:
    wider = override(Config(), ["network.width=128"])
    for model in ("arcnn", "galteri-mse"):
        assert train._described(model, wider, wider.autoencoder) == train._described(
            model, Config(), Config().autoencoder
        )
    assert train._described("ed", wider, wider.autoencoder) != train._described("ed", Config(), Config().autoencoder)


def test_where_weights_to_start_from_are_found(tmp_path: Path) -> None:
    trained = tmp_path / "models" / "train-ed"
    trained.mkdir(parents=True)
    (trained / train.WEIGHTS).touch()
    assert train.weights_in(tmp_path / "models", "ed") == trained / train.WEIGHTS
    assert train.weights_in(RELEASED, "classifier") == RELEASED / "classifier.safetensors"
    assert train.weights_in(RELEASED, "ced-gt") == RELEASED / "autoencoder.safetensors"
    with pytest.raises(InputError, match="models: no weights of classifier to start from"):
        train.weights_in(tmp_path / "models", "classifier")
