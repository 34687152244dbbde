"""Typed, frozen configuration: one section per stage, unknown keys refused by name.

A run is described by one `Config`. Each stage takes its own section alone, so that its fingerprint changes
only with what it depends on. The checks are in the annotations (`ced.sections`).
"""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from ced import networks
from ced.errors import ConfigError, unknown
from ced.networks import AUTOENCODERS
from ced.sections import Check, Section, as_text, kinds, matching, one_of, parse, require

RELEASED = "released"  # the method that comes trained with the package
FAITHFUL = "faithful"  # and the one that is nearest to the pixels
SA_DCT = "sa-dct"  # a method without training
WITH_CED = (RELEASED, FAITHFUL, SA_DCT)
PLAIN = "jpeg"
DAMAGES = {  # what becomes of an original (ced.core.jpeg), and what tables say of its test set
    PLAIN: "",
    "double": "saved twice",
    "shifted": "cut and saved twice",
    "resized": "resized and saved twice",
}
PAIRS = "pairs"  # in the place of a damage: damaged files are there, each beside its original
AS_FOUND = 0  # in the place of a quality factor: each file has its own
METHOD_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}"  # it becomes part of file names

AT_LEAST_0 = Check(lambda number: number >= 0, "use 0 or more")
AT_LEAST_1 = Check(lambda number: number >= 1, "use 1 or more")
ABOVE_0 = Check(lambda number: number > 0, "use more than 0")
FRACTION = Check(lambda number: 0 <= number < 1, "use 0 up to 1")
UP_TO_1 = Check(lambda number: 0 < number <= 1, "use more than 0, at most 1")
COLOUR = one_of("y", "rgb")
QUALITY = Check(lambda quality: 1 <= quality <= 100, "use 1 to 100")
QUALITY_OR_FOUND = Check(lambda quality: 0 <= quality <= 100, "use 1 to 100")
QUALITIES = Check(lambda text: len(_qualities(text)) > 0, "use 1 to 100, as 10, as 10,20 or as 10-40")
SIZE = Check(lambda size: size >= 16 and size % 8 == 0, "use a multiple of 8, at least 16")
COUNT = Check(lambda count: 2 <= count <= 255, "use 2 to 255")
SEED = Check(lambda seed: abs(seed) < 1 << 63, "use less than 2^63")
TEMPERATURE = Check(lambda temperature: 0 <= temperature <= 1, "use 0 (argmax) to 1 (the mean)")
CROP = matching(r"|\d{1,6},\d{1,6},[1-9]\d{0,5},[1-9]\d{0,5}", "write it as left,top,width,height in pixels")
CHANNEL = matching("[1-8]-[1-8]", "use 1-1 to 8-8")
THROUGH = Check(lambda way: way in ("", "rgb", "ycbcr", "luma"), "use rgb, ycbcr or luma")
NOT_EMPTY = Check(lambda items: len(items) > 0, "name at least one")
DISTINCT = Check(lambda items: _distinct(items), "one is named twice")


def _distinct(names: Iterable[object]) -> bool:
    """Whether each is there once. Capitals make no other name: tables write jpeg as JPEG."""
    lower = [str(name).lower() for name in names]
    return len(set(lower)) == len(lower)


def _qualities(text: str) -> tuple[int, ...]:
    """The quality factors of `10`, `10,20` or `10-40`; none where the text is something else."""
    if re.fullmatch(r"\d{1,3}(,\d{1,3})*", text):
        qualities = tuple(map(int, text.split(",")))
    elif re.fullmatch(r"\d{1,3}-\d{1,3}", text):
        first, last = map(int, text.split("-"))
        qualities = tuple(range(first, last + 1))
    else:
        return ()
    return qualities if all(map(QUALITY.holds, qualities)) else ()


