"""A finished evaluation in MLflow: settings, figures, what it was measured on, the page and the tables.

Every step may be repeated, as those of a publication: a run is found again by the fingerprint of what it tells.
"""

import json
from functools import partial
from pathlib import Path, PurePosixPath

from ced.config import fingerprint
from ced.store.outputs import MANIFEST, Making, Manifest, Output, make, write_text
from ced.store.session import Session
from ced.tracking import client as mlflow_tracking
from ced.tracking import runs
from ced.tracking.runs import Data

FILE = "record.json"
_FORM = 1  # of what is told; another number tells it again


def run(evaluated: Output, reported: Output, figures: dict[str, float], session: Session, experiment: str) -> Output:
    """Tell MLflow of an evaluation and its report, or find it told. `figures` by name. Raises ServiceError."""
    stage, tracking_uri = evaluated.manifest.stage, session.tracking_uri
    described = {"tracking_uri": mlflow_tracking.plain(tracking_uri), "experiment": experiment, "form": _FORM}
    inputs = {stage: evaluated.manifest.content, "report": reported.manifest.content}
    forget_lost(session.store.of("record", fingerprint("record", described, inputs)), tracking_uri)

    def produce(making: Making) -> None:
        with mlflow_tracking.told(tracking_uri):
            client = mlflow_tracking.connect(tracking_uri)
            number = runs.experiment(client, tracking_uri, experiment)
            identity, name = fingerprint(described, inputs), f"{stage} {evaluated.manifest.config['dataset']}"
            opened = runs.open_run(client, number, identity, stage, name)
            try:
                _log(opened, evaluated, reported, figures)
            except BaseException:
                runs.close(opened, "FAILED")
                raise
            runs.close(opened)
        write_text(making.folder / FILE, json.dumps({"run_id": opened.id, "experiment_id": number}, indent=1) + "\n")

    return make(session.store, "record", described, inputs, produce)


def run_id(recorded: Output) -> str:
    """The MLflow run that tells of it."""
    found: str = json.loads((recorded.path / FILE).read_text())["run_id"]
    return found


def forget_lost(folder: Path, tracking_uri: str) -> None:
    """A registry in a file that was removed holds nothing any more: what was told to it is told again."""
    file = mlflow_tracking.database(tracking_uri)
    if file is not None and not file.exists():
        (folder / MANIFEST).unlink(missing_ok=True)


def tags(manifest: Manifest) -> dict[str, str]:
    """What an evaluation was, and what went into it: digests by name."""
    own = {f"ced.{manifest.stage}": manifest.fingerprint, f"ced.{manifest.stage}.content": manifest.content}
    inputs = {f"ced.{name}.content": content for name, content in manifest.inputs.items()}
    return own | inputs


def _log(opened: runs.Run, evaluated: Output, reported: Output, figures: dict[str, float]) -> None:
    manifest = evaluated.manifest
    runs.log_params(opened, manifest.config)
    runs.log_tags(opened, tags(manifest))
    data = Data(manifest.config["dataset"], manifest.inputs["images"], str(evaluated.path), manifest.counts, "eval")
    runs.log_data(opened, [data])
    runs.log_metrics(opened, figures)
    upload = partial(runs.log_files, opened)
    upload(path for path in sorted(evaluated.path.glob("*.parquet")))
    for name in reported.manifest.parts:
        folder = str(PurePosixPath(name).parent)
        upload([reported.path / name], "" if folder == "." else folder)
