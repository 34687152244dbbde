"""A finished evaluation in MLflow: settings, figures, what it was measured on, the page and the tables.

Every step may be repeated, as those of a publication: a run is found again by the fingerprint of what it is about.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ced.config import fingerprint
from ced.store.outputs import ELSEWHERE, MANIFEST, Making, Manifest, Output, make, write_text
from ced.store.session import Session
from ced.tracking import client, sqlite
from ced.tracking.runs import PUBLISH, ROLE, Dataset, Experiment, Run

FILE = "record.json"
_FORM = 1  # of what is logged; another number logs it again


def run(evaluated: Output, reported: Output, figures: dict[str, float], session: Session, experiment: str) -> Output:
    """Log an evaluation and its report to MLflow, or find it logged. `figures` by name. Raises ServiceError."""
    stage, tracking_uri = evaluated.manifest.stage, session.tracking_uri
    described = {"tracking_uri": client.identity(tracking_uri), "experiment": experiment, "form": _FORM}
    inputs = {stage: evaluated.manifest.content, "report": reported.manifest.content}
    forget_lost(session.store.of("record", fingerprint("record", described, inputs)), tracking_uri)

    def produce(making: Making) -> None:
        with client.service_errors(tracking_uri):
            opened = Experiment.open(tracking_uri, experiment)
            tags = {PUBLISH: fingerprint(described, inputs), ROLE: stage}
            with opened.run(tags, f"{stage} {evaluated.manifest.config['dataset']}") as run:
                run.log_params(evaluated.manifest.config)
                log_evaluation(run, evaluated, reported, figures, images=str(evaluated.path))
            note_files(making.folder, opened.locations(tags), session)
        ids = {"run_id": run.id, "experiment_id": opened.id}
        write_text(making.folder / FILE, json.dumps(ids, indent=1) + "\n")

    return make(session.store, "record", described, inputs, produce)


def run_id(tracked: Output) -> str:
    """The MLflow run that an evaluation was logged to."""
    stored: str = json.loads((tracked.path / FILE).read_text())["run_id"]
    return stored


def log_evaluation(run: Run, evaluated: Output, reported: Output, figures: dict[str, float], images: str) -> None:
    """Log what an evaluation was, what it was measured on (`images` says where they are), its figures, rows and
    report."""
    manifest = evaluated.manifest
    run.log_tags(lineage(manifest.stage, manifest))
    dataset = Dataset(manifest.config["dataset"], manifest.inputs["images"], images, manifest.counts, "eval")
    run.log_datasets([dataset])
    run.log_metrics(figures)
    run.log_files(sorted(evaluated.path.glob("*.parquet")))
    for name in reported.manifest.parts:
        folder = str(PurePosixPath(name).parent)
        run.log_files([reported.path / name], "" if folder == "." else folder)


def note_files(folder: Path, locations: Iterable[str], session: Session) -> None:
    """Write down what was logged into a database of the store: `ced data verify` holds the files against it."""
    file = client.database(session.tracking_uri)
    if file is not None:
        digests = sqlite.digests(file, session.store.root, locations)
        write_text(folder / ELSEWHERE, json.dumps(digests, indent=1) + "\n")


def lineage(stage: str, manifest: Manifest) -> dict[str, str]:
    """Tags that say which output of `stage` it is, and what went into it: digests by name."""
    own = {f"ced.{stage}": manifest.fingerprint, f"ced.{stage}.content": manifest.content}
    return own | {f"ced.{name}.content": content for name, content in manifest.inputs.items()}


def forget_lost(folder: Path, tracking_uri: str) -> None:
    """A registry in a file that was removed or emptied holds nothing: what was logged to it is logged again."""
    file = client.database(tracking_uri)
    if file is not None and not sqlite.is_there(file):
        (folder / MANIFEST).unlink(missing_ok=True)