@dataclass(frozen=True)
class PrepareConfig(Section, prefix="prepare."):
    """Photographs -> restoration examples (section 4.1)."""

    # "resize": whole image to size x size (the paper); "crops": random crops
    mode: Annotated[str, one_of("resize", "crops")] = "resize"
    size: Annotated[int, SIZE] = 96  # pixels
    colour: Annotated[str, COLOUR] = "y"  # "y": luminance; "rgb"
    quality: Annotated[str, QUALITIES] = "10"  # of JPEG; several "10,20" or a range "10-40": drawn per example
    flip: bool = True  # the horizontal flip as an example of its own
    crops: Annotated[int, AT_LEAST_1] = 64  # per photograph, mode "crops" only
    crops_at_most: Annotated[int, AT_LEAST_0] = 0  # over all photographs; 0 = no limit
    smallest_scale: Annotated[float, UP_TO_1] = 0.35  # a crop's photograph is scaled by 2^U(log2 smallest, 0)
    seed: int = 0
    photographs_per_part: Annotated[int, AT_LEAST_1] = 64  # one Parquet part each
    max_pixels: Annotated[int, AT_LEAST_1] = 200_000_000  # larger photographs are set aside
    max_bytes: Annotated[int, AT_LEAST_1] = 1 << 30  # larger files are set aside
    pattern: str = ""  # take only names that match, such as "*/test/*.JPEG"

    @functools.cached_property
    def qualities(self) -> tuple[int, ...]:
        """The quality factors that examples are drawn from, with equal chances."""
        return _qualities(self.quality)

    @property
    def channels(self) -> int:
        """Planes of an example: 1 (Y) or 3 (RGB)."""
        return 1 if self.colour == "y" else 3


@dataclass(frozen=True)
class ClassesConfig(Section, prefix="classes."):
    """Frequency classes (section 3.3, footnote 1)."""

    count: Annotated[int, COUNT] = 7  # n_cl, classes of equal count per frequency channel


@dataclass(frozen=True)
class NetworkConfig(Section, prefix="network."):
    """Shapes of F, S^t, E and D (sections 3.3 and 3.4, figure 3)."""

    width: Annotated[int, AT_LEAST_1] = 64  # features at quarter resolution (n_f)
    width_half: Annotated[int, AT_LEAST_1] = 32  # at half resolution
    width_full: Annotated[int, AT_LEAST_1] = 16  # at full resolution
    blocks: Annotated[int, AT_LEAST_0] = 6  # residual blocks at quarter resolution, in F = E and in D
    blocks_half: Annotated[int, AT_LEAST_0] = 0  # residual blocks at half resolution
    blocks_full: Annotated[int, AT_LEAST_0] = 0  # residual blocks at full resolution
    stages: Annotated[int, AT_LEAST_1] = 2  # T
    stage_blocks: Annotated[int, AT_LEAST_0] = 2  # residual blocks of a stage block
    slope: Annotated[float, FRACTION] = 0.1  # of the leaky ReLU
    skip: bool = True  # D's output is added to I^J


@dataclass(frozen=True)
class TrainConfig(Section):
    """One training job: cosine schedule with warm-up, averaged weights."""

    steps: Annotated[int, AT_LEAST_1] = 1000
    batch_size: Annotated[int, AT_LEAST_1] = 16  # over all workers together
    optimizer: Annotated[str, one_of("adam", "muon")] = "adam"  # muon: fewer steps to the same loss (docs/training.md)
    learning_rate: Annotated[float, ABOVE_0] = 1e-3
    warmup_steps: Annotated[int, AT_LEAST_0] = 50
    clip_norm: Annotated[float, ABOVE_0] = 1.0  # of the gradient
    average_decay: Annotated[float, FRACTION] = 0.995  # of the exponential moving average of the weights
    block_effect: Annotated[float, AT_LEAST_0] = 0.0  # its weight beside the squared error; PSNR-B: 1, the paper: 0
    validation_fraction: Annotated[float, FRACTION] = 0.05  # of the photographs, never trained on
    report_every: Annotated[int, AT_LEAST_1] = 50  # steps
    checkpoint_every: Annotated[int, AT_LEAST_1] = 100  # steps
    shuffle_window: Annotated[int, AT_LEAST_1] = 16_384  # examples shuffled together; of more, the parts' order too
    seed: Annotated[int, SEED] = 0


@dataclass(frozen=True)
class RestoreConfig(Section, prefix="restore."):
    """How what is trained restores; training does not know of it."""

    # at which CED-GT reads q-hat off p-hat; 0 = the most probable class, the paper's way
    temperature: Annotated[float, TEMPERATURE] = 0.0


