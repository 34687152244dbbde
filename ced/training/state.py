"""What changes while training (weights, their average, the optimizer's moments, the step), and the checkpoint of it:
checkpoint.pt, everything a training goes on from, written in one step and read without pickle's code."""

import copy
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ced.config import TrainConfig
from ced.errors import FormatError
from ced.models.base import Network
from ced.models.blocks import to_channels_last
from ced.store import files
from ced.training import optimizers
from ced.training.job import CHECKPOINT

_VERSION = 2  # of a checkpoint

# What torch.load raises for a file that is none of its own.
_DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, AttributeError, TypeError)


class State:
    """The network in training and all that goes with it. `step` counts the updates made."""

    def __init__(self, module: Network, train: TrainConfig, device: torch.device) -> None:
        self.train = train
        self.module: Network = module.to(device)
        to_channels_last(self.module)
        # Validation and export see the average: a network that jitters less.
        self.average: Network = copy.deepcopy(self.module).eval().requires_grad_(False)
        self.optimizer: optimizers.Optimizer = optimizers.build(self.module, train)
        self.step = 0
        # Of each step since the last report: first this worker's, (M,) each, on the device, so that a step waits for
        # nothing; then, once the workers have met, the mean over all of them, (steps, M) float64 on CPU.
        self.measured: list[Tensor] = []
        self.agreed = torch.empty(0, 0, dtype=torch.float64)

    def update(self, loss: Tensor) -> Tensor:
        """One step down the gradient of `loss`. Returns the gradient's norm before clipping, a scalar."""
        self.module.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.train.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = optimizers.learning_rate(self.train, self.step)
        self.optimizer.step()
        self._average()
        self.step += 1
        return norm

    def agree(self, measured: Tensor) -> None:
        """`measured` of the latest steps, averaged over all workers: (steps, M), in the place of this worker's own."""
        self.agreed = torch.cat([self.agreed.reshape(-1, measured.shape[1]), measured.double().cpu()])
        self.measured.clear()

    def forget(self) -> None:
        """What was measured is reported."""
        self.agreed = torch.empty(0, 0, dtype=torch.float64)

    def to_dict(self) -> dict[str, Any]:
        """Tensors and plain values, for a checkpoint."""
        return {
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "agreed": self.agreed,
        }

    def load(self, stored: dict[str, Any]) -> None:
        """Go on from `to_dict`'s values."""
        self.module.load_state_dict(stored["module"])
        self.average.load_state_dict(stored["average"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self._arrange_moments()
        self.step = stored["step"]
        self.agreed = stored["agreed"]

    def _arrange_moments(self) -> None:
        """The moments in the weights' own order in memory: a checkpoint from another kind of device has another, and
        the fused update walks through both as they lie."""
        for weights, moments in self.optimizer.state.items():
            for name, values in moments.items():
                if values.shape == weights.shape:
                    moments[name] = torch.empty_like(weights, requires_grad=False).copy_(values)

    @torch.no_grad()
    def _average(self) -> None:
        decay = optimizers.average_decay(self.train, self.step)
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.module.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)
        # What batch normalization has counted goes along: it belongs to the weights.
        for mine, latest in zip(self.average.buffers(), self.module.buffers(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(latest, 1 - decay)
            else:
                mine.copy_(latest)


def save_checkpoint(folder: Path, fingerprint: str, state: dict[str, Any]) -> None:
    """Put the checkpoint of `state` (tensors and plain values) in the place of the former one.

    Raises OutputError where it cannot be written; the former one is then intact.
    """
    buffer = io.BytesIO()  # in memory first: a full disk is then a plain OSError of one write
    stored = {"version": _VERSION, "fingerprint": fingerprint, "rng": torch.get_rng_state(), "state": state}
    torch.save(stored, buffer)
    files.write(folder / CHECKPOINT, buffer.getvalue())


def load_checkpoint(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state that was saved last, on CPU, and torch's random numbers as they were; None where there is none.

    Raises FormatError for a damaged checkpoint, or one of another training.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    stored = _read(path)
    if stored.get("version") != _VERSION:
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
