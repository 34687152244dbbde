"""The report of Table 3: per_image.parquet -> results.json, the table in three forms, the drawings, a page of all."""

from functools import partial

from ced import __version__
from ced.evaluation.runner import PICTURES
from ced.report import html, results, text
from ced.report.model import Report
from ced.report.stage import versions
from ced.report.tables import table_3
from ced.store.outputs import Making, Output, make, write_bytes, write_text
from ced.store.session import Session
from ced.vision.evaluate import Sources
from ced.vision.results import PACKAGES, Models, Vision, drawings, facts, rows_of

RESULTS, PAGE = "results.json", "report.html"
_FORM = 3  # of what is made; another number makes it again


def run(sources: Sources, evaluated: Output, session: Session) -> Output:
    """Make report.html, results.json, table.md, .tex and .csv and pictures/*.png of an evaluation, or find them."""
    models = Models.of(sources)
    config = evaluated.manifest.config
    described = {"version": __version__, "form": _FORM, "config": config, **models._asdict()}
    inputs = {"evaluate-vision": evaluated.manifest.content}
    return make(session.store, "report-vision", described, inputs, partial(_produce, models, evaluated))


def _produce(models: Models, evaluated: Output, making: Making) -> None:
    rows, kept, installed = rows_of(evaluated), drawings(evaluated), versions(*PACKAGES)
    config = {**evaluated.manifest.config, **models._asdict(), "inputs": evaluated.manifest.inputs}
    table = table_3(rows, models)
    write_text(making.folder / RESULTS, results.vision_json(rows, installed, config))
    write_text(making.folder / "table.md", text.markdown_3(table))
    write_text(making.folder / "table.tex", text.latex_3(table))
    write_text(making.folder / "table.csv", results.vision_sheet(rows))
    for name, drawing in kept.items():
        write_bytes(making.folder / PICTURES / name, drawing.png)
    report = Report(
        title=f"ced: {evaluated.manifest.config['dataset']}, detection and segmentation",
        facts=facts(evaluated, models, installed),
        vision=Vision(rows, models, tuple(kept.values())),
    )
    write_text(making.folder / PAGE, html.page(report))
    making.counts.update(rows=len(rows), pictures=len(kept))
