from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ced.config import ClusterConfig
from ced.core.classes import Classes
from ced.errors import FormatError, InputError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier
from ced.models.losses import block_effect
from ced.models.mapping import Mapping
from ced.training import data as stored
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.objectives import Reconstruction
from ced.training.prepared import Prepared, prepare
from ced.training.sampling import Order

MakeJob = Callable[..., TrainJob]
CPU = torch.device("cpu")
CONTEXT = PlainContext(CPU)


@pytest.fixture
def classifier(job_of: MakeJob, tmp_path: Path) -> Path:
    """The weights of a classifier that has learnt nothing, but answers."""
    torch.manual_seed(1)
    path = tmp_path / "c.safetensors"
    path.write_bytes(weights.encode(Classifier(job_of().network, 1, 7)))
    return path


def prepared(job: TrainJob) -> Prepared:
    torch.manual_seed(0)
    return prepare(job, CONTEXT)


def planes(ready: Prepared) -> dict[str, torch.Tensor]:
    """All examples as they are trained on."""
    return ready.planes(np.arange(len(ready.examples.sources)), CPU)


def all_of(data: Path, column: str) -> torch.Tensor:
    """A column of all examples as it is stored."""
    examples = stored.find(str(data / "examples"), str(data / "labelled"), [column], 1)
    return examples.read(np.arange(len(examples.sources)))[column]


@pytest.mark.parametrize("model", ["ed", "ced-est", "ced-gt", "arcnn"])
def test_what_makes_images_is_trained_on_the_block_effect_as_set(job_of: MakeJob, classifier: Path, model: str) -> None:
    paper, weighed = (prepared(job_of(model, classifier=str(classifier), block_effect=weight)) for weight in (0.0, 0.3))
    batch = {name: plane[:4] for name, plane in planes(paper).items()}
    restored = paper.task.restore(paper.network, batch)
    difference = weighed.task.step(weighed.network, batch).loss - paper.task.step(paper.network, batch).loss
    assert difference.item() == pytest.approx(0.3 * block_effect(restored).item(), rel=1e-3)
    assert difference > 0


def test_the_block_effect_of_ced_gt_is_that_of_its_classifiers_estimates(job_of: MakeJob, classifier: Path) -> None:
    job = job_of("ced-gt", classifier=str(classifier), block_effect=1.0)
    ready = prepared(job)
    assert isinstance(ready.task, Reconstruction) and ready.task.estimate is not None
    x = planes(ready)["input"][:3] / 255
    c = weights.decode(classifier.read_bytes())
    table = Classes.from_json(Path(job.classes).read_text())
    expected = Mapping(table.representatives, table.deviations)(c(x)[-1].argmax(2))
    assert torch.allclose(ready.task.estimate(x), expected, atol=1e-5)
    assert not ready.task.estimate(x).requires_grad and ready.estimator is None
    assert torch.equal(planes(ready)["labels"], all_of(Path(job.examples).parent, "labels"))  # still the true ones


def test_each_model_has_its_network_and_its_columns(job_of: MakeJob, classifier: Path) -> None:
    c = prepared(job_of("classifier"))
    assert isinstance(c.network, Classifier) and c.network.classes == 7
    assert set(planes(c)) == {"input", "labels"}
    ed = prepared(job_of("ed"))
    assert isinstance(ed.network, AutoEncoder) and not ed.network.conditioned
    assert set(planes(ed)) == {"input", "target"}
    for job in (job_of("ced-gt"), job_of("ced-est", classifier=str(classifier))):
        ced = prepared(job)
        assert isinstance(ced.network, AutoEncoder) and ced.network.conditioned
        assert set(planes(ced)) == {"input", "target", "labels"}


@pytest.mark.parametrize("model", ["ed", "arcnn", "galteri-mse"])
def test_what_needs_no_classes_never_opens_them(job_of: MakeJob, model: str) -> None:
    assert prepared(job_of(model, classes="nowhere")).task.columns == ("input", "target")


