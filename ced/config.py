"""Typed, frozen configuration: one section per stage, unknown keys refused by name.

A run is described by one `Config`. Each stage is handed its own section alone, so that its
fingerprint changes only with what it depends on.
"""

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import json
import math
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field

from ced.errors import ConfigError

METHODS = ("jpeg", "ed", "ced-est", "ced-gt")
AUTOENCODERS = ("ed", "ced-est", "ced-gt")
MODELS = ("classifier", *AUTOENCODERS)


def _require(holds: bool, setting: str, value: object, cure: str) -> None:
    if not holds:
        raise ConfigError(f"{setting} = {value!r}: {cure}")


@dataclass(frozen=True)
class PrepareConfig:
    """Photographs -> restoration examples (section 4.1)."""

    mode: str = "resize"  # "resize": whole image to size x size (the paper); "crops": random crops
    size: int = 96  # pixels
    colour: str = "y"  # "y": luminance; "rgb"
    quality: str = "10"  # JPEG quality factor; several "10,20" or a range "10-40": drawn per example
    flip: bool = True  # the horizontal flip as an example of its own
    crops: int = 64  # per photograph, mode "crops" only
    crops_at_most: int = 0  # over all photographs; 0 = no limit
    smallest_scale: float = 0.35  # a crop's photograph is scaled by 2^U(log2 smallest, 0)
    seed: int = 0
    photographs_per_part: int = 64  # one Parquet part each
    max_pixels: int = 200_000_000  # larger photographs are set aside
    max_bytes: int = 1 << 30  # larger files are set aside
    pattern: str = ""  # take only names that match, such as "*/test/*.JPEG"

    def __post_init__(self) -> None:
        _require(self.mode in ("resize", "crops"), "prepare.mode", self.mode, "use resize or crops")
        _require(self.colour in ("y", "rgb"), "prepare.colour", self.colour, "use y or rgb")
        _require(
            self.size >= 16 and self.size % 8 == 0,
            "prepare.size",
            self.size,
            "use a multiple of 8, at least 16",
        )
        _require(bool(self.qualities), "prepare.quality", self.quality, "use 1 to 100, as 10, as 10,20 or as 10-40")
        _require(self.crops >= 1, "prepare.crops", self.crops, "use 1 or more")
        _require(self.crops_at_most >= 0, "prepare.crops_at_most", self.crops_at_most, "use 0 or more")
        _require(
            0 < self.smallest_scale <= 1,
            "prepare.smallest_scale",
            self.smallest_scale,
            "use more than 0, at most 1",
        )
        _require(
            self.photographs_per_part >= 1,
            "prepare.photographs_per_part",
            self.photographs_per_part,
            "use 1 or more",
        )

    @functools.cached_property
    def qualities(self) -> tuple[int, ...]:
        """The quality factors that examples are drawn from, with equal chances; none where `quality` is not valid."""
        if re.fullmatch(r"\d{1,3}(,\d{1,3})*", self.quality):
            found = tuple(int(text) for text in self.quality.split(","))
        elif re.fullmatch(r"\d{1,3}-\d{1,3}", self.quality):
            first, last = (int(text) for text in self.quality.split("-"))
            found = tuple(range(first, last + 1))
        else:
            found = ()
        return found if all(1 <= quality <= 100 for quality in found) else ()

    @property
    def channels(self) -> int:
        """Planes of an example: 1 (Y) or 3 (RGB)."""
        return 1 if self.colour == "y" else 3


@dataclass(frozen=True)
class ClassesConfig:
    """Frequency classes (section 3.3, footnote 1)."""

    count: int = 7  # n_cl, classes of equal count per frequency channel

    def __post_init__(self) -> None:
        _require(2 <= self.count <= 255, "classes.count", self.count, "use 2 to 255")


@dataclass(frozen=True)
class NetworkConfig:
    """Shapes of F, S^t, E and D (sections 3.3 and 3.4, figure 3)."""

    width: int = 64  # features at quarter resolution (n_f)
    width_half: int = 32  # at half resolution
    width_full: int = 16  # at full resolution
    blocks: int = 6  # residual blocks at quarter resolution, in F = E and in D
    blocks_half: int = 0  # residual blocks at half resolution
    blocks_full: int = 0  # residual blocks at full resolution
    stages: int = 2  # T
    stage_blocks: int = 2  # residual blocks of a stage block
    slope: float = 0.1  # of the leaky ReLU
    skip: bool = True  # D's output is added to I^J

    def __post_init__(self) -> None:
        for name in ("width", "width_half", "width_full"):
            value = getattr(self, name)
            _require(value >= 1, f"network.{name}", value, "use 1 or more")
        for name in ("blocks", "blocks_half", "blocks_full", "stage_blocks"):
            value = getattr(self, name)
            _require(value >= 0, f"network.{name}", value, "use 0 or more")
        _require(self.stages >= 1, "network.stages", self.stages, "use 1 or more")
        _require(0 <= self.slope < 1, "network.slope", self.slope, "use 0 up to 1")