@dataclass(frozen=True)
class EvaluateConfig(Section, prefix="evaluate."):
    """Which methods on which degradation (section 4.3)."""

    # names of trained methods, or NAME=WHERE (ced.methods.method)
    methods: Annotated[tuple[str, ...], NOT_EMPTY] = ("jpeg", *AUTOENCODERS)
    # 1 to 100; AS_FOUND alone with damage = "pairs"
    qualities: Annotated[tuple[Annotated[int, QUALITY_OR_FOUND], ...], NOT_EMPTY, DISTINCT] = (10,)
    # "jpeg"; "double": saved once more at 90; "shifted", "resized": cut by 4 pixels or reduced to 3/4 before that
    damage: Annotated[str, one_of(*DAMAGES, PAIRS)] = PLAIN
    # "y": the plane of luminance is coded; "rgb": the colour image, measured on its luminance
    colour: Annotated[str, COLOUR] = "y"
    name: str = ""  # of the data set; "" = the folder's
    pictures: Annotated[int, AT_LEAST_0] = 4  # test images shown in the report
    lpips: bool = False  # as the judge lpips
    # what eyes would say (ced.evaluation.metrics): kid, dists-like, ssimulacra2, lpips, dists, fid; packages are extra
    judges: Annotated[tuple[str, ...], DISTINCT] = ()
    timeout: Annotated[float, ABOVE_0] = 600.0  # seconds that a command may take for one image

    def __post_init__(self) -> None:
        super().__post_init__()
        for method, name in zip(self.methods, self.names, strict=True):
            known = (*networks.methods(), *WITH_CED)
            if "=" not in method and method not in known:
                raise ConfigError(f"evaluate.methods: {unknown('method', method, known)}")
            require(
                bool(re.fullmatch(METHOD_NAME, name)), "evaluate.methods", method, "name it with letters and digits"
            )
        require(_distinct(self.names), "evaluate.methods", self.methods, "a method is named twice")
        found = self.damage == PAIRS
        cure = "pairs have their own: leave it 0" if found else "use 1 to 100"
        require((self.qualities == (AS_FOUND,)) if found else AS_FOUND not in self.qualities,
                "evaluate.qualities", self.qualities, cure)  # fmt: skip
        require(not found or self.colour == "rgb", "evaluate.colour", self.colour, "pairs are files of colour: use rgb")

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called."""
        return tuple(method.partition("=")[0].strip() for method in self.methods)

    @property
    def asked(self) -> tuple[str, ...]:
        """The judges that are asked for."""
        return tuple(dict.fromkeys((*self.judges, *["lpips"] * self.lpips)))

    @property
    def colours(self) -> tuple[str, ...]:
        """As the sections of other experiments have it."""
        return (self.colour,)

    @property
    def trained(self) -> tuple[str, ...]:
        """The methods that this project trains: neither the damaged image nor one that lies elsewhere."""
        return tuple(method for method in self.methods if method in networks.restoring())


@dataclass(frozen=True)
class FiguresConfig(Section, prefix="figures."):
    """What the report's figures show."""

    images: tuple[str, ...] = ()  # numbers, from 1, or names of the pictures that are shown; none = all that were kept
    # "left,top,width,height" in pixels, of figures 1, 4 and 5; "" = where most detail is
    crop: Annotated[str, CROP] = ""
    # of figure 6: row and column, from 1
    channels: tuple[Annotated[str, CHANNEL], ...] = ("1-1", "1-2", "2-2", "4-4", "8-8")

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """The region as left, top, right and bottom; None where it is to be found."""
        if not self.crop:
            return None
        left, top, width, height = map(int, self.crop.split(","))
        return left, top, left + width, top + height


