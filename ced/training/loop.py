"""The training loop: plain torch, on one device or many, stopped and resumed at any step with the same outcome."""

import time
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from ced import files
from ced.errors import ConfigError, OutputError, TrainingError
from ced.nets import weights
from ced.training import checkpoint, metrics, order, schedule
from ced.training.context import WorkerContext
from ced.training.interrupt import Interrupt
from ced.training.job import TrainJob, fingerprint
from ced.training.prepared import Prepared, prepare
from ced.training.state import State
from ced.training.validation import autocast, validate

WEIGHTS = "model.safetensors"
_MEET_EVERY = 10  # steps after which several workers agree on whether to stop


def train(job: TrainJob, context: WorkerContext) -> None:
    """Train `job` to its last step and leave its averaged weights as model.safetensors in `job.out`.

    Goes on from the checkpoint there, if any, with the same losses as if it had never stopped. On SIGTERM or Ctrl-C
    it saves a checkpoint and leaves. Raises InputError, FormatError or ConfigError for inputs and settings that
    cannot be used, OutputError where `job.out` cannot be written, TrainingError where the loss is no number.
    """
    if job.train.batch_size % context.world:
        raise ConfigError(
            f"{job.section}.batch_size = {job.train.batch_size}: use a multiple of the {context.world} workers"
        )
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
        trainer = Trainer(job, context)
        trainer.run()
    if context.rank == 0:
        files.write(Path(job.out, WEIGHTS), weights.encode(trainer.state.average))


class Trainer:
    """One worker's part of a training."""

    def __init__(self, job: TrainJob, context: WorkerContext) -> None:
        self.job, self.context, self.folder = job, context, Path(job.out)
        files.make_folder(self.folder)
        self.fingerprint = fingerprint(job)
        torch.manual_seed(job.train.seed)
        self.prepared: Prepared = prepare(job, context.device)
        self.state = State(self.prepared.network, job.train, context.device)
        # All workers read the checkpoint before any can pass `prepare`, where they meet; then rank 0 may write.
        stored = checkpoint.load(self.folder, self.fingerprint)
        if stored is not None:
            self.state.load(stored)
        self.network: nn.Module = context.prepare(self.state.module)
        self._check_same_step()
        if context.rank == 0:
            metrics.cut(self.folder, self.state.step)
        self._since = time.perf_counter(), self.state.step

    def run(self) -> None:
        """All steps that are left, with reports and checkpoints on their way."""
        train, state = self.job.train, self.state
        with Interrupt() as interrupt:
            while state.step < train.steps:
                self._step()
                last = state.step == train.steps
                if last or state.step % train.report_every == 0:
                    self._report()
                stopped = self._agreed(interrupt.signal != 0)
                if last or stopped or state.step % train.checkpoint_every == 0:
                    self._save()
                if stopped and not last:
                    interrupt.leave()

    def _step(self) -> None:
        train, state = self.job.train, self.state
        examples = self.prepared.split.training
        chosen = order.batch(len(examples), train.batch_size, state.step, train.seed)
        mine = examples[order.share(chosen, self.context.rank, self.context.world)]
        with autocast(self.context.device):
            loss, measures = self.prepared.task.step(self.network, self.prepared.batch(mine))
        norm = state.update(loss)
        state.measured.append(self._mean_over_workers(torch.cat([torch.stack([loss.detach(), norm]), measures])))

    def _report(self) -> None:
        state, train = self.state, self.job.train
        loss, norm, *measures = self._checked().mean(dim=0).tolist()
        now, seconds, steps = time.time(), time.perf_counter() - self._since[0], state.step - self._since[1]
        report = {
            "step": state.step,
            "steps": train.steps,
            "time": now,
            "loss": loss,
            "learning_rate": schedule.learning_rate(train, state.step - 1),
            "gradient_norm": norm,
            "batch_size": train.batch_size,
            "images_per_second": steps * train.batch_size / seconds,
            **dict(zip(self.prepared.task.measures, measures, strict=True)),
            **validate(self.prepared, state.average),
        }
        if self.context.rank == 0:
            metrics.append(self.folder, report)
        self.context.report(report)
        state.measured.clear()
        self._since = time.perf_counter(), state.step

    def _save(self) -> None:
        if self.state.measured:
            self._checked()
        if self.context.rank == 0:
            checkpoint.save(self.folder, self.fingerprint, self.state.to_dict())

    def _checked(self) -> Tensor:
        """What was measured since the last report, (steps, 2 + M) float64; TrainingError where it is not finite."""
        measured = torch.stack(self.state.measured).double().cpu()
        bad = (~torch.isfinite(measured).all(dim=1)).nonzero()
        if len(bad):
            step = self.state.step - len(measured) + int(bad[0]) + 1
            raise TrainingError(
                f"training {self.job.model}: the loss or its gradient is no finite number at step {step}; "
                f"lower {self.job.section}.learning_rate (now {self.job.train.learning_rate:g})"
            )
        return measured

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

    def _agreed(self, stop: bool) -> bool:
        """Whether any worker wishes to stop; several ask each other only now and then."""
        if self.context.world == 1:
            return stop
        if self.state.step % _MEET_EVERY:
            return False
        return bool(self._mean_over_workers(torch.tensor(float(stop), device=self.context.device)) > 0)