def test_gt_and_est_start_from_the_same_weights(job_of: MakeJob, classifier: Path) -> None:
    gt, est = prepared(job_of("ced-gt")), prepared(job_of("ced-est", classifier=str(classifier)))
    for a, b in zip(gt.network.parameters(), est.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_gt_takes_the_targets_classes(job_of: MakeJob, data: Path) -> None:
    labels = all_of(data, "labels")
    assert torch.equal(planes(prepared(job_of("ced-gt")))["labels"], labels)


def test_est_takes_the_classifiers_estimates_of_every_example(job_of: MakeJob, classifier: Path) -> None:
    ready = prepared(job_of("ced-est", classifier=str(classifier)))
    network = weights.decode(classifier.read_bytes())
    with torch.no_grad():
        for image, classes in zip(planes(ready)["input"], planes(ready)["labels"], strict=True):
            last = network(image[None].float() / 255)[-1][0].numpy()
            assert np.array_equal(classes, last.argmax(axis=1))


def test_q_is_the_mapping_of_the_classes(job_of: MakeJob, data: Path) -> None:
    classes = Classes.from_json((data / "classes.json").read_text())
    ready = prepared(job_of("ced-gt"))
    batch = ready.planes(np.array([3, 1]), CPU)
    q = ready.task.mapping(batch["labels"]).numpy()
    expected = classes.coefficients(all_of(data, "labels")[[3, 1]].numpy()) / classes.deviations[:, None, None]
    assert np.allclose(q, expected, atol=1e-6)


@pytest.mark.parametrize("how", ["device", "stream"])
def test_the_batches_are_those_of_the_order(job_of: MakeJob, data: Path, how: str) -> None:
    job = job_of("classifier", steps=40, shuffle_window=9)  # of 24 examples: several windows an epoch
    ready = prepared(job)
    order = Order(ready.split.training, ready.examples.ends, 9, job.train.seed)
    for rank in (0, 1):
        context = PlainContext(CPU, rank, 2, cluster=ClusterConfig(data=how))
        with ready.batches(context, 5) as batches:
            for step, batch in zip(range(5, 40), batches, strict=False):
                rows = order.batch(4, step)[rank::2]
                for name in ("input", "labels"):
                    assert torch.equal(batch[name], all_of(data, name)[rows])
    assert step == 39


def test_estimates_do_not_depend_on_how_the_examples_come(job_of: MakeJob, classifier: Path) -> None:
    job = job_of("ced-est", classifier=str(classifier), shuffle_window=9)
    found = []
    for how in ("device", "stream"):
        with prepared(job).batches(PlainContext(CPU, cluster=ClusterConfig(data=how)), 0) as batches:
            found.append([next(batches)["labels"] for _ in range(12)])
    # C rounds differently in batches of other sizes: of two classes that are level either may come out.
    assert (torch.stack(found[0]) != torch.stack(found[1])).float().mean() < 1e-3


def test_a_photograph_is_held_out_with_all_its_crops(job_of: MakeJob, data: Path) -> None:
    ready = prepared(job_of("ed"))
    sources = ready.examples.sources
    held = {sources[i] for i in ready.split.validation}
    assert len(held) == 1 and not held & {sources[i] for i in ready.split.training}
    assert torch.equal(ready.validation["input"], all_of(data, "input")[ready.split.validation])


def test_colour_examples(job_of: MakeJob, colour_data: Path) -> None:
    paths = {name: str(colour_data / name) for name in ("examples", "labelled")}
    ready = prepared(job_of("ced-gt", **paths, classes=str(colour_data / "classes.json"), channels=3))
    batch = ready.planes(np.array([0]), CPU)
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
    with pytest.raises(FormatError, match="label [56], where"):
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


def test_a_training_starts_from_weights(job_of: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    trained = weights.encode(prepared(job_of("ed")).network)
    path.write_bytes(trained)
    torch.manual_seed(5)
    assert weights.encode(prepare(job_of("ed", start=str(path)), CONTEXT).network) == trained
    told = prepared(job_of("ced-gt", start=str(path))).network
    assert torch.equal(
        told.encoder.to_half.convolution.weight, weights.decode(trained).encoder.to_half.convolution.weight
    )
    path.write_bytes(weights.encode(told))
    with pytest.raises(FormatError, match="another network .conditioned True is not False.; give weights of the same"):
        prepared(job_of("ed", start=str(path)))
    with pytest.raises(InputError, match="gone.safetensors: cannot be read"):
        prepared(job_of("ed", start=str(tmp_path / "gone.safetensors")))
