"""Named recipes: each is a function that returns a full Config."""

import dataclasses
from collections.abc import Callable, Sequence

from ced.config import (
    RELEASED,
    Config,
    EvaluateConfig,
    NetworkConfig,
    PrepareConfig,
    TrainConfig,
    override,
)
from ced.errors import ConfigError, unknown
from ced.networks import AUTOENCODERS

# Of the gradient of L_r, whose norm is about 1e-3: limited far above it, CED-GT leaps away now and then (docs/log.md).
_CLIP = 0.02


def quickstart() -> Config:
    """Minutes on two cores: crops of the photographs inside scikit-image and scikit-learn, small networks."""
    # Small batches: what counts here is how far a few hundred steps get. At 4e-3 they diverge now and then, and C
    # starts to overfit the few photographs after 300 steps.
    train = TrainConfig(steps=300, batch_size=8, learning_rate=2e-3, warmup_steps=50, average_decay=0.98)
    return Config(
        images=("builtin:train",),
        test_images="builtin:test",
        prepare=PrepareConfig(mode="crops", crops=128, crops_at_most=4000, photographs_per_part=2),
        network=NetworkConfig(width=32, width_half=16, width_full=8, blocks=4, stage_blocks=1),
        classifier=train,
        autoencoder=dataclasses.replace(train, steps=400, clip_norm=0.05),
        evaluate=EvaluateConfig(methods=("jpeg", *AUTOENCODERS, RELEASED)),
    )


def small() -> Config:
    """Hours on two cores: a network that restores a megapixel in a third of a second, crops of your photographs."""
    train = TrainConfig(steps=20_000, batch_size=16, learning_rate=1e-3, average_decay=0.999, checkpoint_every=500)
    return Config(
        prepare=PrepareConfig(mode="crops", crops=8),
        network=NetworkConfig(width=64, width_half=24, width_full=12, blocks=3, stage_blocks=1),
        classifier=train,
        autoencoder=dataclasses.replace(train, clip_norm=_CLIP),
        evaluate=EvaluateConfig(qualities=(10,)),
    )


def small_rgb() -> Config:
    """As small, for colour: networks with three planes in and three out, classes of the luminance, colour JPEGs."""
    config = small()
    return dataclasses.replace(
        config,
        prepare=dataclasses.replace(config.prepare, colour="rgb"),
        evaluate=dataclasses.replace(config.evaluate, colour="rgb"),
    )


def medium() -> Config:
    """As small, with twice the residual blocks: a million parameters each for C and E/D."""
    return dataclasses.replace(small(), network=NetworkConfig())


def paper() -> Config:
    """The paper's setting on GPUs: whole images resized to 96x96 and their flips (section 4.1), a large network."""
    train = TrainConfig(
        steps=200_000, batch_size=64, learning_rate=3e-4, warmup_steps=1000, average_decay=0.9995,
        report_every=500, checkpoint_every=2000,
    )  # fmt: skip
    return Config(
        prepare=PrepareConfig(mode="resize", size=96, photographs_per_part=256),
        network=NetworkConfig(width=256, width_half=128, width_full=64, blocks=12, blocks_half=2, blocks_full=1),
        classifier=train,
        autoencoder=dataclasses.replace(train, clip_norm=_CLIP),
    )


RECIPES: dict[str, Callable[[], Config]] = {
    "quickstart": quickstart,
    "small": small,
    "small-rgb": small_rgb,
    "medium": medium,
    "paper": paper,
}


def configure(
    recipe: str,
    images: Sequence[str] | None = None,
    test_images: str | None = None,
    settings: Sequence[str] | None = None,
) -> Config:
    """A recipe's configuration with the user's photographs and settings in it. Raises ConfigError."""
    if recipe not in RECIPES:
        raise ConfigError(unknown("recipe", recipe, RECIPES))
    config = override(RECIPES[recipe](), settings or ())
    if images:
        config = dataclasses.replace(config, images=tuple(images))
    if test_images:
        config = dataclasses.replace(config, test_images=test_images)
    return config
