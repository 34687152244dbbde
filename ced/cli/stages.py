"""`ced prepare`, `ced train` and `ced experiment`: single stages, from and to the files that `ced run` uses."""

import contextlib
import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ced import terminal
from ced.cli.options import PhotographOptions, option
from ced.config import RELEASED, Config, NetworkConfig, as_dict, override
from ced.data import edges, label
from ced.data import prepare as preparation
from ced.errors import ConfigError, InputError
from ced.evaluation.paper import TABLE_1
from ced.networks import NETWORKS
from ced.pipeline.session import session
from ced.recipes import configure
from ced.store.outputs import Output, Store, write_bytes
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


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(DataOptions):
    """`ced experiment stages` and `ced experiment decoder-weights`."""

    out: str | None = option("FILE", "write the figures into this JSON file as well", short="-o")
    models: str | None = option("DIR", "take models from here, where `ced train -o` wrote; the missing are trained")


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
    architecture = NETWORKS.get(options.model)
    models = ("classifier", options.model) if architecture.conditioned else (options.model,)
    with _training(options, config, models) as (data, device, running):
        training.check_start(config, data)
        outputs = with_outputs_in(options.out, running)
        for model in models:
            output = training.run(model, config, data, outputs, device)
            data = dataclasses.replace(data, classifier=output) if model == "classifier" else data
        if architecture.objective == "classes":
            print(f"weights: {output.path / WEIGHTS}")
            return
        from ced.pipeline import restorers

        classifier = data.classifier or output  # without classes there is none, and the restorer takes none
        temperature = config.restore.temperature
        restorer = restorers.run(options.model, output, classifier, data.classes, outputs, temperature)
        print(f"restorer: {restorer.path}")
        print(f"try it:   ced restore photo.jpg -o photo.png --model {shlex.quote(str(restorer.path))}")


def accuracy(options: ExperimentOptions) -> None:
    """Table 1: `ced experiment stages`."""
    from ced.pipeline import experiments
    from ced.training import train as training

    stages = override(Config(network=NetworkConfig(stages=len(TABLE_1))), options.settings).network.stages
    if stages != len(TABLE_1):
        raise ConfigError(f"network.stages={stages}: Table 1 is of {len(TABLE_1)}; leave it out")
    config = configure(options.recipe, options.images, None, options.settings)
    with _training(options, config, ("classifier",)) as (data, device, running):
        training.check_start(experiments.three_stages(config), data)
        output = experiments.stages(config, data, with_outputs_in(options.models, running), device)
    results = _results(output, options.out)
    print(
        f"\nAccuracy on {results['examples']:,} held-out examples of {results['photographs']:,} photographs (Table 1)\n"
    )
    names = [f"stage {t}" for t in range(1, len(results["paper"]) + 1)]
    _print_table(names, {"ours": results["accuracy"], "paper": results["paper"]})


def decoder_weights(options: ExperimentOptions) -> None:
    """Section 3.4."""
    from ced.pipeline import experiments
    from ced.training import train as training

    config = configure(options.recipe, options.images, None, options.settings)
    with _training(options, config, ("classifier", "ced-est", "ced-gt")) as (data, device, running):
        training.check_start(config, data)
        output = experiments.decoder_weights(config, data, with_outputs_in(options.models, running), device)
    results = _results(output, options.out)
    print("\nMean absolute filters of D's first layer (section 3.4)\n")
    names = {"ced-est": "with q-hat (CED-EST)", "ced-gt": "with q (CED-GT)"}
    parts = ("w_f", "w_q", "difference")
    rows = {text: [results[model][part] for part in parts] for model, text in names.items()}
    _print_table(["w_f", "w_q", "w_f - w_q"], rows)
    print(f"\nratio of w_f - w_q: ours {results['ratio']:.2f}, the paper's {results['paper']:.2f}")


@contextlib.contextmanager
def _training(
    options: DataOptions, config: Config, models: Sequence[str]
) -> "Iterator[tuple[training.TrainingInputs, str, Session]]":
    """What `models` are trained on, the device of --without-ray, and the session. Raises CedError."""
    device = device_of(options, config)
    start = start_folders(options.start_from, models)
    with session(options.store, options.ray_address, config.cluster.data_workers) as running:
        yield dataclasses.replace(training_data(options, config, running), start=start), device, running


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


def _results(experiment: Output, out: str | None) -> dict[str, Any]:
    """The results of an experiment, after a line that says where they are kept."""
    from ced.pipeline import experiments

    file = experiment.path / experiments.FILE
    if out:
        write_bytes(Path(out), file.read_bytes())
    print(f"results: {Path(out).resolve() if out else file}")
    return experiments.answer(experiment)


def _print_table(headings: list[str], rows: dict[str, list[float]]) -> None:
    lines = [[name, *(f"{value:.4f}" for value in values)] for name, values in rows.items()]
    print("\n".join(terminal.grid(["", *headings], lines, range(1, 1 + len(headings)), least=9)))