@dataclass(frozen=True)
class TrainConfig:
    """One training job: Adam, cosine schedule with warm-up, averaged weights."""

    steps: int = 1000
    batch_size: int = 16  # over all workers together
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    clip_norm: float = 1.0  # of the gradient
    average_decay: float = 0.995  # of the exponential moving average of the weights
    validation_fraction: float = 0.05  # of the photographs, never trained on
    report_every: int = 50  # steps
    checkpoint_every: int = 100  # steps
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "report_every", "checkpoint_every"):
            value = getattr(self, name)
            _require(value >= 1, name, value, "use 1 or more")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            _require(value > 0, name, value, "use more than 0")
        _require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "use 0 or more")
        _require(0 <= self.average_decay < 1, "average_decay", self.average_decay, "use 0 up to 1")
        _require(
            0 <= self.validation_fraction < 1,
            "validation_fraction",
            self.validation_fraction,
            "use 0 up to 1",
        )


@dataclass(frozen=True)
class EvaluateConfig:
    """Which methods on which degradation (section 4.3)."""

    methods: tuple[str, ...] = METHODS
    qualities: tuple[int, ...] = (10,)
    pictures: int = 4  # test images shown in the report

    def __post_init__(self) -> None:
        for method in self.methods:
            if method not in METHODS:
                raise ConfigError(f"evaluate.methods: {unknown('method', method, METHODS)}")
        _require(
            len(set(self.methods)) == len(self.methods), "evaluate.methods", self.methods, "a method is named twice"
        )
        _require(len(self.methods) > 0, "evaluate.methods", self.methods, "name at least one")
        _require(len(self.qualities) > 0, "evaluate.qualities", self.qualities, "name at least one")
        for quality in self.qualities:
            _require(1 <= quality <= 100, "evaluate.qualities", quality, "use 1 to 100")


@dataclass(frozen=True)
class PublishConfig:
    """The model registry and the gate before it."""

    model: str = "ced"  # registered name
    method: str = "ced-gt"  # which restorer is registered
    alias: str = "champion"
    gate: str = "psnr_b"  # a new version becomes champion where its mean is higher
    experiment: str = "ced"

    def __post_init__(self) -> None:
        _require(self.method in AUTOENCODERS, "publish.method", self.method, f"use one of {', '.join(AUTOENCODERS)}")
        gates = ("psnr", "psnr_b", "ssim")
        _require(self.gate in gates, "publish.gate", self.gate, f"use one of {', '.join(gates)}")


@dataclass(frozen=True)
class ClusterConfig:
    """How much of the machine or cluster to use. Not part of any fingerprint: the results are the same."""

    data_workers: int = 0  # parallel Ray Data tasks; 0 = one per core
    train_workers: int = 1  # Ray Train workers
    gpus_per_worker: float = 0.0
    threads_per_worker: int = 0  # 0 = the cores divided by the workers

    def __post_init__(self) -> None:
        _require(self.train_workers >= 1, "cluster.train_workers", self.train_workers, "use 1 or more")
        _require(self.data_workers >= 0, "cluster.data_workers", self.data_workers, "use 0 or more")


@dataclass(frozen=True)
class Config:
    """Everything one pipeline run is decided by."""

    images: tuple[str, ...] = ()
    test_images: str = ""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    classes: ClassesConfig = field(default_factory=ClassesConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    classifier: TrainConfig = field(default_factory=TrainConfig)
    autoencoder: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


SECTIONS = tuple(f.name for f in dataclasses.fields(Config) if f.name not in ("images", "test_images"))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """One clause for a name that does not exist, with the nearest one that does."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown {what} {name!r}; {hint}"


def override(config: Config, settings: Iterable[str]) -> Config:
    """`config` with each `section.key=value` of `settings` put in its place.

    Raises ConfigError for an unknown section or key (with the nearest name) or a value of another type.
    """
    for setting in settings:
        path, separator, text = setting.partition("=")
        section, dot, key = path.strip().partition(".")
        if not separator or not dot:
            raise ConfigError(f"setting {setting!r}: write it as section.key=value")
        if section not in SECTIONS:
            raise ConfigError(f"setting {setting!r}: {unknown('section', section, SECTIONS)}")
        part = getattr(config, section)
        types = typing.get_type_hints(type(part))
        if key not in types:
            raise ConfigError(f"setting {setting!r}: {unknown('key', key, types)}")
        value = _parse(setting, text.strip(), types[key])
        config = dataclasses.replace(config, **{section: dataclasses.replace(part, **{key: value})})
    return config


def _parse(setting: str, text: str, kind: object) -> object:
    items = typing.get_args(kind)
    if items:
        return tuple(_parse(setting, item.strip(), items[0]) for item in text.split(",") if item.strip())
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() in words:
            return words[text.lower()]
    elif kind is str:
        return text
    elif kind in (int, float):
        with contextlib.suppress(ValueError, OverflowError):
            number: float = kind(text)
            if math.isfinite(number):
                return number
    raise ConfigError(f"setting {setting!r}: {text!r} is not {_KINDS[kind]}")


_KINDS: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def as_dict(section: object) -> dict[str, typing.Any]:
    """A section, or the whole Config, as plain JSON values."""
    plain: dict[str, typing.Any] = json.loads(json.dumps(dataclasses.asdict(section)))  # type: ignore[call-overload]
    return plain


def fingerprint(*parts: object) -> str:
    """16 hex digits that change with any of `parts` (plain JSON values or config sections)."""
    plain = [as_dict(p) if dataclasses.is_dataclass(p) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
