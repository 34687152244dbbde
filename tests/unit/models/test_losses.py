import math

import numpy as np
import pytest
import torch

from ced.core.metrics import blocking_effect_factor
from ced.models.losses import accuracy, block_effect, classification_loss, reconstruction_loss


def slow_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    total, count = 0.0, 0
    for b, ch, i, j in np.ndindex(*labels.shape):
        scores = logits[b, ch, :, i, j].astype(np.float64)
        total += math.log(np.exp(scores).sum()) - scores[labels[b, ch, i, j]]
        count += 1
    return total / count


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_classification_loss_is_equation_5(memory: torch.memory_format) -> None:
    flat = [torch.randn(2, 16 * 5, 2, 3).contiguous(memory_format=memory) for _ in range(3)]
    logits = [stage.unflatten(1, (16, 5)) for stage in flat]
    labels = torch.randint(0, 5, (2, 16, 2, 3), dtype=torch.uint8)
    expected = [slow_cross_entropy(stage.numpy(), labels.numpy()) for stage in logits]
    assert np.allclose([classification_loss([stage], labels) for stage in logits], expected, atol=1e-6)
    assert classification_loss(logits, labels).item() == pytest.approx(sum(expected) / 3, abs=1e-6)


def test_knowing_nothing_costs_the_logarithm_of_the_classes() -> None:
    loss = classification_loss([torch.zeros(1, 16, 7, 4, 4)], torch.zeros(1, 16, 4, 4, dtype=torch.uint8))
    assert loss.item() == pytest.approx(math.log(7))


def test_every_stage_is_trained() -> None:
    logits = [torch.zeros(1, 16, 7, 2, 2, requires_grad=True) for _ in range(2)]
    classification_loss(logits, torch.ones(1, 16, 2, 2, dtype=torch.uint8)).backward()
    assert torch.equal(logits[0].grad, logits[1].grad) and logits[0].grad.abs().sum() > 0


def test_reconstruction_loss_is_equation_6_per_value() -> None:
    restored, target = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    total = 0.0
    for index in np.ndindex(2, 3, 4, 5):
        total += float(restored[index] - target[index]) ** 2
    assert reconstruction_loss(restored, target).item() == pytest.approx(total / (2 * 3 * 4 * 5), rel=1e-5)


def test_one_and_three_equal_channels_have_the_same_loss() -> None:
    restored, target = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    gray = reconstruction_loss(restored, target)
    colour = reconstruction_loss(restored.repeat(1, 3, 1, 1), target.repeat(1, 3, 1, 1))
    assert gray.item() == pytest.approx(colour.item())


def images(height: int, width: int, steps: float, seed: int = 0) -> np.ndarray:
    """Noise, whose 8x8 blocks have levels of their own: as many gray levels apart as `steps`."""
    numbers = np.random.default_rng(seed)
    levels = numbers.normal(120, steps, (-(-height // 8), -(-width // 8))).repeat(8, 0).repeat(8, 1)
    return np.clip(levels[:height, :width] + numbers.normal(0, 4, (height, width)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (96, 96), (24, 80)])
def test_the_block_effect_of_an_image_is_what_psnr_b_takes(height: int, width: int) -> None:
    plane = images(height, width, steps=20)
    expected = blocking_effect_factor(plane)
    assert expected > 50
    assert block_effect(torch.from_numpy(plane)[None, None] / 255).item() * 255**2 == pytest.approx(expected, rel=1e-5)


def test_the_block_effect_of_a_batch_counts_all_its_pairs_alike() -> None:
    """In one image borders stand out, in the other they are smoother than the rest: together they do neither."""
    blocks = torch.from_numpy(images(32, 32, steps=20))[None, None] / 255
    smooth = blocks.roll((4, 4), (2, 3))  # the borders of its blocks lie amid those of BEF
    alone = [block_effect(image).item() for image in (blocks, smooth)]
    assert alone[0] > 0 and alone[1] == 0
    assert block_effect(torch.cat([blocks, smooth])).item() < alone[0] / 2
    assert block_effect(torch.cat([blocks, blocks])).item() == pytest.approx(alone[0])


def test_the_gradient_of_the_block_effect_lowers_it_and_none_is_left_where_there_is_no_block() -> None:
    image = (torch.from_numpy(images(32, 32, steps=20))[None, None] / 255).requires_grad_()
    effect = block_effect(image)
    (gradient,) = torch.autograd.grad(effect, image)
    assert block_effect(image - 0.1 * effect * gradient / gradient.square().sum()) < effect
    ramp = (torch.arange(32.0).repeat(32, 1)[None, None] / 32).requires_grad_()
    (gradient,) = torch.autograd.grad(block_effect(ramp * ramp * 0), ramp)
    assert gradient.abs().sum() == 0


def test_accuracy_matches_a_loop() -> None:
    logits = torch.randn(2, 16, 4, 3, 2)
    labels = torch.randint(0, 4, (2, 16, 3, 2), dtype=torch.uint8)
    hits = [
        max(range(4), key=lambda k: logits[b, ch, k, i, j]) == labels[b, ch, i, j]
        for b, ch, i, j in np.ndindex(2, 16, 3, 2)
    ]
    assert accuracy(logits, labels).item() == pytest.approx(np.mean(hits))
