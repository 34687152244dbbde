"""The experiments: their definitions by hand, and that nothing is trained twice."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ced.config import Config, NetworkConfig, TrainConfig
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.pipeline import experiments, restorers
from ced.store.outputs import Store
from ced.store.session import Session
from ced.training import train
from ced.training.job import WEIGHTS
from ced.training.train import TrainingInputs

NETWORK = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1)
TRAIN = TrainConfig(steps=3, batch_size=2, report_every=3, checkpoint_every=3, validation_fraction=0.4)
CONFIG = Config(network=NETWORK, classifier=TRAIN, autoencoder=TRAIN)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data(outputs: Path) -> TrainingInputs:
    return TrainingInputs(restorers.finished(outputs / "label"), restorers.finished(outputs / "edges"))


def test_the_share_of_f_and_q_is_a_sum_of_means_of_absolute_values() -> None:
    torch.manual_seed(0)
    network = AutoEncoder(NETWORK, 1, conditioned=True)
    filters = network.decoder.first.convolution.weight.detach().numpy()
    mean = {"f": 0.0, "q": 0.0}
    for inputs in range(8 + 16):
        total = sum(abs(float(filters[o, inputs, i, j])) for o, i, j in np.ndindex(8, 3, 3))
        mean["f" if inputs < 8 else "q"] += total / (8 * 3 * 3)
    assert experiments.filter_weights(weights.encode(network)) == pytest.approx((mean["f"], mean["q"]), rel=1e-6)


def test_filters_that_ignore_q_weigh_nothing() -> None:
    network = AutoEncoder(NETWORK, 1, conditioned=True)
    with torch.no_grad():
        network.decoder.first.convolution.weight[:, :8] = -0.5
        network.decoder.first.convolution.weight[:, 8:] = 0
    assert experiments.filter_weights(weights.encode(network)) == pytest.approx((4.0, 0.0))


def test_stages_trains_three_and_the_second_time_nothing(data: TrainingInputs, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = experiments.stages(CONFIG, data, Session(store), "cpu")
    found = experiments.answer(first)
    assert len(found["accuracy"]) == 3 and all(0 < share < 1 for share in found["accuracy"])
    assert found["paper"] == [0.3094, 0.3169, 0.3178]
    assert (found["photographs"], found["examples"]) == (2, 8)
    again = experiments.stages(CONFIG, data, Session(store), "cpu")
    assert again.reused and again.path == first.path
    classifier, network = next((store.root / "train-classifier").iterdir()), NETWORK
    trained = weights.decode((classifier / WEIGHTS).read_bytes())
    assert trained.network == dataclasses.replace(network, stages=3)


def test_a_trained_store_answers_decoder_weights_at_once(data: TrainingInputs, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    classifier = train.run("classifier", CONFIG, data, Session(store), "cpu")
    given = dataclasses.replace(data, classifier=classifier)
    trained = {model: train.run(model, CONFIG, given, Session(store), "cpu") for model in ("ced-est", "ced-gt")}
    before = sorted(path.name for path in store.root.glob("train-*/*"))
    found = experiments.answer(experiments.decoder_weights(CONFIG, data, Session(store), "cpu"))
    assert sorted(path.name for path in store.root.glob("train-*/*")) == before
    shares = {m: experiments.filter_weights((o.path / WEIGHTS).read_bytes()) for m, o in trained.items()}
    for model, (w_f, w_q) in shares.items():
        assert found[model] == {"w_f": w_f, "w_q": w_q, "difference": w_f - w_q}
    assert found["ratio"] == found["ced-est"]["difference"] / found["ced-gt"]["difference"]
    assert found["paper"] == 1.74
