import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ced.config import ClusterConfig, NetworkConfig
from ced.errors import ConfigError, FormatError, OutputError, TrainingError
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.objectives import Batch
from ced.training.trainer import Trainer, train

MakeJob = Callable[..., TrainJob]


class StopAt(PlainContext):
    """A context whose listener asks the process to stop once `step` is reported."""

    def __init__(self, step: int, number: int) -> None:
        super().__init__("cpu")
        self.step, self.number = step, number

    def report(self, metrics: dict[str, float]) -> None:
        if metrics["step"] == self.step:
            signal.raise_signal(self.number)


def output(job: TrainJob) -> bytes:
    return Path(job.out, "model.safetensors").read_bytes()


@pytest.fixture
def classifier_of(job_of: MakeJob) -> str:
    job = job_of("classifier", out="c", steps=2)
    train(job, PlainContext("cpu"))
    return str(Path(job.out, "model.safetensors"))


@pytest.mark.parametrize("model", ["classifier", "ed", "ced-est", "ced-gt"])
def test_every_model_is_trained_to_weights_and_metrics(
    job_of: MakeJob, reports: Callable, classifier_of: str, model: str
) -> None:
    job = job_of(model, classifier=classifier_of if model == "ced-est" else "")
    train(job, PlainContext("cpu"))
    lines = reports(job)
    assert [line["step"] for line in lines] == [5, 10, 12]
    common = {"step", "steps", "loss", "learning_rate", "gradient_norm", "batch_size"}
    stages = {f"{kind}accuracy_stage_{t}" for kind in ("", "validation_") for t in (1, 2)}
    own = {"psnr", "validation_psnr", "validation_psnr_jpeg"}
    assert set(lines[0]) == common | (stages | {"validation_loss"} if model == "classifier" else own)
    pictures = [] if model == "classifier" else ["strips"]
    assert sorted(os.listdir(job.out)) == ["checkpoint.pt", "metrics.jsonl", "model.safetensors", *pictures]
    network = weights.decode(output(job))
    assert isinstance(network, Classifier if model == "classifier" else AutoEncoder)


def test_the_averaged_weights_are_exported(job_of: MakeJob) -> None:
    job = job_of()
    trainer = Trainer(job, PlainContext("cpu"))
    trainer.run()
    train(job, PlainContext("cpu"))  # finished already: exports from the checkpoint
    exported = weights.decode(output(job))
    x = torch.rand(1, 1, 16, 16)
    assert torch.allclose(exported(x), trainer.state.average(x), atol=1e-5)
    assert not torch.allclose(exported(x), trainer.state.module(x), atol=1e-5)


def test_training_lowers_the_loss(job_of: MakeJob, reports: Callable) -> None:
    job = job_of("classifier", steps=60, report_every=20, learning_rate=5e-3)
    train(job, PlainContext("cpu"))
    first, *_, last = reports(job)
    assert last["loss"] < first["loss"] - 0.02
    assert last["accuracy_stage_2"] > first["accuracy_stage_2"] + 0.01


@pytest.mark.usefixtures("default_signals")
def test_the_rate_of_a_first_report_is_that_of_the_steps_after_the_first(job_of: MakeJob) -> None:
    """After a start as after a restart: the time left is told from it."""
    job = job_of(steps=8, report_every=4)
    for last in (4, 8):
        trainer = Trainer(job, StopAt(4, signal.SIGTERM))
        first, step = trainer.state.step + 1, trainer._step

        def slow(batch: Batch, trainer: Trainer = trainer, first: int = first, step: Callable = step) -> None:
            step(batch)
            if trainer.state.step == first:
                time.sleep(2)

        trainer._step = slow
        with contextlib.suppress(SystemExit):
            trainer.run()
        line = json.loads(Path(job.out, "metrics.jsonl").read_text().splitlines()[-1])
        assert line["step"] == last
        assert line["images_per_second"] > 12, "four steps of four images, had the two seconds counted: below 8"


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(job_of: MakeJob, reports: Callable) -> None:
    jobs = [job_of("ced-gt", out=out, seed=seed) for out, seed in (("a", 0), ("b", 0), ("c", 1))]
    for job in jobs:
        torch.rand(1)  # whatever the process drew before is of no matter
        train(job, PlainContext("cpu"))
    assert output(jobs[0]) == output(jobs[1]) != output(jobs[2])
    assert reports(jobs[0]) == reports(jobs[1])