@dataclass(frozen=True)
class VisionConfig(Section, prefix="--"):
    """Which methods on which degradation, seen by a detector and a segmenter (section 4.4)."""

    methods: tuple[str, ...] = ("original", "jpeg")  # and NAME=WHERE (ced.methods.method)
    qualities: tuple[int, ...] = (10,)
    colours: tuple[str, ...] = ("rgb",)  # "rgb"; "y": luminance, shown to the models as three equal channels
    # how RGB is restored: "rgb", "ycbcr", "luma"; "" = as the restorer was trained: rgb or ycbcr
    through: Annotated[str, THROUGH] = ""
    # how images lie in the segmenter's input: "native" size, or "scaled" to fill it
    fit: Annotated[str, one_of("native", "scaled")] = "native"
    pictures: Annotated[int, AT_LEAST_0] = 4  # images whose boxes and masks are drawn
    timeout: Annotated[float, ABOVE_0] = 600.0  # seconds that a command may take for one image

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, values in (("methods", self.names), ("quality", self.qualities), ("colour", self.colours)):
            require(bool(values) and _distinct(values), f"--{name}", values, "name some, each once")
        for quality in self.qualities:
            require(QUALITY.holds(quality), "--quality", quality, QUALITY.cure)
        for colour in self.colours:
            require(colour in ("rgb", "y"), "--colour", colour, "use rgb or y")

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called."""
        return tuple(method.partition("=")[0].strip() for method in self.methods)


@dataclass(frozen=True)
class PublishConfig(Section, prefix="publish."):
    """The model registry and the gate before it."""

    model: str = "ced"  # registered name
    method: str = "ced-gt"  # which restorer is registered
    alias: str = "champion"
    gate: str = "psnr_b"  # a new version becomes champion where it is better; one of ced.evaluation.metrics
    experiment: str = "ced"

    def __post_init__(self) -> None:
        super().__post_init__()
        restoring = networks.restoring()
        require(self.method in restoring, "publish.method", self.method, f"use one of {', '.join(restoring)}")


@dataclass(frozen=True)
class ClusterConfig(Section, prefix="cluster."):
    """How much of the machine or cluster to use, and how. Not part of any fingerprint: the results are the same, but
    for what `precision` rounds."""

    data_workers: Annotated[int, AT_LEAST_0] = 0  # parallel Ray Data tasks; 0 = one per core
    train_workers: Annotated[int, AT_LEAST_1] = 1  # Ray Train workers
    train_workers_least: int = 0  # go on with as few where nodes are lost; 0 = train_workers, wait for them
    gpus_per_worker: Annotated[float, AT_LEAST_0] = 0.0
    threads_per_worker: Annotated[int, AT_LEAST_0] = 0  # 0 = a node's cores divided by its workers
    # examples in training: "device": all in its memory; "stream": read as they are needed
    data: Annotated[str, one_of("auto", "device", "stream")] = "auto"
    data_memory: Annotated[float, AT_LEAST_0] = 0.0  # GB that data = "auto" may take; 0 = half of what is free
    compile: bool = False  # torch.compile the network for training
    # of training's convolutions; "auto" = bfloat16 on CUDA alone
    precision: Annotated[str, one_of("auto", "float32", "bfloat16")] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = self.train_workers_least, self.train_workers
        cure = f"use 0 up to cluster.train_workers, {most}"
        require(0 <= least <= most, "cluster.train_workers_least", least, cure)


@dataclass(frozen=True)
class Config(Section):
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
        super().__post_init__()
        effect = self.classifier.block_effect
        require(effect == 0, "classifier.block_effect", effect, "C makes no image; set autoencoder.block_effect")


SECTIONS = tuple(f.name for f in dataclasses.fields(Config) if f.name not in ("images", "test_images"))


def as_dict(section: object) -> dict[str, Any]:
    """A section, or the whole Config, as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(section)))  # type: ignore[call-overload]
    return plain


def fingerprint(*parts: object) -> str:
    """16 hex digits that change with any of `parts` (plain JSON values or config sections)."""
    plain = [as_dict(p) if dataclasses.is_dataclass(p) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def override(config: Config, settings: Iterable[str]) -> Config:
    """`config` with each `section.key=value` of `settings` in its place; of two for one key the last.

    Raises ConfigError for an unknown section or key (with the nearest name), a value of another type, or one that a
    section does not take: each is checked once, with all of its settings in it.
    """
    changes: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, separator, text = setting.partition("=")
        section, dot, key = path.strip().partition(".")
        if not separator or not dot:
            raise ConfigError(f"setting {setting!r}: write it as section.key=value")
        if section not in SECTIONS:
            raise ConfigError(f"setting {setting!r}: {unknown('section', section, SECTIONS)}")
        known = kinds(type(getattr(config, section)))
        if key not in known:
            raise ConfigError(f"setting {setting!r}: {unknown('key', key, known)}")
        try:
            changes.setdefault(section, {})[key] = parse(text.strip(), known[key])
        except ConfigError as error:
            raise ConfigError(f"setting {setting!r}: {error}") from None
    sections: dict[str, Any] = {}
    for section, values in changes.items():
        part = getattr(config, section)
        try:
            sections[section] = dataclasses.replace(part, **values)
        except ConfigError as error:  # a TrainConfig does not know which of the two sections it is
            raise ConfigError(f"{section}.{error}" if isinstance(part, TrainConfig) else str(error)) from None
    return dataclasses.replace(config, **sections)


def as_settings(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The values of some sections as the texts that `override` takes; None is left out."""
    return [
        f"{section}.{key}={as_text(value)}"
        for section, settings in values.items()
        for key, value in settings.items()
        if value is not None
    ]
