"""The training loop: plain torch, on one device or many, stopped and resumed at any step with the same outcome."""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, nn

from ced import drawing
from ced.config import TrainConfig
from ced.errors import ConfigError, OutputError, TrainingError, first_line
from ced.models import weights
from ced.store import files
from ced.training import objectives, optimizers
from ced.training.batches import Loader, Shard
from ced.training.context import Interrupt, WorkerContext
from ced.training.job import PREVIEWS, WEIGHTS, TrainJob, append_report, drop_reports_after, fingerprint
from ced.training.objectives import Batch, Objective, Reconstruction, Step
from ced.training.state import State, load_checkpoint, save_checkpoint

_COMPILERS = ("torch._dynamo", "torch._inductor")  # whose errors are those of torch.compile
_NOT_FINITE = "the loss or its gradient is no finite number"
# Every loss here begins below 10. Adam brings weights that leapt away back to finite losses, and to nothing of use.
_DIVERGED = 1e4
_NO_MEMORY = "DefaultCPUAllocator: "  # torch has no exception for a CPU's memory; this is what it says
# Steps after which several workers agree on whether to stop. A GPU has to catch up with the program for it.
_AGREE_EVERY = {"cpu": 10, "cuda": 100}
_VALIDATED = 16  # held-out examples a forward pass
_PICTURES = 10  # previews of a training, about
_PREVIEWED = 4  # photographs a preview
_GAP = 4  # pixels, white


def train(job: TrainJob, context: WorkerContext) -> None:
    """Train `job` to its last step and leave its averaged weights as model.safetensors in `job.out`.

    Goes on from the checkpoint there, if any, with the same losses as if it had never stopped. On SIGTERM or Ctrl-C
    it saves a checkpoint and leaves. Raises InputError, FormatError or ConfigError for inputs and settings that
    cannot be used, OutputError where `job.out` cannot be written, TrainingError where the loss is no number or memory
    does not suffice.
    """
    if job.train.batch_size < context.world:
        raise ConfigError(
            f"{job.section}.batch_size = {job.train.batch_size}: use at least 1 for each of the {context.world} workers"
        )
    deterministic = torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False)
    with _memory_errors_explained(job, context), deterministic:
        trainer = Trainer(job, context)
        trainer.run()
    if context.rank == 0 and trainer.done:
        files.write(Path(job.out, WEIGHTS), weights.encode(trainer.state.average))


