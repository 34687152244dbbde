"""`ced experiment stages` and `ced experiment decoder-weights`: the paper's figures beside ours."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ced.cli import stages as single
from ced.config import Config, NetworkConfig
from ced.errors import ConfigError
from ced.evaluation.paper import TABLE_1
from ced.overrides import override
from ced.pipeline import experiments
from ced.pipeline.session import session
from ced.recipes import configure
from ced.report import plain
from ced.store.outputs import Output, write_bytes
from ced.store.session import Session
from ced.training import stage as training


def stages(arguments: argparse.Namespace) -> None:
    """Table 1."""
    _check_stages(arguments.settings)
    result = _run(arguments, experiments.stages, ("classifier",))
    print(
        f"\nAccuracy on {result['examples']:,} held-out examples of {result['photographs']:,} photographs (Table 1)\n"
    )
    _table(
        [f"stage {t}" for t in range(1, len(result["paper"]) + 1)],
        {"ours": [f"{value:.4f}" for value in result["accuracy"]], "paper": [f"{v:.4f}" for v in result["paper"]]},
    )


def decoder_weights(arguments: argparse.Namespace) -> None:
    """Section 3.4."""
    result = _run(arguments, experiments.decoder_weights, ("classifier", "ced-est", "ced-gt"))
    print("\nMean absolute filters of D's first layer (section 3.4)\n")
    names = {"ced-est": "with q-hat (CED-EST)", "ced-gt": "with q (CED-GT)"}
    parts = ("w_f", "w_q", "difference")
    rows = {text: [f"{result[model][part]:.4f}" for part in parts] for model, text in names.items()}
    _table(["w_f", "w_q", "w_f - w_q"], rows)
    print(f"\nratio of w_f - w_q: ours {result['ratio']:.2f}, the paper's {result['paper']:.2f}")


def _check_stages(settings: list[str]) -> None:
    """Raises ConfigError for a number of stages that would not count."""
    wanted = override(Config(network=NetworkConfig(stages=len(TABLE_1))), settings).network.stages
    if wanted != len(TABLE_1):
        raise ConfigError(f"network.stages={wanted}: Table 1 is of {len(TABLE_1)}; leave it out")


def _run(
    arguments: argparse.Namespace,
    experiment: Callable[[Config, training.Data, Session, str], Output],
    models: Sequence[str],
) -> dict[str, Any]:
    """What the experiment finds, and where it is kept."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    device = single.device(arguments, config)
    begin = single.start(arguments.start_from, models)
    with session(arguments.store, arguments.ray_address, config.cluster.data_workers) as running:
        data = dataclasses.replace(single.prepared(arguments, config, running), start=begin)
        training.check_start(experiments.three_stages(config) if models == ("classifier",) else config, data)
        output = experiment(config, data, single.into(running, arguments.models), device)
    if arguments.out:
        write_bytes(Path(arguments.out), (output.path / experiments.FILE).read_bytes())
    print(f"results: {Path(arguments.out).resolve() if arguments.out else output.path / experiments.FILE}")
    return experiments.answer(output)


def _table(headings: list[str], rows: dict[str, list[str]]) -> None:
    lines = [[name, *cells] for name, cells in rows.items()]
    print("\n".join(plain.grid(["", *headings], lines, range(1, 1 + len(headings)), least=9)))
