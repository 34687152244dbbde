"""`ced prepare`, `ced train` and `ced evaluate`: single stages, from and to the files that `ced run` uses."""

import argparse
import dataclasses
import shlex
import shutil
import sys
from pathlib import Path

from ced.adapters.storage import Folder, Output, Place
from ced.config import METHODS, Config, override, unknown
from ced.errors import ConfigError
from ced.recipes import configure
from ced.stages import edges, label, report, restorers
from ced.stages import evaluate as evaluation
from ced.stages import prepare as preparation
from ced.stages import train as training
from ced.stages.live import Live
from ced.stages.session import session


def prepare(arguments: argparse.Namespace) -> None:
    """Photographs to labelled examples."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    with session(arguments.store, arguments.ray_address) as running:
        place: Place = Folder(Path(arguments.out).resolve()) if arguments.out else running.store
        data = _labelled(config, place)
    print(f"labelled examples: {data.labelled.path}")
    print(f"classes:           {data.classes.path / edges.FILE}")


def train(arguments: argparse.Namespace) -> None:
    """One model, and C first where a CED model needs it: at test time it is half of the method."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    device = (arguments.device or "cpu") if arguments.without_ray else ""
    if arguments.device and not arguments.without_ray:
        raise ConfigError("--device goes with --without-ray; under Ray Train use --set cluster.gpus_per_worker=1")
    with session(arguments.store, arguments.ray_address) as running:
        data = _given(Path(arguments.data)) if arguments.data else _labelled(config, running.store)
        place: Place = Folder(Path(arguments.out).resolve()) if arguments.out else running.store
        live = Live(running.tracking_uri)
        if arguments.model == "ed":
            _print_model("ed", training.run("ed", config, data, place, device, live), data, place)
            return
        classifier = training.run("classifier", config, data, place, device, live)
        if arguments.model == "classifier":
            print(f"weights: {classifier.path / training.WEIGHTS}")
            return
        data = dataclasses.replace(data, classifier=classifier)
        _print_model(arguments.model, training.run(arguments.model, config, data, place, device, live), data, place)


def evaluate(arguments: argparse.Namespace) -> None:
    """Test images to the table and the report."""
    folders = _methods(arguments.methods or "jpeg", arguments.models)
    config = _evaluation(arguments, tuple(folders))
    with session(arguments.store, arguments.ray_address) as running:
        complete = {name: restorers.given(name, folder) for name, folder in folders.items() if folder}
        workers = config.cluster.data_workers
        evaluated = evaluation.run(config.evaluate, arguments.images, complete, running.store, workers)
        reported = report.run(config, evaluated, {}, running.store)
        from ced.report import table

        columns = shutil.get_terminal_size().columns
        print(table.terminal(report.rows_of(evaluated), columns, styled=sys.stdout.isatty()))
        if arguments.report:
            report.copy(reported, Path(arguments.report))
        print(f"report: {Path(arguments.report or reported.path, report.PAGE).resolve()}")


def _labelled(config: Config, place: Place) -> training.Data:
    workers = config.cluster.data_workers
    prepared = preparation.run(config.prepare, config.images, place, workers)
    classes = edges.run(config.classes, prepared, place, workers)
    return training.Data(label.run(prepared, classes, place, workers), classes)


def _given(folder: Path) -> training.Data:
    """The data that `ced prepare -o` wrote into `folder`."""
    return training.Data(restorers.finished(folder / "label"), restorers.finished(folder / "edges"))


def _print_model(method: str, autoencoder: Output, data: training.Data, place: Place) -> None:
    classifier = data.classifier or autoencoder  # ED has none, and its restorer takes none
    output = restorers.run(method, autoencoder, classifier, data.classes, place)
    print(f"restorer: {output.path}")
    print(f"try it:   ced restore photo.jpg -o photo.png --model {shlex.quote(str(output.path))}")


def _evaluation(arguments: argparse.Namespace, methods: tuple[str, ...]) -> Config:
    config = override(Config(images=(), test_images=arguments.images), arguments.settings)
    qualities = tuple(arguments.quality) if arguments.quality else config.evaluate.qualities
    return dataclasses.replace(
        config, evaluate=dataclasses.replace(config.evaluate, methods=methods, qualities=qualities)
    )


def _methods(text: str, models: str | None) -> dict[str, Path | None]:
    """Each method's folder, None for jpeg. `text` is like "jpeg,ed=DIR"; bare names are looked up in `models`."""
    found: dict[str, Path | None] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, given, folder = item.partition("=")
        if name not in METHODS:
            raise ConfigError(f"--methods: {unknown('method', name, METHODS)}")
        if name == "jpeg":
            found[name] = None
        elif given:
            found[name] = Path(folder)
        elif models:
            found[name] = Path(models, f"restorer-{name}")
        else:
            raise ConfigError(f"--methods {name}: say where it is, as {name}=DIR or with --models DIR")
    return found
