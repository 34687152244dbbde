"""Typed, frozen configuration: one section per stage, unknown keys refused by name.

A run is described by one `Config`. Each stage is handed its own section alone, so that its
fingerprint changes only with what it depends on.
"""

import dataclasses
import functools
import hashlib
import json
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field

from ced.errors import ConfigError, unknown

AUTOENCODERS = ("ed", "ced-est", "ced-gt")
BASELINES = ("arcnn", "galteri-mse")  # networks of other authors, of a shape of their own
WITHOUT_CLASSES = (*BASELINES, "ed")  # what needs no classifier, neither in training nor after
METHODS = ("jpeg", *BASELINES, *AUTOENCODERS)  # in the order of Table 2
RELEASED = "released"  # the method that comes trained with the package
FAITHFUL = "faithful"  # and the one that is nearest to the pixels
WITH_CED = (RELEASED, FAITHFUL)
MODELS = ("classifier", *AUTOENCODERS, *BASELINES)
METHOD_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}"  # it becomes part of file names


def _require(holds: bool, setting: str, value: object, cure: str) -> None:
    if not holds:
        raise ConfigError(f"{setting} = {value!r}: {cure}")


def _apart(names: Iterable[object]) -> bool:
    """Whether each is there once. Capitals make no other name: tables write jpeg as JPEG."""
    lower = [str(name).lower() for name in names]
    return len(set(lower)) == len(lower)


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
        _require(self.crops_at_most >= 0, "prepare.crops_at_most", self.crops_at_most, "use 0 or more")
        _require(
            0 < self.smallest_scale <= 1,
            "prepare.smallest_scale",
            self.smallest_scale,
            "use more than 0, at most 1",
        )
        for name in ("crops", "photographs_per_part", "max_pixels", "max_bytes"):
            value = getattr(self, name)
            _require(value >= 1, f"prepare.{name}", value, "use 1 or more")

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
    """One training job: cosine schedule with warm-up, averaged weights."""

    steps: int = 1000
    batch_size: int = 16  # over all workers together
    optimizer: str = "adam"  # or "muon": fewer steps to the same loss (docs/training.md)
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    clip_norm: float = 1.0  # of the gradient
    average_decay: float = 0.995  # of the exponential moving average of the weights
    block_effect: float = 0.0  # its weight beside the squared error, what PSNR-B adds: 1; the paper's: 0
    validation_fraction: float = 0.05  # of the photographs, never trained on
    report_every: int = 50  # steps
    checkpoint_every: int = 100  # steps
    shuffle_window: int = 16_384  # examples shuffled as one; of more, the parts' order is shuffled too
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "report_every", "checkpoint_every", "shuffle_window"):
            value = getattr(self, name)
            _require(value >= 1, name, value, "use 1 or more")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            _require(value > 0, name, value, "use more than 0")
        _require(self.optimizer in ("adam", "muon"), "optimizer", self.optimizer, "use adam or muon")
        for name in ("warmup_steps", "block_effect"):
            value = getattr(self, name)
            _require(value >= 0, name, value, "use 0 or more")
        _require(abs(self.seed) < 1 << 63, "seed", self.seed, "use less than 2^63")
        _require(0 <= self.average_decay < 1, "average_decay", self.average_decay, "use 0 up to 1")
        fraction = self.validation_fraction
        _require(0 <= fraction < 1, "validation_fraction", fraction, "use 0 up to 1")


@dataclass(frozen=True)
class RestoreConfig:
    """How what is trained restores; training does not know of it."""

    temperature: float = 0.0  # at which CED-GT reads q-hat off p-hat; 0 = the most probable class, the paper's way

    def __post_init__(self) -> None:
        _require(0 <= self.temperature <= 1, "restore.temperature", self.temperature, "use 0 (argmax) to 1 (the mean)")


