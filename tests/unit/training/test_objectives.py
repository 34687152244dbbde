import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from ced.config import NetworkConfig
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier
from ced.models.losses import block_effect, classification_loss
from ced.models.mapping import Mapping
from ced.training.objectives import Batch, Classification, Reconstruction, psnr, unit

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
    network, task = Classifier(NETWORK, 1, 7), Classification(stages=2)
    step = task.step(network, batch)
    logits = network(batch["input"] / 255)
    assert step.loss.item() == pytest.approx(classification_loss(logits, batch["labels"]).total.item(), rel=1e-5)
    hits = [(stage.argmax(2) == batch["labels"]).float().mean().item() for stage in logits]
    assert step.measures.tolist() == pytest.approx(hits)
    assert task.measures == ("accuracy_stage_1", "accuracy_stage_2") and not step.measures.requires_grad


def test_ed_is_trained_without_classes(batch: Batch) -> None:
    network, task = autoencoder(conditioned=False), Reconstruction(None)
    assert task.columns == ("input", "target")
    del batch["labels"]
    loss = task.step(network, batch).loss
    expected = (network(batch["input"] / 255) - batch["target"] / 255).square().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_ced_is_trained_with_the_coefficients_of_its_classes(batch: Batch, mapping: Mapping) -> None:
    network, task = autoencoder(conditioned=True), Reconstruction(mapping)
    assert task.columns == ("input", "target", "labels")
    step = task.step(network, batch)
    restored = network(batch["input"] / 255, mapping(batch["labels"]))
    expected = (restored - batch["target"] / 255).square().mean().item()
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert step.measures.tolist() == pytest.approx([10 * np.log10(1 / expected)])
    batch["labels"] = 6 - batch["labels"]
    assert task.step(network, batch).loss != step.loss


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
    q_hat = torch.randn(3, 16, 4, 4, generator=torch.Generator().manual_seed(2)) * 5
    asked: list[torch.Tensor] = []

    def estimate(x: torch.Tensor) -> torch.Tensor:
        asked.append(x)
        return q_hat

    step = Reconstruction(mapping, 2.0, estimate).step(network, batch)
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
    network, task = autoencoder(conditioned=False), Reconstruction(None)
    with torch.no_grad():
        network.decoder.last.bias.fill_(0.2)  # beyond white in places, to be clipped
        measured = task.validate(network, batch)
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
    network, task = Classifier(NETWORK, 1, 7), Classification(stages=2)
    measured = task.validate(network, batch)
    assert set(measured) == {"loss", "accuracy_stage_1", "accuracy_stage_2"}
    assert {len(values) for values in measured.values()} == {3}


def test_equal_images_have_a_finite_psnr() -> None:
    image = torch.zeros(2, 1, 4, 4)
    assert torch.isfinite(psnr(image, image)).all() and (psnr(image, image) > 140).all()