@pytest.mark.parametrize("number, leaves", [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("stop", [7, 8])  # 7: amid a report's steps, between two checkpoints
def test_stopped_and_resumed_is_as_never_stopped(
    job_of: MakeJob, reports: Callable, number: int, leaves: type[BaseException], stop: int
) -> None:
    through = job_of("classifier", out="through")
    train(through, PlainContext("cpu"))
    stopped = job_of("classifier", out="stopped")
    trainer = Trainer(stopped, PlainContext("cpu"))
    step = trainer._step

    def signalled(batch: Batch) -> None:
        step(batch)
        if trainer.state.step == stop:
            signal.raise_signal(number)

    trainer._step = signalled
    with pytest.raises(leaves):
        trainer.run()
    assert trainer.state.step == stop
    assert torch.load(Path(stopped.out, "checkpoint.pt"), weights_only=True)["state"]["step"] == stop
    train(stopped, PlainContext("cpu"))
    assert output(stopped) == output(through)
    assert reports(stopped) == reports(through)


@pytest.mark.usefixtures("default_signals")
def test_a_signal_at_the_last_step_finds_the_work_done(job_of: MakeJob) -> None:
    job = job_of()
    train(job, StopAt(12, signal.SIGTERM))
    assert output(job)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_killed_at_any_moment_and_started_again_is_as_never_stopped(
    job_of: MakeJob, reports: Callable, start: Callable, optimizer: str
) -> None:
    settings = {"steps": 60, "report_every": 3, "checkpoint_every": 7, "optimizer": optimizer}
    settings["network"] = NetworkConfig(width=16, width_half=16, width_full=4, blocks=1)  # enough for Muon
    through, killed = job_of(out="through", **settings), job_of(out="killed", **settings)
    process = start(killed)
    for _ in range(5):  # the fifth report, of step 15: one step after a checkpoint
        assert process.stdout.readline()
    process.kill()
    process.communicate()
    assert not Path(killed.out, "model.safetensors").exists()
    resumed_from = torch.load(Path(killed.out, "checkpoint.pt"), weights_only=True)["state"]["step"]
    assert 14 <= resumed_from < 60
    train(killed, PlainContext("cpu"))
    train(through, PlainContext("cpu"))
    assert output(killed) == output(through)
    assert reports(killed) == reports(through)


def test_the_process_leaves_on_sigterm_with_a_checkpoint(job_of: MakeJob, start: Callable) -> None:
    job = job_of(steps=100_000, report_every=1, checkpoint_every=100_000)
    process = start(job)
    assert process.stdout.readline()
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM and "Traceback" not in error
    assert torch.load(Path(job.out, "checkpoint.pt"), weights_only=True)["state"]["step"] >= 1


def test_a_finished_training_is_not_trained_again(job_of: MakeJob, reports: Callable) -> None:
    job = job_of()
    train(job, PlainContext("cpu"))
    before, lines = output(job), reports(job)
    checkpoint = Path(job.out, "checkpoint.pt")
    written = checkpoint.stat().st_mtime_ns
    train(job, PlainContext("cpu"))
    assert output(job) == before and reports(job) == lines and checkpoint.stat().st_mtime_ns == written


def test_a_checkpoint_of_another_job_is_refused(job_of: MakeJob) -> None:
    train(job_of(), PlainContext("cpu"))
    with pytest.raises(FormatError, match="belongs to another training"):
        train(job_of(seed=1), PlainContext("cpu"))


def test_a_damaged_checkpoint_is_refused(job_of: MakeJob) -> None:
    job = job_of()
    train(job, PlainContext("cpu"))
    path = Path(job.out, "checkpoint.pt")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FormatError, match="damaged checkpoint"):
        train(job, PlainContext("cpu"))


@pytest.mark.usefixtures("default_signals")
def test_lines_after_the_checkpoint_are_cut_back(job_of: MakeJob, reports: Callable) -> None:
    through, job = job_of(out="through"), job_of()
    train(through, PlainContext("cpu"))
    with pytest.raises(SystemExit):
        train(job, StopAt(5, signal.SIGTERM))
    with Path(job.out, "metrics.jsonl").open("a") as file:
        file.write('{"step": 10, "loss": 1}\n{"step": 11')
    train(job, PlainContext("cpu"))
    assert reports(job) == reports(through)


def test_no_gradient_of_the_reconstruction_reaches_c(
    job_of: MakeJob, classifier_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very C that the estimates come from keeps its weights, and no gradient is ever computed for it."""
    from ced.training import objectives

    seen: list[Classifier] = []
    original = objectives._trained_classifier
    monkeypatch.setattr(objectives, "_trained_classifier", lambda *given: seen.append(original(*given)) or seen[-1])
    before = Path(classifier_of).read_bytes()
    job = job_of("ced-est", classifier=classifier_of)
    trainer = Trainer(job, PlainContext("cpu"))
    trainer.run()
    (c,) = seen
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in c.parameters())
    assert weights.encode(c) == before == Path(classifier_of).read_bytes()
    mine = {id(parameter) for parameter in c.parameters()}
    trained = {id(p) for group in trainer.state.optimizer.param_groups for p in group["params"]}
    assert not mine & trained


@pytest.mark.parametrize(
    ("poison", "told"),
    [(float("nan"), "the loss or its gradient is no finite number"), (1e6, r"the loss is \d.*e\+\d+")],
)
def test_a_training_that_diverges_names_the_step_and_the_cure(job_of: MakeJob, poison: float, told: str) -> None:
    job = job_of(steps=40, checkpoint_every=1, report_every=40)
    trainer = Trainer(job, PlainContext("cpu"))
    step = trainer._step

    def poisoned(batch: Batch) -> None:
        if trainer.state.step == 9:
            next(trainer.state.module.parameters()).data.fill_(poison)
        step(batch)

    trainer._step = poisoned
    with pytest.raises(TrainingError, match=told + r" at step 10; lower autoencoder\.learning_rate \(now 0"):
        trainer.run()
    stored = torch.load(Path(job.out, "checkpoint.pt"), weights_only=True)["state"]
    assert stored["step"] == 9
    assert all(torch.isfinite(value).all() for value in stored["module"].values())


def test_a_learning_rate_far_too_high_is_such_a_case(job_of: MakeJob) -> None:
    job = job_of("classifier", steps=200, learning_rate=1e30, clip_norm=1e30, warmup_steps=0)
    with pytest.raises(TrainingError, match=r"training classifier: .* lower classifier\.learning_rate \(now 1e\+30\)"):
        train(job, PlainContext("cpu"))


def test_weights_beyond_all_numbers_at_the_last_step_are_no_result(job_of: MakeJob) -> None:
    """The loss of the last step is one of weights that were still good."""
    job = job_of(steps=1, learning_rate=1e39, clip_norm=1e30, warmup_steps=0)
    with pytest.raises(TrainingError, match=r"held-out photographs is no finite number at step 1; lower autoencoder"):
        train(job, PlainContext("cpu"))
    assert os.listdir(job.out) == []


def test_too_little_memory_names_the_cure(job_of: MakeJob) -> None:
    """Filters of 324 TB, which no machine has addresses for."""
    vast = NetworkConfig(width=8, width_half=3_000_000, width_full=4, blocks_half=1)
    with pytest.raises(
        TrainingError, match=r"training ed: too little memory on cpu \(can't allocate memory: "
    ) as caught:
        train(job_of(network=vast), PlainContext("cpu"))
    assert "lower autoencoder.batch_size (now 4), make the network smaller" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_mistake_of_torch_stays_what_it_is(job_of: MakeJob) -> None:
    class Failing(PlainContext):
        def report(self, metrics: dict[str, float]) -> None:
            raise RuntimeError("shapes do not match: [1] and [2]")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(job_of(), Failing("cpu"))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_the_losses_are_the_same_up_to_rounding(job_of: MakeJob, reports: Callable) -> None:
    """Compiled code adds up in another order."""
    jobs = job_of("ed", out="plain", steps=4, report_every=1), job_of("ed", out="compiled", steps=4, report_every=1)
    for job in jobs:
        train(job, PlainContext("cpu", cluster=ClusterConfig(compile=job is jobs[1])))
    plain, compiled = ([line["loss"] for line in reports(job)] for job in jobs)
    assert compiled == pytest.approx(plain, rel=1e-4)
    assert weights.decode(output(jobs[1])).state_dict().keys() == weights.decode(output(jobs[0])).state_dict().keys()


def test_compiled_where_there_is_no_compiler(job_of: MakeJob, tmp_path: Path, python_path: dict[str, str]) -> None:
    """In a process of its own, whose PATH holds nothing."""
    (tmp_path / "job.json").write_text(job_of("ed").to_json())
    line = [sys.executable, "-m", "ced.training", "--job", str(tmp_path / "job.json"), "--set", "cluster.compile=true"]
    nothing = python_path | {"PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(line, env=nothing, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("ced: cluster.compile = True: InvalidCxxCompiler: No working C++ compiler found")


def test_in_bfloat16_the_loss_falls_as_well(job_of: MakeJob, reports: Callable) -> None:
    """bfloat16 has 8 bits of precision; the weights, their average and Adam's moments stay in float32."""
    jobs = [job_of("ed", out=kind, steps=20, report_every=20) for kind in ("float32", "bfloat16")]
    for job, precision in zip(jobs, ("float32", "bfloat16"), strict=True):
        train(job, PlainContext("cpu", cluster=ClusterConfig(precision=precision)))
    full, short = (reports(job)[-1] for job in jobs)
    assert short["loss"] == pytest.approx(full["loss"], rel=0.02) and short["loss"] != full["loss"]
    network = weights.decode(output(jobs[1]))
    assert all(values.dtype == torch.float32 for values in network.state_dict().values())


def test_a_step_draws_no_random_numbers(job_of: MakeJob, classifier_of: str) -> None:
    """So a checkpoint need not know those of a GPU."""
    for model in ("classifier", "ed", "ced-est", "ced-gt"):
        trainer = Trainer(job_of(model, out=model, classifier=classifier_of), PlainContext("cpu"))
        before = torch.get_rng_state()
        trainer.run()
        assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_too_small_for_the_workers(job_of: MakeJob) -> None:
    with pytest.raises(ConfigError, match=r"autoencoder\.batch_size = 4: use at least 1 for each of the 5 workers"):
        train(job_of(), PlainContext("cpu", rank=0, world=5))


def test_an_output_folder_that_cannot_be(job_of: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out: cannot be written"):
        train(job_of(), PlainContext("cpu"))


APART = """
import dataclasses, sys
from pathlib import Path
from ced.training.context import PlainContext
from ced.training.data import spread
from ced.training.job import TrainJob
from ced.training.trainer import train

job = TrainJob.from_json(Path(sys.argv[1]).read_text())
with PlainContext.launched() as context:
    train(dataclasses.replace(job, out=f"{job.out}{context.rank}"), context)
"""


@pytest.mark.usefixtures("default_signals")
def test_workers_that_share_no_folder_are_told_so(job_of: MakeJob, tmp_path: Path, python_path: dict[str, str]) -> None:
    """Only the first worker finds the checkpoint: the others would train on from another step."""
    job = job_of()
    with pytest.raises(SystemExit):
        train(dataclasses.replace(job, out=f"{job.out}0"), StopAt(5, signal.SIGTERM))
    (tmp_path / "job.json").write_text(job.to_json())
    (tmp_path / "apart.py").write_text(APART)
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [sys.executable, *launcher, str(tmp_path / "apart.py"), str(tmp_path / "job.json")],
        capture_output=True,
        text=True,
        env=python_path,
        timeout=120,
    )
    assert done.returncode != 0
    for rank in (0, 1):
        assert f"out{rank}: the workers see different checkpoints" in done.stderr


def test_a_folder_that_is_gone_in_the_midst(job_of: MakeJob) -> None:
    class Taking(PlainContext):
        def report(self, metrics: dict[str, float]) -> None:
            Path(job.out).rename(f"{job.out}-elsewhere")

    job = job_of("classifier")
    with pytest.raises(OutputError, match=r"checkpoint\.pt: cannot be written \(No such file or directory\)") as caught:
        train(job, Taking("cpu"))
    assert "\n" not in str(caught.value)
    assert torch.load(Path(f"{job.out}-elsewhere", "checkpoint.pt"), weights_only=True)["state"]["step"] == 4


MakeJob = Callable[..., TrainJob]
