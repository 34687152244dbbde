"""`ced prepare` and `ced train`: single stages, from and to the files that `ced run` uses."""

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ced.cli.options import PhotographOptions, option
from ced.config import RELEASED, Config, as_dict
from ced.data import edges, label
from ced.data import prepare as preparation
from ced.errors import ConfigError, InputError
from ced.networks import NETWORKS
from ced.pipeline.session import session
from ced.recipes import configure
from ced.store.outputs import Output, Store
from ced.store.session import Session
from ced.training.job import WEIGHTS

if TYPE_CHECKING:  # it imports torch, which help and mistakes do not wait for
    from ced.training import train as training


@dataclass(frozen=True, kw_only=True)
class PrepareOptions(PhotographOptions):
    """`ced prepare`."""

    out: str | None = option("DIR", "write into this folder instead of the store", short="-o")


@dataclass(frozen=True, kw_only=True)
class DataOptions(PhotographOptions):
    """What commands take that train: on what, where, and from which weights."""

    data: str | None = option("DIR", "a folder that `ced prepare -o` wrote, instead of --images")
    device: str | None = option("NAME", "device of --without-ray, such as cpu or cuda")
    without_ray: bool = option(help="train in this process, without Ray Train")
    start_from: list[str] = option(
        "[MODEL=]DIR",
        "begin with weights that are trained already, of all models or of one: a folder of `ced train -o`, a restorer, "
        f"or {RELEASED}; repeatable",
    )


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """`ced train`."""

    model: str = option("MODEL", ", ".join(NETWORKS.names), positional=True, choices=NETWORKS.names)
    out: str | None = option("DIR", "write models into this folder instead of the store", short="-o")


def prepare(options: PrepareOptions) -> None:
    """Photographs to labelled examples."""
    config = configure(options.recipe, options.images, None, options.settings)
    with session(options.store, options.ray_address, config.cluster.data_workers) as running:
        data = make_data(config, with_outputs_in(options.out, running))
    print(f"examples: {label.examples_of(data.labelled)}")
    print(f"labels:   {data.labelled.path}")
    print(f"classes:  {data.classes.path / edges.FILE}")


def train(options: TrainOptions) -> None:
    """One model, and C first where a CED model needs it: at test time it is half of the method."""
    from ced.training import train as training

    config = configure(options.recipe, options.images, None, options.settings)
    device = device_of(options, config)
    architecture = NETWORKS.get(options.model)
    models = ("classifier", options.model) if architecture.conditioned else (options.model,)
    start = start_folders(options.start_from, models)
    with session(options.store, options.ray_address, config.cluster.data_workers) as running:
        data = dataclasses.replace(training_data(options, config, running), start=start)
        training.check_start(config, data)
        outputs = with_outputs_in(options.out, running)
        for model in models:
            output = training.run(model, config, data, outputs, device)
            data = dataclasses.replace(data, classifier=output) if model == "classifier" else data
        if architecture.objective == "classes":
            print(f"weights: {output.path / WEIGHTS}")
        else:
            _print_model(options.model, output, data, outputs, config.restore.temperature)


def with_outputs_in(folder: str | None, session: Session) -> Session:
    """The session with its outputs in a folder of the user's own, where one is named."""
    return dataclasses.replace(session, store=Store(Path(folder).resolve(), flat=True)) if folder else session


def training_data(options: DataOptions, config: Config, session: Session) -> "training.TrainingInputs":
    """What there is to train on: the folder of --data, or made of the photographs, in the store."""
    if not options.data and not config.images:
        raise InputError("no photographs given; name folders with --images, or what `ced prepare -o` wrote with --data")
    return read_data(Path(options.data), options, config) if options.data else make_data(config, session)


def start_folders(texts: list[str], models: Sequence[str]) -> dict[str, Path]:
    """The folders of `--start-from` for those of `models`, which are to be trained: DIR is for all, MODEL=DIR for one,
    `released` comes with ced. Raises ConfigError where one has two, or would not count."""
    folders: dict[str, Path] = {}
    for text in texts:
        name, named, folder = text.partition("=")
        chosen, folder = ((name,), folder) if named and name in NETWORKS.names else (models, text)
        if unused := set(chosen).difference(models):
            raise ConfigError(f"--start-from {text}: {unused.pop()} is not trained here, {' and '.join(models)} alone")
        if both := folders.keys() & chosen:
            raise ConfigError(f"--start-from {text}: {min(both)} has a folder already; give each model one")
        if folder == RELEASED:
            from ced.restoration import family

            path = family.RELEASED / "y"
        else:
            path = Path(folder).resolve()
        folders.update(dict.fromkeys(chosen, path))
    return folders


def device_of(options: DataOptions, config: Config) -> str:
    """The device of `--without-ray`, "" under Ray Train. Raises ConfigError for one that goes or leads nowhere, and for
    workers of Ray Train where there are none."""
    if not options.without_ray:
        if options.device:
            raise ConfigError("--device goes with --without-ray; under Ray Train use --set cluster.gpus_per_worker=1")
        return ""
    cluster = config.cluster
    if cluster.train_workers > 1:
        raise ConfigError(f"cluster.train_workers={cluster.train_workers} beside --without-ray; leave one of them out")
    if cluster.gpus_per_worker:
        raise ConfigError("cluster.gpus_per_worker is for Ray Train; beside --without-ray name the GPU: --device cuda")
    if options.device:
        from ced.training.context import checked_device

        checked_device(options.device)
    return options.device or "cpu"


def make_data(config: Config, session: Session) -> "training.TrainingInputs":
    """The labelled examples of `config`'s photographs and their classes."""
    from ced.training import train as training

    prepared = preparation.run(config.prepare, config.images, session)
    classes = edges.run(config.classes, prepared, session)
    return training.TrainingInputs(label.run(prepared, classes, session), classes)


def read_data(folder: Path, options: DataOptions, config: Config) -> "training.TrainingInputs":
    """The data that `ced prepare -o` wrote into `folder`, that of --data.

    Raises ConfigError for photographs beside it, or a setting other than what it was made with: neither would count.
    """
    from ced.pipeline import restorers
    from ced.training import train as training

    if options.images:
        raise ConfigError(f"--images beside --data: {folder} holds examples already; give one of the two")
    data = training.TrainingInputs(restorers.finished(folder / "label"), restorers.finished(folder / "edges"))
    prepared = restorers.finished(label.examples_of(data.labelled).parent)
    made_with = {"prepare": prepared.manifest.config, "classes": data.classes.manifest.config}
    for setting in options.settings:
        section, _, key = setting.partition("=")[0].strip().partition(".")
        if section in made_with:
            wanted = as_dict(getattr(config, section))[key]
            there = made_with[section].get(key, wanted)
            if there != wanted:
                cure = f"the examples in {folder} were made with {key}={there}; leave it out, or prepare them again"
                raise ConfigError(f"{section}.{key}={wanted} beside --data: {cure}")
    return data


def _print_model(
    method: str, autoencoder: Output, data: "training.TrainingInputs", session: Session, temperature: float
) -> None:
    from ced.pipeline import restorers

    classifier = data.classifier or autoencoder  # without classes there is none, and the restorer takes none
    output = restorers.run(method, autoencoder, classifier, data.classes, session, temperature)
    print(f"restorer: {output.path}")
    print(f"try it:   ced restore photo.jpg -o photo.png --model {shlex.quote(str(output.path))}")
