"""Finished outputs, found in the folders that a user names."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ced.errors import FormatError, InputError
from ced.store.outputs import MANIFEST, Manifest, Output, read_manifest

logger = logging.getLogger("ced")

STAGES = ("prepare", "edges", "label")  # those that make data, in their order
_NOTE = ".unfinished"


def find(folders: Sequence[Path]) -> list[Output]:
    """The finished outputs of `folders`: each is one itself, or holds some at any depth; data first, in its order.

    Raises InputError for a folder without one, and FormatError for a manifest that is none.
    """
    found: dict[Path, Output] = {}
    for folder in folders:
        below = {path.resolve(): Output(path, _manifest(path), reused=True) for path in _below(folder)}
        if not below:
            raise InputError(f"{folder}: {_without(folder)}")
        found |= below
    return sorted(found.values(), key=_order)


def visible(folder: Path) -> list[str]:
    """The names of an output's files, sorted; hidden ones are scratch, and the manifest is not one of its parts."""
    names = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names += [Path(root, name).relative_to(folder).as_posix() for name in files if not name.startswith(".")]
    return sorted(name for name in names if name != MANIFEST)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if MANIFEST in files:
            yield Path(root)
        elif _NOTE in files:
            logger.warning("%s: unfinished, left out; the command that began it goes on with it", root)
        if MANIFEST in files or _NOTE in files:
            folders.clear()  # an output holds no other


def _manifest(folder: Path) -> Manifest:
    """Of a folder that has one, with names and numbers where they have to be."""
    manifest = read_manifest(folder)
    if manifest is None or not _sound(manifest):
        raise FormatError(f"{folder / MANIFEST}: fields of the wrong type; remove {folder} to have it made again")
    return manifest


def _sound(manifest: Manifest) -> bool:
    tables = (manifest.parts, manifest.counts, manifest.inputs, manifest.config)
    if not all(isinstance(table, dict) for table in tables):
        return False
    texts = [manifest.stage, manifest.fingerprint, *manifest.parts.values(), *manifest.inputs.values()]
    return all(isinstance(text, str) for text in texts) and all(type(n) is int for n in manifest.counts.values())


def _without(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder; give a store, or one with finished outputs"
    return "no finished output in it; give a store or an output's folder, or run the command that makes it"


def _order(output: Output) -> tuple[int, Path]:
    stage = output.manifest.stage
    return STAGES.index(stage) if stage in STAGES else len(STAGES), output.path
