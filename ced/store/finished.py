"""Finished outputs, found in the folders that a user names."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ced.errors import FormatError, InputError
from ced.store.outputs import MANIFEST, STAGES, UNFINISHED, Manifest, Output, read_manifest

logger = logging.getLogger("ced")


def find(folders: Sequence[Path]) -> list[Output]:
    """The finished outputs of `folders`: each is one itself, or holds some at any depth; data first, in its order.

    Raises InputError for a folder without one, and FormatError for a manifest that is none.
    """
    outputs: dict[Path, Output] = {}
    for folder in folders:
        below = {path.resolve(): Output(path, _manifest(path), reused=True) for path in _below(folder)}
        if not below and not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give a store, or one with finished outputs")
        if not below:
            cure = "give a store or an output's folder, or run the command that makes it"
            raise InputError(f"{folder}: no finished output in it; {cure}")
        outputs |= below
    order = {stage: number for number, stage in enumerate(STAGES)}
    return sorted(outputs.values(), key=lambda output: (order.get(output.manifest.stage, len(order)), output.path))


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if MANIFEST in files:
            yield Path(root)
        elif UNFINISHED in files:
            logger.warning("%s: unfinished, left out; the command that began it goes on with it", root)
        if MANIFEST in files or UNFINISHED in files:
            folders.clear()  # an output holds no other


def _manifest(folder: Path) -> Manifest:
    """Of a folder that has one, with names and numbers where they have to be. Raises FormatError."""
    manifest = read_manifest(folder)
    if manifest is not None:
        tables = (manifest.parts, manifest.counts, manifest.inputs, manifest.config)
        if all(isinstance(table, dict) for table in tables):
            texts = [manifest.stage, manifest.fingerprint, *manifest.parts.values(), *manifest.inputs.values()]
            numbers = manifest.counts.values()
            if all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers):
                return manifest
    raise FormatError(f"{folder / MANIFEST}: fields of the wrong type; remove {folder} to have it made again")
