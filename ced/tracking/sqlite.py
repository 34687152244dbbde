"""The SQLite file in which MLflow keeps runs and models: made whole or not at all, and of the place where it lies.

MLflow makes and upgrades such a file step by step where it is: what was killed in between stays unusable. Here that is
done beside it, under another name. MLflow also writes down absolute paths of artifacts; those are kept true of a store
that was moved or copied.
"""

import contextlib
import fcntl
import functools
import importlib.util
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from ced.errors import ServiceError, first_line
from ced.store import files
from ced.store.outputs import sha256

ARTIFACTS = "mlartifacts"  # beside the file

_PATIENCE = 10.0  # seconds to wait for another process to unlock the file
_ADDRESS = "ced.address"  # tag of the default experiment: the file's first address, where it was moved since
_LOCATIONS = (  # table and column of every path of artifacts
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_REMOVE = "move it away to begin with a new one; the outputs in the store stay"


def uri(file: Path) -> str:
    """The address of a file, as MLflow takes it."""
    path = str(file)
    for mark, code in (("%", "%25"), ("?", "%3F")):  # what a database address gives a meaning of its own
        path = path.replace(mark, code)
    return f"sqlite:///{path}"


def artifacts(file: Path) -> str:
    """Where the artifacts belong that a file speaks of, as MLflow writes it down."""
    return (file.resolve().parent / ARTIFACTS).as_uri()


def is_there(file: Path) -> bool:
    """Whether there is such a file, with anything in it: SQLite itself begins with an empty one."""
    try:
        return file.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def check(file: Path, write: bool = True) -> None:
    """Find out whether a file can be used, to `write` or just to read; one that is not there can be made.

    Raises ServiceError where its folder or it cannot be written, another process has locked it, it is no database of
    MLflow, or one of a newer MLflow.
    """
    folder = file.parent
    if file.is_dir() or not folder.is_dir() or (write and not os.access(folder, os.W_OK)):
        raise ServiceError(f"MLflow at {uri(file)}: not a file in a folder that can be written; check the path")
    if is_there(file):
        if write and not os.access(file, os.W_OK):
            raise ServiceError(f"MLflow at {uri(file)}: cannot be written; change its permissions")
        with _opened(file) as database:
            _state(database, file)
            if write:
                database.execute("BEGIN IMMEDIATE")  # raises where it is locked or cannot be written
                database.execute("ROLLBACK")


def prepare(file: Path) -> None:
    """Make the file where it is not there, upgrade it where an older MLflow made it, and put its paths right where it
    was moved. What cannot be written is left as it is. Raises ServiceError.

    Costs milliseconds where there is nothing to do. Of several processes one does it, the others wait.
    """
    if _is_ready(file) or (is_there(file) and not os.access(file, os.W_OK)):
        return
    with _locked(file):
        for left in file.parent.glob(f".{file.name}.*.tmp*"):  # by processes that were killed
            left.unlink(missing_ok=True)
        state = "missing"
        if is_there(file):
            with _opened(file) as database:
                state = _state(database, file)
        if state == "missing":
            _make(file)
        elif state == "old":
            _upgrade(file)
        with _opened(file) as database:
            _put_right(database, file)


def here(file: Path, location: str) -> str:
    """A path of artifacts that a file has, as it is where the file lies now: where it was moved and cannot be
    written."""
    for home in _homes_in(file):
        if location.startswith(f"{home}/"):
            return artifacts(file) + location.removeprefix(home)
    return location


def first_address(file: Path) -> str:
    """The address that a file had where it was made: what was published to it is known by that."""
    if is_there(file):
        with _opened(file) as database:
            if _state(database, file) == "current":
                row = database.execute("SELECT value FROM experiment_tags WHERE key = ?", (_ADDRESS,)).fetchone()
                if row:
                    return str(row[0])
                for home in _homes(database, file):
                    return _address(file, home)
    return uri(file)


def digests(file: Path, root: Path, locations: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of every file below paths of artifacts, by its path in `root`; none of what lies elsewhere."""
    home = artifacts(file)
    folders = [_path(location) for location in locations if location.startswith(f"{home}/")]
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256(path) for path in paths if path.is_relative_to(root)}


def check_other(file: Path, whose: str) -> None:
    """Find out whether a file of another program is a database that can be written. Raises ServiceError."""
    if is_there(file):
        with _opened(file, whose) as database:
            database.execute("SELECT count(*) FROM sqlite_master")
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")


def damage(file: Path) -> str:
    """What SQLite finds wrong with any file of its own, "" for nothing: with its structure, not with values in it."""
    if not is_there(file):
        return "empty"
    try:
        with _opened(file) as database:
            findings = [str(row[0]) for row in database.execute("PRAGMA integrity_check(1)")]
    except ServiceError as error:
        return str(error)
    return "" if findings == ["ok"] else first_line(" ".join(findings), 200)


def _is_ready(file: Path) -> bool:
    if not is_there(file):
        return False
    with _opened(file) as database:
        return _state(database, file) == "current" and not _homes(database, file) and not _strays(database)


@contextlib.contextmanager
def _opened(file: Path, whose: str = "MLflow") -> Iterator[sqlite3.Connection]:
    """The file, without SQLAlchemy, each statement a transaction. Raises ServiceError for whatever SQLite raises."""
    mode = "rw" if os.access(file, os.W_OK) else "ro"  # what a killed process left half written is undone: a write
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(file))}?mode={mode}", _PATIENCE, uri=True, isolation_level=None)
        ) as database:
            yield database
    except sqlite3.Error as error:
        line = first_line(error)
        cure = _REMOVE
        if "locked" in line:
            line, cure = "another process has locked it", "wait for that one, or stop it"
        elif "readonly" in line or "unable to open" in line:
            line, cure = "cannot be written", "change its permissions, or name another store"
        elif "full" in line:
            cure = "make room, or name another store"
        raise ServiceError(f"{whose} at {uri(file)}: {line}; {cure}") from error


def _state(database: sqlite3.Connection, file: Path) -> str:
    """ "missing" where it holds nothing, "old", or "current". Raises ServiceError for another program's or a newer one.

    What a killed process left of a new file holds nothing either.
    """
    tables = {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    known, newest = _revisions()
    revisions = (
        database.execute("SELECT version_num FROM alembic_version").fetchall() if "alembic_version" in tables else []
    )
    revision = str(revisions[0][0]) if revisions else ""
    if revision == newest or not newest:  # without MLflow there is nothing to hold it against
        return "current"
    if revision and revision not in known:
        raise ServiceError(
            f"MLflow at {uri(file)}: of a newer MLflow (schema {revision}); install that one, or name another store"
        )
    if not revision and tables and "experiments" not in tables:
        raise ServiceError(f"MLflow at {uri(file)}: a database of another program; {_REMOVE}")
    # A new file has one experiment, and MLflow's workspace.
    at_most = {"experiments": 1, "workspaces": 1}
    others = (name for name in tables if "alembic" not in name and not name.startswith("sqlite_"))
    rows = (
        len(database.execute(f'SELECT 1 FROM "{name}" LIMIT 2').fetchall()) > at_most.get(name, 0) for name in others
    )
    return "old" if any(rows) else "missing"


@functools.cache
def _revisions() -> tuple[frozenset[str], str]:
    """All revisions of the schema that the installed MLflow knows, and the newest; MLflow itself is not imported."""
    spec = importlib.util.find_spec("mlflow")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    known, before = set(), set()
    for path in (Path(folder, "store", "db_migrations", "versions") for folder in folders):
        for script in path.glob("*.py"):
            names = dict(
                re.findall(r'^(revision|down_revision)(?::[^=]*)? = "(\w+)"', script.read_text(), re.MULTILINE)
            )
            known.add(names.get("revision", ""))
            before.add(names.get("down_revision", ""))
    newest = known - before - {""}
    return frozenset(known - {""}), newest.pop() if len(newest) == 1 else ""


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One process at a time. The lock goes with the process, also when it is killed."""
    try:
        lock = open(file.with_name(f".{file.name}.lock"), "w")  # noqa: SIM115 - held until the block ends
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise ServiceError(f"MLflow at {uri(file)}: cannot be locked ({error.strerror}); name another store") from None
    with lock:
        yield


@contextlib.contextmanager
def _replaced(file: Path) -> Iterator[Path]:
    """A name beside the file, which takes its place at the end of the block. Raises ServiceError."""
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as made:
            os.fsync(made.fileno())
        temporary.replace(file)
        files.settle(file.parent)
    except (SQLAlchemyError, sqlite3.Error, MlflowException, CommandError, OSError) as error:
        line = first_line(getattr(error, "orig", None) or error, 200)
        cure = "make room, or name another store" if "full" in line or "I/O" in line else _REMOVE
        what = "cannot be brought to this MLflow's form" if is_there(file) else "cannot be made"
        raise ServiceError(f"MLflow at {uri(file)}: {what} ({line}); {cure}") from error
    finally:
        for left in file.parent.glob(f"{temporary.name}*"):
            left.unlink(missing_ok=True)


def _make(file: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _replaced(file) as temporary:
        SqlAlchemyStore(uri(temporary), artifacts(file)).engine.dispose()


def _upgrade(file: Path) -> None:
    """Bring a copy to this MLflow's form; until that is done the file stays as it is, and nobody else writes to it."""
    from mlflow.store.db import utils

    with _opened(file) as held, _opened(file) as source, _replaced(file) as temporary:
        held.execute("BEGIN IMMEDIATE")
        with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
            source.backup(copy)
            half = copy.execute("SELECT name FROM sqlite_master WHERE name LIKE '\\_alembic\\_tmp\\_%' ESCAPE '\\'")
            for (name,) in half.fetchall():  # of an upgrade that was killed
                copy.execute(f'DROP TABLE "{name}"')
        engine = utils.create_sqlalchemy_engine(uri(temporary))
        utils._upgrade_db(engine)
        engine.dispose()


def _put_right(database: sqlite3.Connection, file: Path) -> None:
    """In one transaction, let every path of artifacts be below the folder beside the file."""
    home, former = artifacts(file), _homes(database, file)
    database.execute("BEGIN IMMEDIATE")
    for old in former:
        for table, column in _LOCATIONS:
            where = f"{column} = ? OR substr({column}, 1, ?) = ?"
            values = (home, len(old) + 1, old, len(old) + 1, f"{old}/")
            database.execute(f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {where}", values)
    for number in _strays(database):
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (f"{home}/{number}", number)
        )
    known = database.execute("SELECT 1 FROM experiment_tags WHERE key = ?", (_ADDRESS,)).fetchone()
    if former and not known:
        address = _address(file, former[0])
        row = database.execute("SELECT min(experiment_id) FROM experiments").fetchone()
        database.execute(
            "INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)", (_ADDRESS, address, row[0])
        )
    database.execute("COMMIT")


def _homes_in(file: Path) -> list[str]:
    if not is_there(file):
        return []
    with _opened(file) as database:
        return _homes(database, file)


def _homes(database: sqlite3.Connection, file: Path) -> list[str]:
    """The folders of artifacts beside which the file lay before. One that is there, without such a file beside it, was
    chosen by somebody: it stays."""
    rows = database.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id").fetchall()
    homes = (re.fullmatch(rf"(file:///(?:.*/)?{ARTIFACTS})(/\d+)?", str(row[0])) for row in rows)
    former = []
    for home in dict.fromkeys(match[1] for match in homes if match):
        path = _path(home)
        chosen = path.is_dir() and not path.with_name(file.name).exists()
        if home != artifacts(file) and not chosen:
            former.append(home)
    return former


def _strays(database: sqlite3.Connection) -> list[int]:
    """Experiments without a run that MLflow let begin in the folder `mlruns` of whatever folder it was called in."""
    idle = "experiment_id NOT IN (SELECT experiment_id FROM runs)"
    rows = database.execute(f"SELECT experiment_id, artifact_location FROM experiments WHERE {idle}")
    return [int(number) for number, location in rows if re.search(r"(^|/)mlruns/\d+$", str(location or ""))]


def _address(file: Path, home: str) -> str:
    """The address of a file beside the artifacts at `home`."""
    return uri(_path(home).with_name(file.name))


def _path(home: str) -> Path:
    return Path(unquote(urlsplit(home).path))
