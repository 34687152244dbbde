"""Parts of finished outputs as their manifests state them: each is looked at when a process first reads it.

Where there is no manifest above a part, as in a folder of the user's own, it is taken as it is.
"""

from pathlib import Path

from ced.errors import FormatError
from ced.store.outputs import MANIFEST, Manifest, check_part, is_table, parts_in, read_manifest

_ABOVE = 2  # folders between a part and its manifest, at most

_Stamp = tuple[Path, int, int, int]
_whole: set[_Stamp] = set()  # parts that this process has looked at
_manifests: dict[_Stamp, Manifest | None] = {}


def part(path: Path) -> Path:
    """`path`, once this process has found it to be what its manifest states. Raises FormatError."""
    stamp = _stamp(path)
    if (stamp is None or stamp not in _whole) and path.name != MANIFEST:
        above = _manifest_above(path)
        if above is not None:
            folder, manifest = above
            check_part(folder, manifest, path.relative_to(folder).as_posix())
        if stamp is not None:
            _whole.add(stamp)
    return path


def parts(folder: Path) -> list[Path]:
    """The parts of a table in its folder, in order; none where there is no folder. Raises FormatError where they are
    not those that a manifest names."""
    there, above = parts_in(folder), _manifest_above(folder / "part")
    if above is not None:
        root, manifest = above
        named = {root / name for name in manifest.parts if is_table(name) and (root / name).parent == folder}
        for path in sorted(named.symmetric_difference(there)):
            check_part(root, manifest, path.relative_to(root).as_posix())
    return there


def _manifest_above(path: Path) -> tuple[Path, Manifest] | None:
    """The manifest of the finished output that a part lies in, and its folder."""
    for folder in list(path.parents)[:_ABOVE]:
        stamp = _stamp(folder / MANIFEST)
        if stamp is None:
            continue
        if stamp not in _manifests:
            try:
                _manifests[stamp] = read_manifest(folder)
            except FormatError:  # of another program; who finds an output has read its manifest before
                _manifests[stamp] = None
        manifest = _manifests[stamp]
        if manifest is not None:
            return folder, manifest
    return None


def _stamp(path: Path) -> _Stamp | None:
    """What changes where a file is written again; None where it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return path, status.st_mtime_ns, status.st_size, status.st_ino
