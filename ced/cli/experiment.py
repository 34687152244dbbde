"""`ced experiment stages` and `ced experiment decoder-weights`: the paper's figures beside ours."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ced import terminal
from ced.cli.options import option
from ced.cli.stages import DataOptions, device_of, start_folders, training_data, with_outputs_in
from ced.config import Config, NetworkConfig, override
from ced.errors import ConfigError
from ced.evaluation.paper import TABLE_1
from ced.pipeline.session import session
from ced.recipes import configure
from ced.store.outputs import Output, write_bytes
from ced.store.session import Session

if TYPE_CHECKING:
    from ced.training import train as training


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(DataOptions):
    """`ced experiment stages` and `ced experiment decoder-weights`."""

    out: str | None = option("FILE", "write the figures into this JSON file as well", short="-o")
    models: str | None = option("DIR", "take models from here, where `ced train -o` wrote; the missing are trained")


def stages(options: ExperimentOptions) -> None:
    """Table 1."""
    from ced.pipeline import experiments

    stages = override(Config(network=NetworkConfig(stages=len(TABLE_1))), options.settings).network.stages
    if stages != len(TABLE_1):
        raise ConfigError(f"network.stages={stages}: Table 1 is of {len(TABLE_1)}; leave it out")
    results = _run(options, experiments.stages, ("classifier",))
    print(
        f"\nAccuracy on {results['examples']:,} held-out examples of {results['photographs']:,} photographs (Table 1)\n"
    )
    _print_table(
        [f"stage {t}" for t in range(1, len(results["paper"]) + 1)],
        {"ours": [f"{value:.4f}" for value in results["accuracy"]], "paper": [f"{v:.4f}" for v in results["paper"]]},
    )


def decoder_weights(options: ExperimentOptions) -> None:
    """Section 3.4."""
    from ced.pipeline import experiments

    results = _run(options, experiments.decoder_weights, ("classifier", "ced-est", "ced-gt"))
    print("\nMean absolute filters of D's first layer (section 3.4)\n")
    names = {"ced-est": "with q-hat (CED-EST)", "ced-gt": "with q (CED-GT)"}
    parts = ("w_f", "w_q", "difference")
    rows = {text: [f"{results[model][part]:.4f}" for part in parts] for model, text in names.items()}
    _print_table(["w_f", "w_q", "w_f - w_q"], rows)
    print(f"\nratio of w_f - w_q: ours {results['ratio']:.2f}, the paper's {results['paper']:.2f}")


def _run(
    options: ExperimentOptions,
    experiment: "Callable[[Config, training.TrainingInputs, Session, str], Output]",
    models: Sequence[str],
) -> dict[str, Any]:
    """The experiment's results, after a line that says where they are kept."""
    from ced.pipeline import experiments
    from ced.training import train as training

    config = configure(options.recipe, options.images, None, options.settings)
    device = device_of(options, config)
    start = start_folders(options.start_from, models)
    with session(options.store, options.ray_address, config.cluster.data_workers) as running:
        data = dataclasses.replace(training_data(options, config, running), start=start)
        training.check_start(experiments.three_stages(config) if models == ("classifier",) else config, data)
        output = experiment(config, data, with_outputs_in(options.models, running), device)
    if options.out:
        write_bytes(Path(options.out), (output.path / experiments.FILE).read_bytes())
    print(f"results: {Path(options.out).resolve() if options.out else output.path / experiments.FILE}")
    return experiments.answer(output)


def _print_table(headings: list[str], rows: dict[str, list[str]]) -> None:
    lines = [[name, *cells] for name, cells in rows.items()]
    print("\n".join(terminal.grid(["", *headings], lines, range(1, 1 + len(headings)), least=9)))
