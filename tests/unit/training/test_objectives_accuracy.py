"""Table 1's accuracy: all held-out examples, counted one by one."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from ced.config import NetworkConfig
from ced.errors import InputError
from ced.models.classifier import Classifier
from ced.training import data as stored
from ced.training import objectives

THREE_STAGES = NetworkConfig(width=8, width_half=6, width_full=4, blocks=1, stage_blocks=1, stages=3)


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(3)
    return Classifier(THREE_STAGES, 1, 7).eval()


def rows(data: Path) -> list[dict]:
    """Examples and labels, row by row."""
    stored = (
        [row for part in sorted(folder.glob("part-*")) for row in pq.read_table(part).to_pylist()]
        for folder in (data / "examples", data / "labelled")
    )
    return [example | beside for example, beside in zip(*stored, strict=True)]


def accuracy(classifier: Classifier, data: Path, fraction: float) -> objectives.Accuracy:
    return objectives.held_out_accuracy(classifier, str(data / "examples"), str(data / "labelled"), fraction)


def by_hand(classifier: Classifier, chosen: list[dict]) -> np.ndarray:
    """The share of hits of each stage, example by example."""
    hits, count = np.zeros(len(classifier.stages)), 0
    for row in chosen:
        shape = row["height"], row["width"]
        x = torch.tensor(np.frombuffer(row["input"], np.uint8).reshape(1, 1, *shape).astype(np.float32) / 255)
        truth = np.frombuffer(row["labels"], np.uint8).reshape(16, shape[0] // 4, shape[1] // 4)
        with torch.no_grad():
            answers = [logits[0].numpy().argmax(axis=1) for logits in classifier(x)]
        hits += [np.sum(answer == truth) for answer in answers]
        count += truth.size
    return hits / count


@pytest.mark.parametrize("fraction", [0.25, 0.5])
def test_it_is_the_share_of_hits_on_what_training_leaves_out(
    data: Path, classifier: Classifier, fraction: float
) -> None:
    every = rows(data)
    held = stored.split([row["source"] for row in every], fraction).validation
    found = accuracy(classifier, data, fraction)
    assert found.examples == len(held) > 0
    assert found.photographs == round(4 * fraction)
    assert np.allclose(found.stages, by_hand(classifier, [every[i] for i in held]), atol=1e-3)
    assert not np.allclose(found.stages, by_hand(classifier, every), atol=1e-5)


def test_an_answer_that_knows_the_labels_is_always_right(data: Path, classifier: Classifier) -> None:
    """All classes but one are out of the question, and the last is the label's: counted where it is right."""
    every = rows(data)
    held = [every[i] for i in stored.split([row["source"] for row in every], 0.25).validation]
    share = np.mean([np.frombuffer(row["labels"], np.uint8) == 2 for row in held])
    with torch.no_grad():
        for stage in classifier.stages:
            stage.last.weight.zero_()
            stage.last.bias.copy_(torch.tensor([0, 0, 9, 0, 0, 0, 0.0]).repeat(16))
    assert accuracy(classifier, data, 0.25).stages == pytest.approx([share] * 3)


def test_colour(colour_data: Path) -> None:
    torch.manual_seed(3)
    found = accuracy(Classifier(THREE_STAGES, 3, 7).eval(), colour_data, 0.25)
    assert found.examples == 4 and all(0 < share < 1 for share in found.stages)


def test_nothing_held_out_is_one_clear_line(data: Path, classifier: Classifier) -> None:
    with pytest.raises(InputError, match=r"no photograph was held out.*classifier\.validation_fraction"):
        accuracy(classifier, data, 0.0)
