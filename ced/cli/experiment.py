"""`ced experiment stages` and `ced experiment decoder-weights`: the paper's figures beside ours."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ced.adapters.storage import Folder, Output, Place, write_bytes
from ced.cli import stages as single
from ced.config import Config
from ced.recipes import configure
from ced.stages import experiments
from ced.stages import train as training
from ced.stages.session import session


def stages(arguments: argparse.Namespace) -> None:
    """Table 1."""
    found = _run(arguments, experiments.stages)
    print(f"\nAccuracy on {found['examples']:,} held-out examples of {found['photographs']:,} photographs (Table 1)\n")
    _table(
        [f"stage {t}" for t in range(1, len(found["paper"]) + 1)],
        {"ours": [f"{value:.4f}" for value in found["accuracy"]], "paper": [f"{v:.4f}" for v in found["paper"]]},
    )


def decoder_weights(arguments: argparse.Namespace) -> None:
    """Section 3.4."""
    found = _run(arguments, experiments.decoder_weights)
    print("\nMean absolute filters of D's first layer (section 3.4)\n")
    names = {"ced-est": "with q-hat (CED-EST)", "ced-gt": "with q (CED-GT)"}
    parts = ("w_f", "w_q", "difference")
    rows = {text: [f"{found[model][part]:.4f}" for part in parts] for model, text in names.items()}
    _table(["w_f", "w_q", "w_f - w_q"], rows)
    print(f"\nratio of w_f - w_q: ours {found['ratio']:.2f}, the paper's {found['paper']:.2f}")


def _run(
    arguments: argparse.Namespace, experiment: Callable[[Config, training.Data, Place, str], Output]
) -> dict[str, Any]:
    """What the experiment finds, and where it is kept."""
    config = configure(arguments.recipe, arguments.images, None, arguments.settings)
    device = single.device(arguments)
    with session(arguments.store, arguments.ray_address) as running:
        data = single.given(arguments, config) if arguments.data else single.labelled(config, running.store)
        data = dataclasses.replace(data, start=single.start(arguments.start_from))
        place: Place = Folder(Path(arguments.models).resolve()) if arguments.models else running.store
        output = experiment(config, data, place, device)
    if arguments.out:
        write_bytes(Path(arguments.out), (output.path / experiments.FILE).read_bytes())
    print(f"results: {Path(arguments.out).resolve() if arguments.out else output.path / experiments.FILE}")
    return experiments.answer(output)


def _table(headings: list[str], rows: dict[str, list[str]]) -> None:
    first = max(map(len, rows))
    print(" " * first + "".join(f"{heading:>11}" for heading in headings))
    for name, cells in rows.items():
        print(f"{name:{first}}" + "".join(f"{cell:>11}" for cell in cells))
