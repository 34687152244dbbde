from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ced.core.classes import Classes
from ced.errors import FormatError, InputError
from ced.nets import weights
from ced.nets.autoencoder import AutoEncoder
from ced.nets.classifier import Classifier
from ced.training import data as stored
from ced.training.job import TrainJob
from ced.training.prepared import Prepared, prepare

MakeJob = Callable[..., TrainJob]
CPU = torch.device("cpu")


@pytest.fixture
def classifier(job_of: MakeJob, tmp_path: Path) -> Path:
    """The weights of a classifier that has learnt nothing, but answers."""
    torch.manual_seed(1)
    path = tmp_path / "c.safetensors"
    path.write_bytes(weights.encode(Classifier(job_of().network, 1, 7)))
    return path


def prepared(job: TrainJob) -> Prepared:
    torch.manual_seed(0)
    return prepare(job, CPU)


def test_each_model_has_its_network_and_its_columns(job_of: MakeJob, classifier: Path) -> None:
    c = prepared(job_of("classifier"))
    assert isinstance(c.network, Classifier) and c.network.classes == 7
    assert set(c.planes) == {"input", "labels"}
    ed = prepared(job_of("ed"))
    assert isinstance(ed.network, AutoEncoder) and not ed.network.conditioned
    assert set(ed.planes) == {"input", "target"}
    for job in (job_of("ced-gt"), job_of("ced-est", classifier=str(classifier))):
        ced = prepared(job)
        assert isinstance(ced.network, AutoEncoder) and ced.network.conditioned
        assert set(ced.planes) == {"input", "target", "labels"}


@pytest.mark.parametrize("model", ["ed", "arcnn", "galteri-mse"])
def test_what_needs_no_classes_never_opens_them(job_of: MakeJob, model: str) -> None:
    assert prepared(job_of(model, classes="nowhere")).task.columns == ("input", "target")


def test_gt_and_est_start_from_the_same_weights(job_of: MakeJob, classifier: Path) -> None:
    gt, est = prepared(job_of("ced-gt")), prepared(job_of("ced-est", classifier=str(classifier)))
    for a, b in zip(gt.network.parameters(), est.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_gt_takes_the_targets_classes(job_of: MakeJob, data: Path) -> None:
    labels = stored.read(str(data / "labelled"), ["labels"], 1).planes["labels"]
    assert torch.equal(prepared(job_of("ced-gt")).planes["labels"], labels)


def test_est_takes_the_classifiers_estimates_of_every_example(job_of: MakeJob, classifier: Path) -> None:
    ready = prepared(job_of("ced-est", classifier=str(classifier)))
    network = weights.decode(classifier.read_bytes())
    with torch.no_grad():
        for image, classes in zip(ready.planes["input"], ready.planes["labels"], strict=True):
            last = network(image[None].float() / 255)[-1][0].numpy()
            assert np.array_equal(classes, last.argmax(axis=1))


def test_q_is_the_mapping_of_the_classes(job_of: MakeJob, data: Path) -> None:
    classes = Classes.from_json((data / "classes.json").read_text())
    ready = prepared(job_of("ced-gt"))
    batch = ready.batch(np.array([3, 1]))
    q = ready.task.mapping(batch["labels"]).numpy()
    expected = classes.coefficients(ready.planes["labels"][[3, 1]].numpy()) / classes.deviations[:, None, None]
    assert np.allclose(q, expected, atol=1e-6)


def test_a_batch_is_the_rows_asked_for(job_of: MakeJob) -> None:
    ready = prepared(job_of("classifier"))
    batch = ready.batch(np.array([7, 0, 7]))
    for name in ("input", "labels"):
        assert torch.equal(batch[name], ready.planes[name][[7, 0, 7]])


def test_a_photograph_is_held_out_with_all_its_crops(job_of: MakeJob, data: Path) -> None:
    ready = prepared(job_of("ed"))
    sources = stored.read(str(data / "labelled"), [], 1).sources
    held = {sources[i] for i in ready.split.validation}
    assert len(held) == 1 and not held & {sources[i] for i in ready.split.training}
    assert set(ready.validation) <= set(ready.split.validation)


def test_colour_examples(job_of: MakeJob, colour_data: Path) -> None:
    folder, classes = str(colour_data / "labelled"), str(colour_data / "classes.json")
    ready = prepared(job_of("ced-gt", labelled=folder, classes=classes, channels=3))
    batch = ready.batch(np.array([0]))
    assert ready.task.step(ready.network, batch).loss.isfinite()
    assert batch["target"].shape == (1, 3, 32, 32)


def test_classes_that_are_not_there(job_of: MakeJob) -> None:
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        prepared(job_of("ced-gt", classes="nowhere"))


def test_classes_of_another_format(job_of: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text("{}")
    with pytest.raises(FormatError, match=r"classes\.json"):
        prepared(job_of("classifier", classes=str(tmp_path / "classes.json")))


def test_labels_of_other_classes(job_of: MakeJob, data: Path, tmp_path: Path) -> None:
    classes = Classes.from_json((data / "classes.json").read_text())
    fewer = Classes(classes.edges[:, :4], classes.representatives[:, :5], classes.counts[:, :5])
    (tmp_path / "fewer.json").write_text(fewer.to_json())
    with pytest.raises(FormatError, match="label 6, where"):
        prepared(job_of("classifier", classes=str(tmp_path / "fewer.json")))


def test_an_autoencoder_in_the_classifiers_place(job_of: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "ed.safetensors"
    path.write_bytes(weights.encode(AutoEncoder(job_of().network, 1, False)))
    with pytest.raises(FormatError, match=r"ed\.safetensors: no weights of a classifier"):
        prepared(job_of("ced-est", classifier=str(path)))


@pytest.mark.parametrize("channels, classes", [(3, 7), (1, 5)])
def test_a_classifier_of_other_examples(job_of: MakeJob, tmp_path: Path, channels: int, classes: int) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(weights.encode(Classifier(job_of().network, channels, classes)))
    with pytest.raises(FormatError, match=rf"a classifier of {channels} planes and {classes} classes"):
        prepared(job_of("ced-est", classifier=str(path)))
