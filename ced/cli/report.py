"""`ced report`: the tables, the page and the figures of a finished evaluation, drawn again as one likes them."""

import argparse
from pathlib import Path

from ced import settings
from ced.config import FiguresConfig
from ced.pipeline.session import open_store
from ced.report import deliver
from ced.report import stage as reporting
from ced.store.session import Session


def report(arguments: argparse.Namespace) -> None:
    """Draw, or find drawn, and say where it is."""
    chosen = FiguresConfig(
        images=_items(arguments.images),
        crop=(arguments.crop or "").replace(" ", ""),
        channels=_items(arguments.channels) or FiguresConfig.channels,
    )
    deliver.check(arguments.out)
    folder = Path(arguments.folder or arguments.store or settings.load().store)
    evaluation = reporting.find(folder)
    reported = reporting.redraw(evaluation, chosen, Session(open_store(arguments.store)))
    if arguments.out:
        deliver.deliver(reported, Path(arguments.out))
    made = Path(arguments.out or reported.path).resolve()
    print(f"of:      {evaluation.evaluated.path}")
    print(f"report:  {made / reporting.PAGE}")
    print(f"figures: {made / reporting.FIGURES}")


def _items(text: str | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())