@contextlib.contextmanager
def _memory_errors_explained(job: TrainJob, context: WorkerContext) -> Iterator[None]:
    """Raises TrainingError where torch, or Python, gets no memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        line = first_line(error, otherwise="")
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and _NO_MEMORY not in line:
            raise
        raise TrainingError(
            f"training {job.model}: too little memory on {context.device} ({line.partition(_NO_MEMORY)[2] or line}); "
            f"lower {job.section}.batch_size (now {job.train.batch_size}), make the network smaller, "
            "or set cluster.data=stream"
        ) from error


class Trainer:
    """One worker's part of a training: its network and objective, its examples, its state, step by step."""

    def __init__(self, job: TrainJob, context: WorkerContext) -> None:
        self.job, self.context, self.folder = job, context, Path(job.out)
        files.make_folder(self.folder)
        self.fingerprint = fingerprint(job)
        torch.manual_seed(job.train.seed)
        classes = objectives.read_classes(job)
        network, self.objective = objectives.build(job, classes, context.device)
        self.loader = Loader.open(job, self.objective, classes.count if classes else 255)
        self.held_out = self.loader.held_out(context.device)
        self.state = State(network, job.train, context.device)
        # All workers read the checkpoint before any can pass `prepare`, where they meet; then rank 0 may write.
        stored = load_checkpoint(self.folder, self.fingerprint)
        if stored is not None:
            self.state.load(stored)
        wrapped = context.prepare(self.state.module)
        self.network: nn.Module = torch.compile(wrapped) if context.cluster.compile else wrapped  # type: ignore[assignment]
        self._check_same_step()
        if context.rank == 0:
            drop_reports_after(self.folder, self.state.step)
        # The mean over the workers counts each alike; one with more examples than another has to count for more.
        shard = Shard(job.train.batch_size, context.rank, context.world)
        self.weight = shard.size * context.world / job.train.batch_size
        self._rate_from = time.perf_counter(), self.state.step  # the rate of the next report counts from here

    @property
    def done(self) -> bool:
        """Whether the last step is made."""
        return self.state.step == self.job.train.steps

    def run(self) -> None:
        """All steps that are left, with reports and checkpoints on their way."""
        if self.done:
            return
        with self.loader.batches(self.context, self.state.step) as batches, Interrupt() as interrupt:
            self._rate_from = time.perf_counter(), self.state.step
            self._run(batches, interrupt)

    def _run(self, batches: Iterator[Batch], interrupt: Interrupt) -> None:
        train, state = self.job.train, self.state
        first = state.step + 1
        while not self.done:
            self._step(next(batches))
            if self.done or state.step % train.report_every == 0:
                self._report()
            elif state.step == first:  # in which memory is taken and code made ready: it says nothing of the others
                self._rate_from = time.perf_counter(), state.step
            stopping = self._should_stop(interrupt)
            if self.done or stopping or state.step % train.checkpoint_every == 0:
                self._save()
            if stopping and not self.done:
                if interrupt.signal:
                    interrupt.leave()
                return

    def _step(self, batch: Batch) -> None:
        loss, measures = self._forward(batch)
        norm = self.state.update(loss if self.weight == 1 else loss * self.weight)
        self.state.measured.append(
            torch.cat([loss.detach().reshape(1) * self.weight, measures * self.weight, norm.reshape(1)])
        )

    def _forward(self, batch: Batch) -> Step:
        cluster = self.context.cluster
        try:
            with autocast(self.context.device, cluster.precision):
                return self.objective.step(self.network, batch)
        except RuntimeError as error:
            if not type(error).__module__.startswith(_COMPILERS):
                raise
            reason = first_line(error)
            raise ConfigError(f"cluster.compile = True: {reason}; install a C++ compiler, or leave it out") from error

    def _report(self) -> None:
        state, train, precision = self.state, self.job.train, self.context.cluster.precision
        loss, *measures, norm = self._checked().mean(dim=0).tolist()
        now, seconds, steps = time.time(), time.perf_counter() - self._rate_from[0], state.step - self._rate_from[1]
        report = {
            "step": state.step,
            "steps": train.steps,
            "time": now,
            "loss": loss,
            "learning_rate": optimizers.learning_rate(train, state.step - 1),
            "gradient_norm": norm,
            "batch_size": train.batch_size,
            "images_per_second": steps * train.batch_size / seconds,
            **dict(zip(self.objective.measures, measures, strict=True)),
            **validate(self.objective, self.held_out, state.average, precision),
        }
        if not all(map(math.isfinite, report.values())):
            raise self._diverged("what it makes of held-out photographs is no finite number", state.step)
        if self.context.rank == 0:
            if preview_due(train, state.step):
                with autocast(self.context.device, precision):
                    write_preview(self.folder, state.step, self.objective, self.held_out, state.average)
            append_report(self.folder, report)
        self.context.report(report)
        state.forget()
        self._rate_from = time.perf_counter(), state.step

    def _save(self) -> None:
        self._checked()
        if self.context.rank == 0:
            save_checkpoint(self.folder, self.fingerprint, self.state.to_dict())

    def _checked(self) -> Tensor:
        """What was measured since the last report, (steps, 2 + M) float64; TrainingError where it diverged."""
        if self.state.measured:
            self.state.agree(self._mean_over_workers(torch.stack(self.state.measured)))
        measured = self.state.agreed
        good = torch.isfinite(measured).all(dim=1) & (measured[:, :1] < _DIVERGED).all(dim=1)
        bad = (~good).nonzero()
        if len(bad):
            step, loss = self.state.step - len(measured) + int(bad[0]) + 1, float(measured[int(bad[0]), 0])
            leapt = math.isfinite(loss) and loss >= _DIVERGED
            raise self._diverged(f"the loss is {loss:.3g}" if leapt else _NOT_FINITE, step)
        return measured

    def _diverged(self, how: str, step: int) -> TrainingError:
        return TrainingError(
            f"training {self.job.model}: {how} at step {step}; "
            f"lower {self.job.section}.learning_rate (now {self.job.train.learning_rate:g})"
        )

    def _mean_over_workers(self, values: Tensor) -> Tensor:
        if self.context.world > 1:
            distributed.all_reduce(values)
            values /= self.context.world
        return values

    def _check_same_step(self) -> None:
        """Raises OutputError where the workers have not all read the same checkpoint."""
        if self.context.world == 1:
            return
        steps = torch.tensor([self.state.step, -self.state.step], device=self.context.device)
        distributed.all_reduce(steps, distributed.ReduceOp.MAX)
        last, first = steps.tolist()
        if last != -first:
            raise OutputError(f"{self.folder}: the workers see different checkpoints; name a folder that they share")

    def _should_stop(self, interrupt: Interrupt) -> bool:
        """Whether any worker is asked to stop; several ask each other only now and then."""
        asked = interrupt.signal != 0 or self.context.stopping()
        if self.context.world == 1:
            return asked
        if self.state.step % _AGREE_EVERY[self.context.device.type]:
            return False
        return bool(self._mean_over_workers(torch.tensor(float(asked), device=self.context.device)) > 0)


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """`cluster.precision` of convolutions and matrix products: with "auto" bfloat16 on a GPU, float32 elsewhere."""
    short = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=short)


