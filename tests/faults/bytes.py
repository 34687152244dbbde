"""Every file of a small real store altered in turn: found and named, made again, or without effect, never used.

    python -m tests.faults.bytes [SEED] [MOST]

A store is made once, by a private Ray. Then, for each file and each way to alter it, a process of its own asks
everything of a copy that commands ask of a store: the stages up to the publication, all examples and labels, each
restorer and the champion, the evaluation and its report. Its answers are those of the store that was left alone, or
it ends with one line that names the file, or something is made again.
"""

import hashlib
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ced.cluster import connection
from ced.config import Config
from ced.core import jpeg
from ced.data import edges, label, prepare, sources
from ced.data.inspect.verify import verify
from ced.errors import CedError, InputError
from ced.evaluation import evaluate
from ced.pipeline import publish, restorers
from ced.recipes import configure
from ced.report import stage
from ced.restoration.family import Family
from ced.store import finished, outputs
from ced.store.session import Session
from ced.tracking import client, sqlite
from ced.tracking.runs import pipeline_identity
from ced.training import data, train
from ced.training.train import TrainingInputs
from tests.small import NETWORK

SMALL = (
    "prepare.size=32",
    "prepare.crops=2",
    *NETWORK,
    "classifier.steps=4",
    "autoencoder.steps=4",
    "evaluate.methods=jpeg,ed,ced-gt",
    "restore.temperature=0.05",
)
_SECONDS = 120  # of one trial
_IDLE = (".lock", ".unfinished", ".job.json", ".mlflow.json", ".mlflow.db.lock", "README")  # nobody reads them again
_DATABASE_TRIALS = 8  # of each kind, at other places: a value altered in it is not always found


class Trial(NamedTuple):
    """What became of one alteration."""

    file: str
    how: str
    outcome: str  # named, unnamed, made again, no effect, lost, traceback
    line: str
    verified: bool  # whether `ced data verify` finds it


class MadeAgain(Exception):
    """Something was about to be made."""


def run_pipeline(config: Config, store: Path) -> dict[str, Any]:
    """All stages of a run, as `flows.pipeline` has them. What they found out, as plain values."""
    session = Session(outputs.Store(store), tracking_uri=client.local_uri(store))
    prepared = prepare.run(config.prepare, config.images, session)
    classes = edges.run(config.classes, prepared, session)
    labelled = label.run(prepared, classes, session)
    followed = replace(session, pipeline=pipeline_identity(config, session.store))
    trained = {"classifier": train.run("classifier", config, TrainingInputs(labelled, classes), followed, "cpu")}
    inputs = TrainingInputs(labelled, classes, trained["classifier"])
    complete = {}
    for method in config.evaluate.trained:
        trained[method] = train.run(method, config, inputs, followed, "cpu")
        made = (trained[method], trained["classifier"], classes, session, config.restore.temperature)
        complete[method] = restorers.run(method, *made)
    evaluated = evaluate.run(config.evaluate, config.test_images, complete, session)
    reported = stage.run(config, evaluated, trained, session)
    made = publish.PipelineOutputs(prepared, classes, labelled, trained, complete, evaluated, reported)
    published = publish.run(config, made, session)
    every = [prepared, classes, labelled, *trained.values(), *complete.values(), evaluated, reported, published]
    return {
        "rows": [repr(row) for row in evaluate.rows_of(evaluated)],
        "counts": [output.manifest.counts for output in every],
        "publication": json.loads((published.path / publish.FILE).read_text()),
        "report": _digest(*((reported.path / name).read_bytes() for name in reported.manifest.parts)),
        "quarantine": prepare.quarantined(prepared),
        "examples": _examples(labelled, classes),
    }


def ask(config: Config, store: Path) -> dict[str, Any]:
    """Everything that commands ask of a store."""
    answers = run_pipeline(config, store)
    photograph = sources.find((config.test_images,))[0]
    stream = jpeg.encode(_luma(sources.read(photograph)), 10)
    for folder in sorted(store.glob("restorer-*/*")):
        answers[folder.parent.name] = _digest(Family.load(folder).restore_bytes(stream))
    champion = client.load_champion(client.local_uri(store), config.publish.model, config.publish.alias)
    if champion is None:
        raise InputError(f"no trained model in {client.DATABASE}")  # as `ced restore --store` says it
    answers["champion"] = _digest(Family.load(champion).restore_bytes(stream))
    found = stage.find(store)
    answers["spectra"] = repr(stage.spectra(found.evaluated))
    answers["pictures"] = _digest(
        *(plane.tobytes() for one in stage.pictures(found.evaluated) for _, plane in one.versions)
    )
    return answers


def _examples(labelled: outputs.Output, classes: outputs.Output) -> str:
    folder = label.examples_of(labelled)
    planes = [part.tobytes() for path in sorted(folder.glob("*.parquet")) for part in edges.target_planes(path)]
    found = data.find(str(folder), str(labelled.path), ("input", "target", "labels"), 1, edges.load(classes).count)
    rows = data.split(found.sources, 0.2)
    read = [found.read(some) for some in rows]
    return _digest(*planes, *(read[n][name].numpy().tobytes() for n in (0, 1) for name in sorted(read[n])))


def _luma(encoded: bytes) -> Any:
    from ced.core.images import decode, luminance

    return luminance(np.asarray(decode(encoded, 1 << 30).convert("RGB")))