@dataclass(frozen=True)
class EvaluateConfig:
    """Which methods on which degradation (section 4.3)."""

    methods: tuple[str, ...] = ("jpeg", *AUTOENCODERS)  # names of trained ones, or NAME=WHERE (ced.methods.spec)
    qualities: tuple[int, ...] = (10,)
    colour: str = "y"  # "y": the plane of luminance is coded; "rgb": the colour image, measured on its luminance
    name: str = ""  # of the data set; "" = the folder's
    pictures: int = 4  # test images shown in the report
    lpips: bool = False  # measure LPIPS too; its package and weights are extra
    timeout: float = 600.0  # seconds that a command may take for one image

    def __post_init__(self) -> None:
        for method, name in zip(self.methods, self.names, strict=True):
            if "=" not in method and method not in (*METHODS, *WITH_CED):
                raise ConfigError(f"evaluate.methods: {unknown('method', method, (*METHODS, *WITH_CED))}")
            _require(
                bool(re.fullmatch(METHOD_NAME, name)), "evaluate.methods", method, "name it with letters and digits"
            )
        _require(_apart(self.names), "evaluate.methods", self.methods, "a method is named twice")
        _require(len(self.methods) > 0, "evaluate.methods", self.methods, "name at least one")
        _require(len(self.qualities) > 0, "evaluate.qualities", self.qualities, "name at least one")
        for quality in self.qualities:
            _require(1 <= quality <= 100, "evaluate.qualities", quality, "use 1 to 100")
        _require(
            len(set(self.qualities)) == len(self.qualities), "evaluate.qualities", self.qualities, "one is named twice"
        )
        _require(self.colour in ("y", "rgb"), "evaluate.colour", self.colour, "use y or rgb")
        _require(self.timeout > 0, "evaluate.timeout", self.timeout, "use more than 0")
        _require(self.pictures >= 0, "evaluate.pictures", self.pictures, "use 0 or more")

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called."""
        return tuple(method.partition("=")[0].strip() for method in self.methods)

    @property
    def colours(self) -> tuple[str, ...]:
        """As the sections of other experiments have it."""
        return (self.colour,)

    @property
    def trained(self) -> tuple[str, ...]:
        """The methods that this project trains: neither the damaged image nor one that lies elsewhere."""
        return tuple(method for method in self.methods if method in METHODS[1:])


@dataclass(frozen=True)
class FiguresConfig:
    """What the report's figures show."""

    images: tuple[str, ...] = ()  # numbers, from 1, or names of the pictures that are shown; none = all that were kept
    crop: str = ""  # "left,top,width,height" in pixels, of figures 1, 4 and 5; "" = where most detail is
    channels: tuple[str, ...] = ("1-1", "1-2", "2-2", "4-4", "8-8")  # of figure 6: row and column, from 1

    def __post_init__(self) -> None:
        for channel in self.channels:
            _require(
                bool(re.fullmatch("[1-8]-[1-8]", channel)),
                "figures.channels",
                channel,
                "use 1-1 to 8-8",
            )
        right = re.fullmatch(r"|\d{1,6},\d{1,6},[1-9]\d{0,5},[1-9]\d{0,5}", self.crop)
        _require(bool(right), "figures.crop", self.crop, "write it as left,top,width,height in pixels")

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """The region as left, top, right and bottom; None where it is to be found."""
        if not self.crop:
            return None
        left, top, width, height = map(int, self.crop.split(","))
        return left, top, left + width, top + height


