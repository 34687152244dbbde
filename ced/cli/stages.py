"""`ced prepare` and `ced train`: single stages, from and to the files that `ced run` uses."""

import argparse
import dataclasses
import shlex
from pathlib import Path

from ced.adapters.storage import Folder, Output, Place
from ced.config import MODELS, RELEASED, WITHOUT_CLASSES, Config, as_dict
from ced.errors import ConfigError
from ced.recipes import configure
from ced.stages import edges, label, restorers
from ced.stages import prepare as preparation
from ced.stages import train as training
from ced.stages.live import Live
from ced.stages.session import session


def prepare(arguments: argparse.Namespace) -> None:
    """Photographs to labelled examples."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    with session(arguments.store, arguments.ray_address) as running:
        place: Place = Folder(Path(arguments.out).resolve()) if arguments.out else running.store
        data = labelled(config, place)
    print(f"examples: {label.examples_of(data.labelled)}")
    print(f"labels:   {data.labelled.path}")
    print(f"classes:  {data.classes.path / edges.FILE}")


def train(arguments: argparse.Namespace) -> None:
    """One model, and C first where a CED model needs it: at test time it is half of the method."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    chosen = device(arguments)
    with session(arguments.store, arguments.ray_address) as running:
        data = given(arguments, config) if arguments.data else labelled(config, running.store)
        data = dataclasses.replace(data, start=start(arguments.start_from))
        place: Place = Folder(Path(arguments.out).resolve()) if arguments.out else running.store
        live = Live(running.tracking_uri)
        if arguments.model in WITHOUT_CLASSES:
            _print_model(arguments.model, training.run(arguments.model, config, data, place, chosen, live), data, place)
            return
        classifier = training.run("classifier", config, data, place, chosen, live)
        if arguments.model == "classifier":
            print(f"weights: {classifier.path / training.WEIGHTS}")
            return
        data = dataclasses.replace(data, classifier=classifier)
        _print_model(arguments.model, training.run(arguments.model, config, data, place, chosen, live), data, place)


def start(given: list[str]) -> dict[str, Path]:
    """The folders of `--start-from`, for each model: DIR is for all, MODEL=DIR for one, `released` comes with ced."""
    found: dict[str, Path] = {}
    for text in given:
        name, named, folder = text.partition("=")
        models, folder = ((name,), folder) if named and name in MODELS else (MODELS, text)
        if both := found.keys() & models:
            raise ConfigError(f"--start-from {text}: {min(both)} has a folder already; give each model one")
        found.update(dict.fromkeys(models, _released() if folder == RELEASED else Path(folder).resolve()))
    return found


def _released() -> Path:
    from ced import restore  # and with it torch, for those alone who ask for what comes with ced

    return restore.RELEASED


def device(arguments: argparse.Namespace) -> str:
    """The device of `--without-ray`, "" under Ray Train. Raises ConfigError for one that goes or leads nowhere."""
    if arguments.device and not arguments.without_ray:
        raise ConfigError("--device goes with --without-ray; under Ray Train use --set cluster.gpus_per_worker=1")
    if arguments.device:
        from ced.training.context import usable

        usable(arguments.device)
    return (arguments.device or "cpu") if arguments.without_ray else ""


def labelled(config: Config, place: Place) -> training.Data:
    """The labelled examples of `config`'s photographs and their classes."""
    workers = config.cluster.data_workers
    prepared = preparation.run(config.prepare, config.images, place, workers)
    classes = edges.run(config.classes, prepared, place, workers)
    return training.Data(label.run(prepared, classes, place, workers), classes)


def given(arguments: argparse.Namespace, config: Config) -> training.Data:
    """The data that `ced prepare -o` wrote into the folder of --data.

    Raises ConfigError for photographs beside it, or a setting other than what it was made with: neither would count.
    """
    folder = Path(arguments.data)
    if arguments.images:
        raise ConfigError(f"--images beside --data: {folder} holds examples already; give one of the two")
    data = training.Data(restorers.finished(folder / "label"), restorers.finished(folder / "edges"))
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


def _print_model(method: str, autoencoder: Output, data: training.Data, place: Place) -> None:
    classifier = data.classifier or autoencoder  # without classes there is none, and the restorer takes none
    output = restorers.run(method, autoencoder, classifier, data.classes, place)
    print(f"restorer: {output.path}")
    print(f"try it:   ced restore photo.jpg -o photo.png --model {shlex.quote(str(output.path))}")