@torch.no_grad()
def validate(objective: Objective, held_out: Batch, network: nn.Module, precision: str = "auto") -> dict[str, float]:
    """Mean of each measure of the objective over the held-out examples, as `validation_<measure>`; none held out, none.

    CED is judged with the q that it is trained with.
    """
    totals: dict[str, Tensor] = {}
    count = len(held_out["input"])
    for start in range(0, count, _VALIDATED):
        batch = {name: plane[start : start + _VALIDATED] for name, plane in held_out.items()}
        with autocast(batch["input"].device, precision):
            measured = objective.validate(network, batch)
        for name, values in measured.items():
            totals[name] = totals[name] + values.double().sum() if name in totals else values.double().sum()
    return {f"validation_{name}": total.item() / count for name, total in totals.items()}


def preview_due(train: TrainConfig, step: int) -> bool:
    """Whether the report of `step` comes with a picture: the first one in each tenth of the training, and the last."""
    before = (step - 1) // train.report_every * train.report_every
    return step == train.steps or step * _PICTURES // train.steps > before * _PICTURES // train.steps


@torch.no_grad()
def write_preview(folder: Path, step: int, objective: Objective, held_out: Batch, network: nn.Module) -> None:
    """Put the picture of `step` into `folder`/strips: held-out photographs, original, as JPEG and restored, in columns.
    None for a classifier, or where nothing is held out. The order of the files' names is that of the steps.

    Raises OutputError. CED is shown with the q that it is trained with.
    """
    if not isinstance(objective, Reconstruction) or not len(held_out["input"]):
        return
    chosen = np.linspace(0, len(held_out["input"]) - 1, _PREVIEWED).round().astype(int)
    batch = {column: planes[np.unique(chosen)] for column, planes in held_out.items()}
    levels = (objective.restore(network, batch) * 255).round().clamp(0, 255).to(torch.uint8)
    # (N, C, H, W) -> (N, H, W) for one plane, (N, H, W, 3) for three
    versions = (batch["target"], batch["input"], levels)
    columns = [planes.permute(0, 2, 3, 1).squeeze(-1).cpu().numpy() for planes in versions]
    rows = [[drawing.image(pixels) for pixels in photograph] for photograph in zip(*columns, strict=True)]
    files.make_folder(folder / PREVIEWS)
    files.write(folder / PREVIEWS / f"{step:08d}.png", drawing.grid(rows, _GAP, _GAP).png())