@dataclass(frozen=True)
class VisionConfig:
    """Which methods on which degradation, seen by a detector and a segmenter (section 4.4)."""

    methods: tuple[str, ...] = ("original", "jpeg")  # and NAME=WHERE (ced.methods.spec)
    qualities: tuple[int, ...] = (10,)
    colours: tuple[str, ...] = ("rgb",)  # "rgb"; "y": luminance, shown to the models as three equal channels
    through: str = ""  # how RGB is restored: "rgb", "ycbcr", "luma"; "" = as the restorer was trained: rgb or ycbcr
    fit: str = "native"  # how images lie in the segmenter's input: "native" size, or "scaled" to fill it
    pictures: int = 4  # images whose boxes and masks are drawn
    timeout: float = 600.0  # seconds that a command may take for one image

    def __post_init__(self) -> None:
        for name, values in (("methods", self.names), ("quality", self.qualities), ("colour", self.colours)):
            _require(bool(values) and _apart(values), f"--{name}", values, "name some, each once")
        for quality in self.qualities:
            _require(1 <= quality <= 100, "--quality", quality, "use 1 to 100")
        for colour in self.colours:
            _require(colour in ("rgb", "y"), "--colour", colour, "use rgb or y")
        _require(self.through in ("", "rgb", "ycbcr", "luma"), "--through", self.through, "use rgb, ycbcr or luma")
        _require(self.fit in ("native", "scaled"), "--fit", self.fit, "use native or scaled")
        _require(self.pictures >= 0, "--pictures", self.pictures, "use 0 or more")
        _require(self.timeout > 0, "timeout", self.timeout, "use more than 0")

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called."""
        return tuple(method.partition("=")[0].strip() for method in self.methods)


@dataclass(frozen=True)
class PublishConfig:
    """The model registry and the gate before it."""

    model: str = "ced"  # registered name
    method: str = "ced-gt"  # which restorer is registered
    alias: str = "champion"
    gate: str = "psnr_b"  # a new version becomes champion where it is better; one of ced.evaluation.metrics
    experiment: str = "ced"

    def __post_init__(self) -> None:
        restoring = METHODS[1:]
        _require(self.method in restoring, "publish.method", self.method, f"use one of {', '.join(restoring)}")


@dataclass(frozen=True)
class ClusterConfig:
    """How much of the machine or cluster to use, and how. Not part of any fingerprint: the results are the same, but
    for what `precision` rounds."""

    data_workers: int = 0  # parallel Ray Data tasks; 0 = one per core
    train_workers: int = 1  # Ray Train workers
    train_workers_least: int = 0  # go on with as few where nodes are lost; 0 = train_workers, wait for them
    gpus_per_worker: float = 0.0
    threads_per_worker: int = 0  # 0 = a node's cores divided by its workers
    data: str = "auto"  # examples in training: "device": all in its memory; "stream": read as they are needed
    data_memory: float = 0.0  # GB that data = "auto" may take; 0 = half of what is free
    compile: bool = False  # torch.compile the network for training
    precision: str = "auto"  # of training's convolutions: "float32", "bfloat16"; "auto" = bfloat16 on CUDA alone

    def __post_init__(self) -> None:
        _require(self.train_workers >= 1, "cluster.train_workers", self.train_workers, "use 1 or more")
        _require(
            0 <= self.train_workers_least <= self.train_workers,
            "cluster.train_workers_least",
            self.train_workers_least,
            f"use 0 up to cluster.train_workers, {self.train_workers}",
        )
        for name in ("data_workers", "gpus_per_worker", "threads_per_worker", "data_memory"):
            value = getattr(self, name)
            _require(value >= 0, f"cluster.{name}", value, "use 0 or more")
        ways = ("auto", "device", "stream")
        _require(self.data in ways, "cluster.data", self.data, f"use one of {', '.join(ways)}")
        kinds = ("auto", "float32", "bfloat16")
        _require(self.precision in kinds, "cluster.precision", self.precision, f"use one of {', '.join(kinds)}")


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
    restore: RestoreConfig = field(default_factory=RestoreConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self) -> None:
        effect = self.classifier.block_effect
        _require(effect == 0, "classifier.block_effect", effect, "C makes no image; set autoencoder.block_effect")


SECTIONS = tuple(f.name for f in dataclasses.fields(Config) if f.name not in ("images", "test_images"))


def as_dict(section: object) -> dict[str, typing.Any]:
    """A section, or the whole Config, as plain JSON values."""
    plain: dict[str, typing.Any] = json.loads(json.dumps(dataclasses.asdict(section)))  # type: ignore[call-overload]
    return plain


def fingerprint(*parts: object) -> str:
    """16 hex digits that change with any of `parts` (plain JSON values or config sections)."""
    plain = [as_dict(p) if dataclasses.is_dataclass(p) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
