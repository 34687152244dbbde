"""checkpoint.pt: everything a training goes on from, written in one step and read without pickle's code."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from ced.errors import FormatError
from ced.store import files

NAME = "checkpoint.pt"
VERSION = 2

# What torch.load raises for a file that is none of its own.
_DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, AttributeError, TypeError)


def save(folder: Path, fingerprint: str, state: dict[str, Any]) -> None:
    """Put the checkpoint of `state` (tensors and plain values) in the place of the former one.

    Raises OutputError where it cannot be written; the former one is then intact.
    """
    buffer = io.BytesIO()  # in memory first: a full disk is then a plain OSError of one write
    stored = {"version": VERSION, "fingerprint": fingerprint, "rng": torch.get_rng_state(), "state": state}
    torch.save(stored, buffer)
    files.write(folder / NAME, buffer.getvalue())


def load(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state that `save` was given last, on CPU, and torch's random numbers as they were; None where none is.

    Raises FormatError for a damaged checkpoint, or one of another training.
    """
    path = folder / NAME
    if not path.exists():
        return None
    stored = _read(path)
    if stored.get("version") != VERSION:
        raise FormatError(f"{path}: a checkpoint of another version of ced; remove it to train from the start")
    if stored["fingerprint"] != fingerprint:
        raise FormatError(
            f"{path} belongs to another training (its model, settings or data differ); "
            "name another output folder, or remove it to train from the start"
        )
    torch.set_rng_state(stored["rng"])
    state: dict[str, Any] = stored["state"]
    return state


def _read(path: Path) -> dict[str, Any]:
    damaged = FormatError(f"{path}: a damaged checkpoint, or none of ced; remove it to train from the start")
    try:
        data = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(data) as archive:
            if archive.testzip() is not None:  # torch itself does not look at the checksums
                raise damaged
        data.seek(0)
        stored: dict[str, Any] = torch.load(data, map_location="cpu", weights_only=True)
    except (*_DAMAGE, zipfile.BadZipFile, OSError):
        raise damaged from None
    if not isinstance(stored, dict):
        raise damaged
    return stored
