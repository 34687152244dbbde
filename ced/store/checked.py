"""What manifests name, held against them: nothing that was altered since is used.

Each part is looked at when a process first reads it: small ones by the process that finds their output finished, the
parts of large tables by whoever reads them. What has no manifest above it, or was made before manifests had digests of
themselves, is taken as it is.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ced.errors import FormatError
from ced.store.manifest import MANIFEST, STAGES, Manifest, read_manifest

_THREADS = 4  # hashing waits for the disk as much as for a core
_ABOVE = 2  # folders between a part and its manifest, at most

_Stamp = tuple[Path, int, int, int]
_whole: set[_Stamp] = set()  # files that this process has looked at
_manifests: dict[_Stamp, Manifest | None] = {}


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parts_in(folder: Path) -> list[Path]:
    """The parts of a table in its folder, in order; none where there is no folder. Raises FormatError where they are
    not those of a finished output."""
    parts = sorted(folder.glob("part-*.parquet"))
    above = _manifest_above(folder / "part")
    if above is not None:
        root, manifest = above
        named = {root / name for name in manifest.parts if (root / name).parent == folder}
        tables = {path for path in named if _is_table(path.name)}
        for path in sorted(tables.symmetric_difference(parts)):
            raise FormatError(f"{path}: {_missing_or_extra(path, root, manifest)}")
    return parts


def part(path: Path) -> Path:
    """`path`, once this process has found it to be what its manifest states. Raises FormatError."""
    try:
        stamp = _stamp(path)
        if stamp not in _whole:
            above = _manifest_above(path)
            if above is not None:
                _check(path, *above)
            _whole.add(stamp)
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}; {_again(path)}") from error
    return path


def small_parts(folder: Path, manifest: Manifest) -> None:
    """All parts of an output but those of large tables are what its manifest states, these are there. Raises
    FormatError for the first that is not."""
    for name in gone(folder, manifest):
        raise FormatError(f"{folder / name}: {_missing_or_extra(folder / name, folder, manifest)}")
    small = [folder / name for name in manifest.parts if not _is_table(Path(name).name)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(part, small):
            pass


def gone(folder: Path, manifest: Manifest) -> list[str]:
    """The parts that a finished output has no more."""
    return [name for name in sorted(manifest.parts) if not (folder / name).is_file()]


def cure(folder: Path, stage: str, names: Iterable[str]) -> str:
    """What has parts of an output made again."""
    if stage in STAGES:  # these go on from the parts that are there
        return f"delete {' and '.join([*names, MANIFEST])} in {folder} and run the same command again"
    return f"remove {folder} and run the same command again"


def together(name: str, names: Iterable[str]) -> list[str]:
    """The parts of an output that are made in one go with `name`: a part of examples, and its quarantine."""
    return [other for other in names if _is_table(Path(name).name) and Path(other).name == Path(name).name] or [name]


def _is_table(name: str) -> bool:
    return name.startswith("part-") and name.endswith(".parquet")


def _check(path: Path, root: Path, manifest: Manifest) -> None:
    name = path.relative_to(root).as_posix()
    stated = manifest.parts.get(name)
    if stated is None:
        raise FormatError(f"{path}: {_missing_or_extra(path, root, manifest)}")
    if sha256(path) != stated:
        what = cure(root, manifest.stage, together(name, manifest.parts))
        raise FormatError(f"{path}: altered since it was made; {what}")


def _missing_or_extra(path: Path, root: Path, manifest: Manifest) -> str:
    name = path.relative_to(root).as_posix()
    if name in manifest.parts:
        return f"missing; {cure(root, manifest.stage, [other for other in together(name, manifest.parts) if other != name])}"
    return f"not one of the parts that {MANIFEST} names; delete it"


def _again(path: Path) -> str:
    above = _manifest_above(path)
    return cure(above[0], above[1].stage, [path.name]) if above else "make it again"


def _manifest_above(path: Path) -> tuple[Path, Manifest] | None:
    """The manifest of the finished output that a part lies in, and its folder."""
    for folder in list(path.parents)[:_ABOVE]:
        try:
            stamp = _stamp(folder / MANIFEST)
        except OSError:
            continue
        if stamp not in _manifests:
            try:
                _manifests[stamp] = read_manifest(folder)
            except FormatError:  # of another program: whoever finds an output reads its manifest before
                _manifests[stamp] = None
        manifest = _manifests[stamp]
        if manifest is not None:
            return folder, manifest
    return None


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size, status.st_ino
