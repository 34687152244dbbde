"""`ced prepare` and `ced train`: single stages, from and to the files that `ced run` uses."""

import argparse
import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from ced.config import MODELS, RELEASED, WITHOUT_CLASSES, Config, as_dict
from ced.data import edges, label
from ced.data import prepare as preparation
from ced.errors import ConfigError, InputError
from ced.pipeline import restorers
from ced.pipeline.session import session
from ced.recipes import configure
from ced.store.outputs import Output, Store
from ced.store.session import Session
from ced.training import train as training
from ced.training.job import WEIGHTS


def prepare(arguments: argparse.Namespace) -> None:
    """Photographs to labelled examples."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    with session(arguments.store, arguments.ray_address, config.cluster.data_workers) as running:
        data = labelled(config, into(running, arguments.out))
    print(f"examples: {label.examples_of(data.labelled)}")
    print(f"labels:   {data.labelled.path}")
    print(f"classes:  {data.classes.path / edges.FILE}")


def train(arguments: argparse.Namespace) -> None:
    """One model, and C first where a CED model needs it: at test time it is half of the method."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    chosen = device(arguments, config)
    alone = arguments.model in (*WITHOUT_CLASSES, "classifier")
    models = (arguments.model,) if alone else ("classifier", arguments.model)
    begin = start(arguments.start_from, models)
    with session(arguments.store, arguments.ray_address, config.cluster.data_workers) as running:
        data = dataclasses.replace(prepared(arguments, config, running), start=begin)
        training.check_start(config, data)
        outputs = into(running, arguments.out)
        for model in models:
            output = training.run(model, config, data, outputs, chosen)
            data = dataclasses.replace(data, classifier=output) if model == "classifier" else data
        if arguments.model == "classifier":
            print(f"weights: {output.path / WEIGHTS}")
        else:
            _print_model(arguments.model, output, data, outputs, config.restore.temperature)


def into(session: Session, folder: str | None) -> Session:
    """The session with its outputs in a folder of the user's own, where one is named."""
    return dataclasses.replace(session, store=Store(Path(folder).resolve(), flat=True)) if folder else session


def prepared(arguments: argparse.Namespace, config: Config, session: Session) -> training.TrainingInputs:
    """What there is to train on: the folder of --data, or made of the photographs, in the store."""
    if not arguments.data and not config.images:
        raise InputError("no photographs given; name folders with --images, or what `ced prepare -o` wrote with --data")
    return given(arguments, config) if arguments.data else labelled(config, session)


def start(given: list[str], models: Sequence[str]) -> dict[str, Path]:
    """The folders of `--start-from` for those of `models`, which are to be trained: DIR is for all, MODEL=DIR for one,
    `released` comes with ced. Raises ConfigError where one has two, or would not count."""
    found: dict[str, Path] = {}
    for text in given:
        name, named, folder = text.partition("=")
        chosen, folder = ((name,), folder) if named and name in MODELS else (models, text)
        if unused := set(chosen).difference(models):
            raise ConfigError(f"--start-from {text}: {unused.pop()} is not trained here, {' and '.join(models)} alone")
        if both := found.keys() & chosen:
            raise ConfigError(f"--start-from {text}: {min(both)} has a folder already; give each model one")
        found.update(dict.fromkeys(chosen, _released() if folder == RELEASED else Path(folder).resolve()))
    return found


def _released() -> Path:
    from ced.restoration import restorer  # and with it torch, for those alone who ask for what comes with ced

    return restorer.RELEASED


def device(arguments: argparse.Namespace, config: Config) -> str:
    """The device of `--without-ray`, "" under Ray Train. Raises ConfigError for one that goes or leads nowhere, and for
    workers of Ray Train where there are none."""
    if not arguments.without_ray:
        if arguments.device:
            raise ConfigError("--device goes with --without-ray; under Ray Train use --set cluster.gpus_per_worker=1")
        return ""
    cluster = config.cluster
    if cluster.train_workers > 1:
        raise ConfigError(f"cluster.train_workers={cluster.train_workers} beside --without-ray; leave one of them out")
    if cluster.gpus_per_worker:
        raise ConfigError("cluster.gpus_per_worker is for Ray Train; beside --without-ray name the GPU: --device cuda")
    if arguments.device:
        from ced.training.context import checked_device

        checked_device(arguments.device)
    return arguments.device or "cpu"


def labelled(config: Config, session: Session) -> training.TrainingInputs:
    """The labelled examples of `config`'s photographs and their classes."""
    prepared = preparation.run(config.prepare, config.images, session)
    classes = edges.run(config.classes, prepared, session)
    return training.TrainingInputs(label.run(prepared, classes, session), classes)


def given(arguments: argparse.Namespace, config: Config) -> training.TrainingInputs:
    """The data that `ced prepare -o` wrote into the folder of --data.

    Raises ConfigError for photographs beside it, or a setting other than what it was made with: neither would count.
    """
    folder = Path(arguments.data)
    if arguments.images:
        raise ConfigError(f"--images beside --data: {folder} holds examples already; give one of the two")
    data = training.TrainingInputs(restorers.finished(folder / "label"), restorers.finished(folder / "edges"))
    prepared = restorers.finished(label.examples_of(data.labelled).parent)
    made_with = {"prepare": prepared.manifest.config, "classes": data.classes.manifest.config}
    for setting in arguments.settings:
        section, _, key = setting.partition("=")[0].strip().partition(".")
        if section in made_with:
            wanted = as_dict(getattr(config, section))[key]
            there = made_with[section].get(key, wanted)
            if there != wanted:
                cure = f"the examples in {folder} were made with {key}={there}; leave it out, or prepare them again"
                raise ConfigError(f"{section}.{key}={wanted} beside --data: {cure}")
    return data


def _print_model(
    method: str, autoencoder: Output, data: training.TrainingInputs, session: Session, temperature: float
) -> None:
    classifier = data.classifier or autoencoder  # without classes there is none, and the restorer takes none
    output = restorers.run(method, autoencoder, classifier, data.classes, session, temperature)
    print(f"restorer: {output.path}")
    print(f"try it:   ced restore photo.jpg -o photo.png --model {shlex.quote(str(output.path))}")