def _digest(*contents: bytes) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def alterations(
    path: Path, neighbour: Path | None, chosen: random.Random
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each way to alter a file, and what does it."""
    content = path.read_bytes()

    def flip() -> None:
        changed = bytearray(content)
        changed[chosen.randrange(len(changed))] ^= 1 << chosen.randrange(8)
        path.write_bytes(changed)

    if content:
        yield "bit", flip
        yield "truncated", lambda: path.write_bytes(content[: chosen.randrange(len(content))])
        yield "emptied", lambda: path.write_bytes(b"")
    yield "gone", path.unlink
    if neighbour is not None and neighbour.read_bytes() != content:
        yield "swapped", lambda: _swap(path, neighbour)


def _swap(path: Path, neighbour: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(neighbour.read_bytes())
    neighbour.write_bytes(content)


def attempt(config: Config, store: Path, expected: dict[str, Any]) -> tuple[str, str]:
    """The outcome of asking an altered store, and its line."""
    outcome, found = _in_a_process(config, store)
    if outcome != "answers":
        return outcome, str(found)
    differing = [name for name, answer in expected.items() if found[name] != answer]
    return ("lost", f"other {', '.join(differing)}") if differing else ("no effect", "")


def _in_a_process(config: Config, store: Path) -> tuple[str, Any]:
    """What asking a store comes to, in a process that knows nothing of others."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_ask_once, args=(config, store, sending))
    child.start()
    sending.close()
    try:
        return receiving.recv() if receiving.poll(_SECONDS) else ("traceback", f"no answer within {_SECONDS} s")
    except EOFError:
        return "traceback", "the process ended"
    finally:
        child.kill()
        child.join()


def _ask_once(config: Config, store: Path, sending: Connection) -> None:
    def refuse(*_: object) -> None:
        raise MadeAgain

    outputs.Making.__init__ = refuse  # type: ignore[method-assign]
    try:
        sending.send(("answers", ask(config, store)))
    except MadeAgain:
        sending.send(("made again", ""))
    except CedError as error:
        sending.send(("named", str(error)))
    except BaseException as error:  # noqa: BLE001 - whatever it is
        sending.send(("traceback", f"{type(error).__name__}: {error}"))


def trials(config: Config, base: Path, store: Path, seed: int, most: int | None = None) -> Iterator[Trial]:
    """Alter the files of a copy of `base` at `store`, one at a time; `most` of all trials, chosen by the seed."""
    chosen = random.Random(seed)
    expected = _answers(config, base, store)
    files = [path.relative_to(base) for path in sorted(base.rglob("*")) if path.is_file()]
    planned = [(name, how) for name in files for how in _hows(name)]
    for name, how in planned if most is None else chosen.sample(planned, min(most, len(planned))):
        shutil.rmtree(store)
        shutil.copytree(base, store)
        neighbour = next((store / other for other in _neighbours(name, files)), None)
        alter = dict(alterations(store / name, neighbour, chosen)).get(how)
        if alter is None:
            continue
        alter()
        found = name.name in _IDLE or _verify_finds(store)
        outcome, line = attempt(config, store, expected)
        named = [name.name, *([neighbour.name] if how == "swapped" and neighbour else []), name.parent.as_posix()]
        if outcome == "named" and (not any(text in line for text in named) or "\n" in line):
            outcome = "unnamed"
        yield Trial(str(name), how, outcome, line, found)


def _hows(name: Path) -> Sequence[str]:
    hows = ("bit", "truncated", "emptied", "gone", "swapped")
    return hows + ("bit",) * _DATABASE_TRIALS if name.name == client.DATABASE else hows


def _neighbours(name: Path, files: Sequence[Path]) -> Iterator[Path]:
    """The next file of the same folder, else of the same name in the next one."""
    later = files[files.index(name) + 1 :]
    yield from (other for other in later if other.parent == name.parent)
    yield from (other for other in later if other.name == name.name)


def _verify_finds(store: Path) -> bool:
    try:
        damaged = any(checked.findings for checked in verify(finished.find([store])))
    except CedError:
        return True
    unfinished = any(not (note.parent / outputs.MANIFEST).exists() for note in store.glob(f"*/*/{outputs.UNFINISHED}"))
    damaged = damaged or unfinished  # it says so, and makes no finding of it
    file = store / client.DATABASE
    return damaged or not file.is_file() or bool(sqlite.damage(file))


def _answers(config: Config, base: Path, store: Path) -> dict[str, Any]:
    """Those of the store that is left alone."""
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(base, store)
    outcome, answers = _in_a_process(config, store)
    assert outcome == "answers", f"{outcome}: {answers}"
    return dict(answers)


def build(config: Config, store: Path) -> None:
    """Make the store."""
    torch.set_num_threads(1)
    with connection.session(connection.LOCAL):
        run_pipeline(config, store)


def row(found: Sequence[Trial]) -> str:
    """The counts, in a line."""
    outcomes = Counter(trial.outcome for trial in found)
    blind = sum(not trial.verified and trial.outcome in ("named", "made again", "lost") for trial in found)
    names = ("named", "made again", "no effect", "unnamed", "traceback", "lost")
    counts = ", ".join(f"{outcomes[name]} {name}" for name in names)
    tried = f"{len(found)} alterations of {len({trial.file for trial in found})} files"
    return f"bytes: {tried}: {counts}; {blind} not found by verify"


def main(seed: int = 0, most: int | None = None) -> int:
    """Alter everything; the number of trials that were lost, ended with a traceback or named no file."""
    client.configure_mlflow()
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - before the forks

    config = configure("quickstart", None, None, list(SMALL))
    with tempfile.TemporaryDirectory(prefix="ced-bytes-") as folder:
        store, base = Path(folder, "store"), Path(folder, "base")
        build(config, store)
        shutil.copytree(store, base)
        found = []
        for trial in trials(config, base, store, seed, most):
            found.append(trial)
            if trial.outcome in ("lost", "traceback", "unnamed") or not trial.verified:
                print(*trial, sep=" | ", flush=True)
    print(row(found))
    return sum(trial.outcome in ("lost", "traceback", "unnamed") for trial in found)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
