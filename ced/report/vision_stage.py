"""The report of Table 3: per_image.parquet -> results.json, the table in three forms, the drawings, a page of all."""

from functools import partial

from ced import __version__
from ced.evaluation.runner import PICTURES
from ced.report import html, results, text
from ced.report.model import Report
from ced.report.stage import PAGE, RESULTS, TABLE, machine_facts, versions, write_files
from ced.report.tables import table_3
from ced.store.outputs import Making, Output, make
from ced.store.session import Session
from ced.vision.evaluate import Sources
from ced.vision.results import PACKAGES, Models, Vision, drawings, facts, rows_of

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
    report = Report(
        title=f"ced: {evaluated.manifest.config['dataset']}, detection and segmentation",
        facts=(*facts(evaluated, models), *machine_facts(installed)),
        vision=Vision(rows, models, tuple(kept.values())),
    )
    files: dict[str, str | bytes] = {
        RESULTS: results.vision_json(rows, installed, config),
        f"{TABLE}.md": text.markdown_3(table),
        f"{TABLE}.tex": text.latex_3(table),
        f"{TABLE}.csv": results.vision_sheet(rows),
        PAGE: html.page(report),
    }
    write_files(making.folder, files | {f"{PICTURES}/{name}": drawing.png for name, drawing in kept.items()})
    making.counts.update(rows=len(rows), pictures=len(kept))
