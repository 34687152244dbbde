"""What each model is trained on: its network, its examples, its loss, and how it is judged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from ced.config import ClusterConfig, NetworkConfig
from ced.core.classes import Classes
from ced.errors import FormatError, InputError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier, Mapping
from ced.models.losses import block_effect, classification_loss
from ced.training import data as stored
from ced.training.context import PlainContext
from ced.training.data import Sampler
from ced.training.job import TrainJob
from ced.training.objectives import Batch, Classification, Reconstruction, psnr, unit
from ced.training.trainer import Trainer

NETWORK = NetworkConfig(width=8, width_half=6, width_full=4, blocks=1, stage_blocks=1)


def autoencoder(conditioned: bool) -> AutoEncoder:
    """A network whose last convolution, which starts at zero, has been trained to something."""
    torch.manual_seed(0)
    network = AutoEncoder(NETWORK, 1, conditioned)
    torch.nn.init.normal_(network.decoder.last.weight, std=0.1)
    return network


@pytest.fixture
def batch() -> Batch:
    numbers = torch.Generator().manual_seed(0)
    planes = {
        name: torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8, generator=numbers)
        for name in ("input", "target")
    }
    return planes | {"labels": torch.randint(0, 7, (3, 16, 4, 4), dtype=torch.uint8, generator=numbers)}


@pytest.fixture
def mapping() -> Mapping:
    return Mapping(np.linspace(-9, 9, 16 * 7, dtype=np.float32).reshape(16, 7), np.full(16, 3, np.float32))


def test_unit_is_zero_to_one() -> None:
    assert unit(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def test_c_is_trained_on_the_targets_classes(batch: Batch) -> None:
    network, objective = Classifier(NETWORK, 1, 7), Classification(stages=2)
    step = objective.step(network, batch)
    logits = network(batch["input"] / 255)
    assert step.loss.item() == pytest.approx(classification_loss(logits, batch["labels"]).item(), rel=1e-5)
    hits = [(stage.argmax(2) == batch["labels"]).float().mean().item() for stage in logits]
    assert step.measures.tolist() == pytest.approx(hits)
    assert objective.measures == ("accuracy_stage_1", "accuracy_stage_2") and not step.measures.requires_grad


def test_ed_is_trained_without_classes(batch: Batch) -> None:
    network, objective = autoencoder(conditioned=False), Reconstruction(None)
    assert objective.columns == ("input", "target")
    del batch["labels"]
    loss = objective.step(network, batch).loss
    expected = (network(batch["input"] / 255) - batch["target"] / 255).square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_ced_is_trained_with_the_coefficients_of_its_classes(batch: Batch, mapping: Mapping) -> None:
    network, objective = autoencoder(conditioned=True), Reconstruction(mapping)
    assert objective.columns == ("input", "target", "labels")
    step = objective.step(network, batch)
    restored = network(batch["input"] / 255, mapping(batch["labels"]))
    expected = (restored - batch["target"] / 255).square().mean().item()
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert step.measures.tolist() == pytest.approx([10 * np.log10(1 / expected)])
    batch["labels"] = 6 - batch["labels"]
    assert objective.step(network, batch).loss != step.loss


def of_flat_blocks(batch: Batch) -> Batch:
    """The batch with an input of blocks of 8x8 alike pixels: what is restored of it has a block effect."""
    levels = batch["input"][..., ::8, ::8]
    return batch | {"input": levels.repeat_interleave(8, 2).repeat_interleave(8, 3)}


def test_the_block_effect_is_weighed_and_the_measure_stays_that_of_the_error_alone(batch: Batch) -> None:
    batch = of_flat_blocks(batch)
    network = autoencoder(conditioned=False)
    paper, half = (Reconstruction(None, weight).step(network, batch) for weight in (0.0, 0.5))
    effect = block_effect(network(batch["input"] / 255))
    assert effect > 0.01
    assert (half.loss - paper.loss).item() == pytest.approx(0.5 * effect.item(), rel=1e-4)
    assert torch.equal(half.measures, paper.measures)


def test_the_block_effect_of_ced_is_that_of_what_it_restores_with_the_estimates(batch: Batch, mapping: Mapping) -> None:
    network = autoencoder(conditioned=True)
    batch = of_flat_blocks(batch)
    estimates = torch.randint(0, 7, (3, 16, 4, 4), generator=torch.Generator().manual_seed(2))
    q_hat = mapping(estimates)
    asked: list[torch.Tensor] = []

    class Answering(Classifier):
        """Sees the same classes in everything."""

        def classify(self, x: torch.Tensor) -> torch.Tensor:
            asked.append(x)
            return estimates

    step = Reconstruction(mapping, 2.0, Answering(NETWORK, 1, 7)).step(network, batch)
    x = batch["input"] / 255
    error = (network(x, mapping(batch["labels"])) - batch["target"] / 255).square().mean().item()
    effect = block_effect(network(x, q_hat)).item()
    assert effect > 1e-3
    assert step.loss.item() == pytest.approx(error + 2 * effect, rel=1e-4)
    assert step.measures.item() == pytest.approx(-10 * np.log10(error), rel=1e-4)
    assert torch.equal(asked[0], unit(batch["input"]))


def test_the_reconstruction_loss_never_reaches_the_classifier(batch: Batch, mapping: Mapping) -> None:
    """Section 3.4: what C estimates enters CED-EST as classes, through which no gradient flows."""
    torch.manual_seed(1)
    classifier, network = Classifier(NETWORK, 1, 7), autoencoder(conditioned=True)
    batch["labels"] = classifier.classify(batch["input"] / 255)
    Reconstruction(mapping).step(network, batch).loss.backward()
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.decoder.first.convolution.weight.grad[:, NETWORK.width :].abs().sum() > 0  # those that look at q


def test_validation_psnr_is_that_of_8_bit_images(batch: Batch) -> None:
    network, objective = autoencoder(conditioned=False), Reconstruction(None)
    with torch.no_grad():
        network.decoder.last.bias.fill_(0.2)  # beyond white in places, to be clipped
        measured = objective.validate(network, batch)
        restored = (network(batch["input"] / 255) * 255).numpy()
    assert restored.max() > 256
    target = batch["target"].numpy()
    rounded = np.clip(np.round(restored), 0, 255).astype(np.uint8)
    assert measured["psnr"].tolist() == pytest.approx(
        [peak_signal_noise_ratio(*p) for p in zip(target, rounded, strict=True)], abs=1e-3
    )
    jpeg = [peak_signal_noise_ratio(*p) for p in zip(target, batch["input"].numpy(), strict=True)]
    assert measured["psnr_jpeg"].tolist() == pytest.approx(jpeg, abs=1e-4)


def test_validation_of_c_counts_each_example_once(batch: Batch) -> None:
    network, objective = Classifier(NETWORK, 1, 7), Classification(stages=2)
    measured = objective.validate(network, batch)
    assert set(measured) == {"loss", "accuracy_stage_1", "accuracy_stage_2"}
    assert {len(values) for values in measured.values()} == {3}


def test_equal_images_have_a_finite_psnr() -> None:
    image = torch.zeros(2, 1, 4, 4)
    assert torch.isfinite(psnr(image, image)).all() and (psnr(image, image) > 140).all()


MakeJob = Callable[..., TrainJob]
CPU = torch.device("cpu")
CONTEXT = PlainContext(CPU)


@pytest.fixture
def classifier_weights(job_of: MakeJob, tmp_path: Path) -> Path:
    """The weights of a classifier that has learnt nothing, but answers."""
    torch.manual_seed(1)
    path = tmp_path / "c.safetensors"
    path.write_bytes(weights.encode(Classifier(job_of().network, 1, 7)))
    return path


def begun(job: TrainJob) -> Trainer:
    return Trainer(job, CONTEXT)


def planes(trainer: Trainer) -> dict[str, torch.Tensor]:
    """All examples as they are trained on."""
    return trainer.loader.planes(np.arange(len(trainer.loader.examples.sources)), CPU)


def all_of(data: Path, column: str) -> torch.Tensor:
    """A column of all examples as it is stored."""
    examples = stored.find(str(data / "examples"), str(data / "labelled"), [column], 1)
    return examples.read(np.arange(len(examples.sources)))[column]


@pytest.mark.parametrize("model", ["ed", "ced-est", "ced-gt", "arcnn"])
def test_what_makes_images_is_trained_on_the_block_effect_as_set(
    job_of: MakeJob, classifier_weights: Path, model: str
) -> None:
    classifier = str(classifier_weights)
    paper, weighed = (begun(job_of(model, classifier=classifier, block_effect=weight)) for weight in (0.0, 0.3))
    batch = {name: plane[:4] for name, plane in planes(paper).items()}
    restored = paper.objective.restore(paper.network, batch)
    losses = [trainer.objective.step(trainer.network, batch).loss for trainer in (paper, weighed)]
    difference = losses[1] - losses[0]
    assert difference.item() == pytest.approx(0.3 * block_effect(restored).item(), rel=1e-3)
    assert difference > 0


def test_the_block_effect_of_ced_gt_is_that_of_its_classifiers_estimates(
    job_of: MakeJob, classifier_weights: Path
) -> None:
    job = job_of("ced-gt", classifier=str(classifier_weights), block_effect=1.0)
    trainer = begun(job)
    assert isinstance(trainer.objective, Reconstruction) and trainer.objective.classifier is not None
    x = planes(trainer)["input"][:3] / 255
    c = weights.decode(classifier_weights.read_bytes())
    table = Classes.from_json(Path(job.classes).read_text())
    expected = Mapping(table.representatives, table.deviations)(c(x)[-1].argmax(2))
    assert torch.allclose(trainer.objective.estimate(x), expected, atol=1e-5)
    assert not trainer.objective.estimate(x).requires_grad and not trainer.objective.estimated
    assert torch.equal(planes(trainer)["labels"], all_of(Path(job.examples).parent, "labels"))  # still the true ones


def test_each_model_has_its_network_and_its_columns(job_of: MakeJob, classifier_weights: Path) -> None:
    c = begun(job_of("classifier"))
    assert isinstance(c.state.module, Classifier) and c.state.module.classes == 7
    assert set(planes(c)) == {"input", "labels"}
    ed = begun(job_of("ed"))
    assert isinstance(ed.state.module, AutoEncoder) and not ed.state.module.conditioned
    assert set(planes(ed)) == {"input", "target"}
    for job in (job_of("ced-gt"), job_of("ced-est", classifier=str(classifier_weights))):
        ced = begun(job)
        assert isinstance(ced.state.module, AutoEncoder) and ced.state.module.conditioned
        assert set(planes(ced)) == {"input", "target", "labels"}


@pytest.mark.parametrize("model", ["ed", "arcnn", "galteri-mse"])
def test_what_needs_no_classes_never_opens_them(job_of: MakeJob, model: str) -> None:
    assert begun(job_of(model, classes="nowhere")).objective.columns == ("input", "target")


def test_gt_and_est_start_from_the_same_weights(job_of: MakeJob, classifier_weights: Path) -> None:
    gt, est = begun(job_of("ced-gt")), begun(job_of("ced-est", classifier=str(classifier_weights)))
    for a, b in zip(gt.state.module.parameters(), est.state.module.parameters(), strict=True):
        assert torch.equal(a, b)


def test_gt_takes_the_targets_classes(job_of: MakeJob, data: Path) -> None:
    labels = all_of(data, "labels")
    assert torch.equal(planes(begun(job_of("ced-gt")))["labels"], labels)


def test_est_takes_the_classifiers_estimates_of_every_example(job_of: MakeJob, classifier_weights: Path) -> None:
    trainer = begun(job_of("ced-est", classifier=str(classifier_weights)))
    network = weights.decode(classifier_weights.read_bytes())
    with torch.no_grad():
        for image, classes in zip(planes(trainer)["input"], planes(trainer)["labels"], strict=True):
            last = network(image[None].float() / 255)[-1][0].numpy()
            assert np.array_equal(classes, last.argmax(axis=1))


def test_q_is_the_mapping_of_the_classes(job_of: MakeJob, data: Path) -> None:
    classes = Classes.from_json((data / "classes.json").read_text())
    trainer = begun(job_of("ced-gt"))
    batch = trainer.loader.planes(np.array([3, 1]), CPU)
    q = trainer.objective.mapping(batch["labels"]).numpy()
    expected = classes.coefficients(all_of(data, "labels")[[3, 1]].numpy()) / classes.deviations[:, None, None]
    assert np.allclose(q, expected, atol=1e-6)


@pytest.mark.parametrize("how", ["device", "stream"])
def test_the_batches_are_those_of_the_sampler(job_of: MakeJob, data: Path, how: str) -> None:
    job = job_of("classifier", steps=40, shuffle_window=9)  # of 24 examples: several windows an epoch
    trainer = begun(job)
    sampler = Sampler(trainer.loader.split.training, trainer.loader.examples.ends, 9, job.train.seed)
    for rank in (0, 1):
        context = PlainContext(CPU, rank, 2, cluster=ClusterConfig(data=how))
        with trainer.loader.batches(context, 5) as batches:
            for step, batch in zip(range(5, 40), batches, strict=False):
                rows = sampler.batch(4, step)[rank::2]
                for name in ("input", "labels"):
                    assert torch.equal(batch[name], all_of(data, name)[rows])
    assert step == 39


def test_estimates_do_not_depend_on_how_the_examples_come(job_of: MakeJob, classifier_weights: Path) -> None:
    job = job_of("ced-est", classifier=str(classifier_weights), shuffle_window=9)
    found = []
    for how in ("device", "stream"):
        with begun(job).loader.batches(PlainContext(CPU, cluster=ClusterConfig(data=how)), 0) as batches:
            found.append([next(batches)["labels"] for _ in range(12)])
    # C rounds differently in batches of other sizes: of two classes that are level either may come out.
    assert (torch.stack(found[0]) != torch.stack(found[1])).float().mean() < 1e-3


def test_a_photograph_is_held_out_with_all_its_crops(job_of: MakeJob, data: Path) -> None:
    trainer = begun(job_of("ed"))
    sources = trainer.loader.examples.sources
    held = {sources[i] for i in trainer.loader.split.validation}
    assert len(held) == 1 and not held & {sources[i] for i in trainer.loader.split.training}
    assert torch.equal(trainer.held_out["input"], all_of(data, "input")[trainer.loader.split.validation])


def test_colour_examples(job_of: MakeJob, colour_data: Path) -> None:
    paths = {name: str(colour_data / name) for name in ("examples", "labelled")}
    trainer = begun(job_of("ced-gt", **paths, classes=str(colour_data / "classes.json"), channels=3))
    batch = trainer.loader.planes(np.array([0]), CPU)
    assert trainer.objective.step(trainer.network, batch).loss.isfinite()
    assert batch["target"].shape == (1, 3, 32, 32)


def test_classes_that_are_not_there(job_of: MakeJob) -> None:
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        begun(job_of("ced-gt", classes="nowhere"))


def test_classes_of_another_format(job_of: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text("{}")
    with pytest.raises(FormatError, match=r"classes\.json"):
        begun(job_of("classifier", classes=str(tmp_path / "classes.json")))


def test_labels_of_other_classes(job_of: MakeJob, data: Path, tmp_path: Path) -> None:
    classes = Classes.from_json((data / "classes.json").read_text())
    fewer = Classes(classes.edges[:, :4], classes.representatives[:, :5], classes.counts[:, :5])
    (tmp_path / "fewer.json").write_text(fewer.to_json())
    with pytest.raises(FormatError, match="label [56], where"):
        begun(job_of("classifier", classes=str(tmp_path / "fewer.json")))


def test_an_autoencoder_in_the_classifiers_place(job_of: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "ed.safetensors"
    path.write_bytes(weights.encode(AutoEncoder(job_of().network, 1, False)))
    with pytest.raises(FormatError, match=r"ed\.safetensors: no weights of a classifier"):
        begun(job_of("ced-est", classifier=str(path)))


@pytest.mark.parametrize("channels, classes", [(3, 7), (1, 5)])
def test_a_classifier_of_other_examples(job_of: MakeJob, tmp_path: Path, channels: int, classes: int) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(weights.encode(Classifier(job_of().network, channels, classes)))
    with pytest.raises(FormatError, match=rf"a classifier of {channels} planes and {classes} classes"):
        begun(job_of("ced-est", classifier=str(path)))


def test_a_training_starts_from_weights(job_of: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    trained = weights.encode(begun(job_of("ed")).state.module)
    path.write_bytes(trained)
    torch.manual_seed(5)
    assert weights.encode(Trainer(job_of("ed", start=str(path)), CONTEXT).state.module) == trained
    warm = begun(job_of("ced-gt", start=str(path))).state.module
    assert torch.equal(
        warm.encoder.to_half.convolution.weight, weights.decode(trained).encoder.to_half.convolution.weight
    )
    path.write_bytes(weights.encode(warm))
    with pytest.raises(FormatError, match="another network .conditioned True is not False.; give weights of the same"):
        begun(job_of("ed", start=str(path)))
    with pytest.raises(InputError, match="gone.safetensors: cannot be read"):
        begun(job_of("ed", start=str(tmp_path / "gone.safetensors")))
