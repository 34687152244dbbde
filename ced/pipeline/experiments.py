"""The paper's experiments beside Table 2: each trains what it needs, or finds it trained, and keeps its answer."""

import dataclasses
import json
from functools import partial
from typing import Any

from ced.config import Config
from ced.data import label
from ced.evaluation.paper import TABLE_1
from ced.store.outputs import Making, Output, make, write_text
from ced.store.session import Session
from ced.training import train
from ced.training.job import WEIGHTS
from ced.training.train import TrainingInputs

FILE = "experiment.json"
RATIO = 1.74  # section 3.4


def stages(config: Config, inputs: TrainingInputs, session: Session, device: str = "") -> Output:
    """Table 1: the accuracy of each stage of a three-stage classifier on the photographs held out of its training."""
    classifier = train.run("classifier", three_stages(config), inputs, session, device)
    contents = {"classifier": classifier.manifest.content, "labelled": inputs.labelled.manifest.content}
    fraction = config.classifier.validation_fraction
    produce = partial(_stages, classifier, inputs.labelled, fraction)
    return make(session.store, "experiment-stages", {"validation_fraction": fraction}, contents, produce)


def three_stages(config: Config) -> Config:
    """`config` with a classifier of as many stages as Table 1 has."""
    return dataclasses.replace(config, network=dataclasses.replace(config.network, stages=len(TABLE_1)))


def decoder_weights(config: Config, inputs: TrainingInputs, session: Session, device: str = "") -> Output:
    """Section 3.4: w_f and w_q of CED-EST and of CED-GT, and by how much more CED-EST ignores the classifier."""
    classifier = train.run("classifier", config, inputs, session, device)
    inputs = dataclasses.replace(inputs, classifier=classifier)
    trained = {model: train.run(model, config, inputs, session, device) for model in ("ced-est", "ced-gt")}
    contents = {model: output.manifest.content for model, output in trained.items()}
    return make(session.store, "experiment-decoder-weights", {}, contents, partial(_decoder_weights, trained))


def answer(output: Output) -> dict[str, Any]:
    """What an experiment found: plain JSON values."""
    values: dict[str, Any] = json.loads((output.path / FILE).read_text())
    return values


def _stages(classifier: Output, labelled: Output, fraction: float, making: Making) -> None:
    from ced.models import weights
    from ced.models.classifier import Classifier
    from ced.training import objectives

    network = weights.decode((classifier.path / WEIGHTS).read_bytes())
    assert isinstance(network, Classifier)
    examples = str(label.examples_of(labelled))
    accuracy = objectives.held_out_accuracy(network, examples, str(labelled.path), fraction)
    making.counts.update(examples=accuracy.examples, photographs=accuracy.photographs)
    _write(making, {"accuracy": list(accuracy.stages), "paper": list(TABLE_1), **making.counts})


def _decoder_weights(trained: dict[str, Output], making: Making) -> None:
    values: dict[str, dict[str, float]] = {}
    for model, output in trained.items():
        w_f, w_q = filter_weights((output.path / WEIGHTS).read_bytes())
        values[model] = {"w_f": w_f, "w_q": w_q, "difference": w_f - w_q}
    ratio = values["ced-est"]["difference"] / values["ced-gt"]["difference"]
    _write(making, {**values, "ratio": ratio, "paper": RATIO})


def filter_weights(encoded: bytes) -> tuple[float, float]:
    """w_f and w_q of a conditioned network's weights: the mean absolute value of D's first filters over their outputs
    and their 3x3 positions, summed over the inputs that carry f, and over those that carry q."""
    from ced.models import weights
    from ced.models.autoencoder import AutoEncoder

    network = weights.decode(encoded)
    assert isinstance(network, AutoEncoder) and network.conditioned
    means = network.decoder.first.convolution.weight.detach().double().abs().mean(dim=(0, 2, 3))
    n_f = network.network.width
    return float(means[:n_f].sum()), float(means[n_f:].sum())


def _write(making: Making, values: dict[str, Any]) -> None:
    write_text(making.folder / FILE, json.dumps(values, indent=1) + "\n")
