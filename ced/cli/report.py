"""`ced report`: the tables, the page and the figures of a finished evaluation, drawn again as one likes them."""

from dataclasses import dataclass
from pathlib import Path

from ced import environment
from ced.cli.options import STORE, option, written_as
from ced.config import FiguresConfig
from ced.pipeline.session import open_store
from ced.report import deliver
from ced.report import stage as reporting
from ced.store.session import Session


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    folder: str | None = option(
        "DIR", "an evaluation's folder, or one with evaluations; default: the store", positional=True
    )
    out: str | None = option("DIR", "copy report.html, results.json, figures and strips here", short="-o")
    images: str | None = option("A,B,...", "pictures to show, by number or name; default: all kept")
    crop: str | None = option("L,T,W,H", "region of figures 1, 4 and 5; default: where most detail is")
    channels: str | None = option("1-1,...", "of figure 6: row and column (1-1,1-2,2-2,4-4,8-8)")
    store: str | None = written_as(STORE)


def report(options: ReportOptions) -> None:
    """Draw, or find drawn, and say where it is."""
    chosen = FiguresConfig(
        images=_items(options.images),
        crop=(options.crop or "").replace(" ", ""),
        channels=_items(options.channels) or FiguresConfig.channels,
    )
    deliver.check(options.out)
    folder = Path(options.folder or options.store or environment.load().store)
    evaluation = reporting.find(folder)
    reported = reporting.redraw(evaluation, chosen, Session(open_store(options.store)))
    if options.out:
        deliver.deliver(reported, Path(options.out))
    drawn = Path(options.out or reported.path).resolve()
    print(f"of:      {evaluation.evaluated.path}")
    print(f"report:  {drawn / reporting.PAGE}")
    print(f"figures: {drawn / reporting.FIGURES}")


def _items(text: str | None) -> tuple[str, ...]:
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())
