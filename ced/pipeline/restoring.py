"""What `ced restore` and the flow `restore` share: which restorer is meant, and many files through it."""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ced import environment
from ced.cluster import connection
from ced.config import RELEASED, fingerprint
from ced.core.encoding import Writing
from ced.core.images import MAX_PIXELS, SECONDS
from ced.errors import ConfigError, InputError

if TYPE_CHECKING:  # they import torch, which mistakes do not wait for
    from ced.bulk.listing import Listing
    from ced.bulk.run import Summary, Units
    from ced.bulk.work import Answer, Job
    from ced.restoration.family import Family

_BYTES = 1  # raised when the same settings give other bytes
_FEW = 1_000_000  # bytes of photographs that are done before other processes have started


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """How files are restored."""

    model: str | None = None  # a restorer's folder, an MLflow URI, or released
    store: str | None = None  # whose champion restores
    faithful: bool = False
    read_off: str | None = None  # argmax, mean, or a temperature
    self_ensemble: bool = False
    format: str | None = None  # as of `Writing`, and the three that follow
    output_quality: int | None = None
    strip: bool = False
    damaged: bool = False
    overwrite: bool = False
    max_pixels: int = MAX_PIXELS
    max_seconds: float = SECONDS
    workers: int = 0  # processes, or tasks of Ray at a time; 0: one a core
    ray_address: str | None = None  # of a cluster; local: a private one; None: the environment's, else no Ray

    def check(self) -> None:
        """Raises ConfigError for what cannot be."""
        temperature = self.temperature
        if self.faithful:
            self._check_faithful(temperature)
        if not (self.max_seconds > 0 and self.max_pixels > 0):
            raise ConfigError("--max-seconds and --max-pixels: use numbers above 0")
        if self.workers < 0:
            raise ConfigError(f"--workers {self.workers}: use a number above 0")
        _ = self.writing  # which is checked when it is made

    @property
    def temperature(self) -> float | None:
        """Of `read_off`, None where the restorer's own is wanted. Raises ConfigError."""
        if self.read_off is None:
            return None
        named = {"argmax": 0.0, "mean": 1.0}
        with contextlib.suppress(ValueError):
            temperature = named[self.read_off] if self.read_off in named else float(self.read_off)
            if 0 <= temperature <= 1:
                return temperature
        raise ConfigError(f"--read-off {self.read_off}: use argmax, mean, or a temperature from 0 to 1")

    @property
    def writing(self) -> Writing:
        """How the new files are written. Raises ConfigError."""
        return Writing(
            format=self.format or "",
            output_quality=self.output_quality,
            strip=self.strip,
            damaged=self.damaged,
            max_pixels=self.max_pixels,
        )

    def _check_faithful(self, temperature: float | None) -> None:
        if temperature:
            raise ConfigError(f"--read-off {self.read_off}: --faithful has no classifier to read off; leave one out")
        for name, value in {"--store": self.store, "--model": "" if self.model == RELEASED else self.model}.items():
            if value:
                raise ConfigError(f"{name} {value}: --faithful is a model that comes with ced; leave one out")


def family(how: Restoring, folder: Path | None) -> "Family":
    """The restorers for these files: of a folder, or those that come with ced. Raises FormatError, ConfigError."""
    from ced.restoration import family as families

    found = families.Family.load(folder or (families.FAITHFUL if how.faithful else families.RELEASED))
    if how.model == RELEASED:
        found = found.everything()
    found = dataclasses.replace(found, temperature=how.temperature, self_ensemble=how.self_ensemble)
    restorer = found.restorer(found.members[0])
    if how.temperature and restorer.classifier is None:
        raise ConfigError(f"--read-off {how.read_off}: {restorer.method} has no classifier to read off; leave it out")
    return found


def model_folder(how: Restoring) -> Path | None:
    """The folder of the restorer: the one that is named, the champion of a store that is, None: what comes with ced."""
    if how.faithful or how.model == RELEASED:
        return None
    if how.model and "://" not in how.model and ":/" not in how.model:
        return Path(how.model).resolve()
    if not how.model and not how.store:
        return None
    from ced.tracking import client

    environment.quiet()
    from_environment = environment.load()
    store = Path(how.store or from_environment.store).resolve()
    if not store.is_dir() and not from_environment.mlflow_uri:
        raise InputError(f"{store}: no such store; make it with `ced run`, or leave --store out")
    uri = from_environment.mlflow_uri or client.local_uri(store)
    client.check(uri, write=False)
    if how.model:
        return client.resolve(uri, how.model)
    from ced.pipeline import publish

    newest = publish.newest(store)
    champion = client.load_champion(uri, newest.model, newest.alias)
    if champion is None:
        raise InputError(f"no trained model in {store}; run `ced run quickstart` first or name one with --model")
    return champion


def many(how: Restoring, inputs: list[str], out: str) -> "Summary":
    """Restore all photographs of `inputs` into the folder or address `out`, as far as that is not done.

    Raises CedError, for what is wrong with all of them; what is wrong with one is in the summary.
    """
    from ced.bulk import listing

    how = dataclasses.replace(how, format=how.format or "png")
    how.check()
    listed = listing.find(inputs, out, how.format or "", how.overwrite)
    folder = model_folder(how)
    from ced.bulk import run

    job = _job(how, listed, folder)
    from_environment = environment.load().ray_address
    if not how.ray_address and from_environment == connection.LOCAL:
        return run.run(job, listed, partial(_here, how.workers))
    environment.quiet()
    with connection.session(how.ray_address or from_environment):
        return run.run(job, listed, partial(_on_ray, how.workers))


def _job(how: Restoring, listed: "Listing", folder: Path | None) -> "Job":
    from ced.bulk.work import Job
    from ced.restoration.family import FAITHFUL, contents
    from ced.restoration.family import RELEASED as WITH_CED

    restorers = family(how, folder)
    own = folder or (FAITHFUL if how.faithful else WITH_CED)
    digest = fingerprint(contents(own))
    written = dataclasses.asdict(how.writing)
    del written["max_pixels"]  # what is not too large has the same bytes within any limit
    read_off = [restorers.temperature, restorers.self_ensemble, restorers.leave_above]
    return Job(
        out=listed.out,
        family=restorers,
        restorer=f"{own.name} {digest}",
        writing=how.writing,
        seconds=how.max_seconds,
        settings=fingerprint(_BYTES, digest, read_off, written),
        run=listed.record.next_run,
        overwrite=how.overwrite,
    )


def _here(workers: int, job: "Job", units: "Units") -> "Iterator[Answer]":
    """In processes of this machine, or where few files are to be restored in this one, by as many threads."""
    from ced.bulk import workers as ways

    few = len(units) < 2 or 0 <= units.size < _FEW
    if workers == 1 or (not workers and few):
        return ways.in_this_process(job, units, threads=workers)
    return ways.in_processes(job, units, min(workers or ways.cores(), len(units)))


def _on_ray(workers: int, job: "Job", units: "Units") -> "Iterator[Answer]":
    from ced.bulk import workers as ways

    return ways.on_ray(job, units, workers)
