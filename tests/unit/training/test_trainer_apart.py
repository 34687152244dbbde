"""The loop in a Python of its own: on a full disk, and without the packages it does not need."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.trainer import train

MakeJob = Callable[..., TrainJob]


def output(job: TrainJob) -> bytes:
    return Path(job.out, "model.safetensors").read_bytes()


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from ced.errors import OutputError
from ced.training.context import PlainContext
from ced.training.job import TrainJob
from ced.training.trainer import Trainer

torch.set_num_threads(1)
trainer = Trainer(TrainJob.from_json(Path(sys.argv[1]).read_text()), PlainContext("cpu"))
step = trainer._step

def filling(batch):
    step(batch)
    if trainer.state.step == 6:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # writes fail from here, as on a full disk

trainer._step = filling
try:
    trainer.run()
except OutputError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_former_checkpoint(
    job_of: MakeJob, tmp_path: Path, reports: Callable, python_path: dict[str, str]
) -> None:
    through, job = job_of(out="through"), job_of()
    (tmp_path / "job.json").write_text(job.to_json())
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "job.json")], capture_output=True, text=True, env=python_path
    )
    assert "checkpoint.pt: cannot be written (File too large)" in done.stdout, done.stderr
    assert torch.load(Path(job.out, "checkpoint.pt"), weights_only=True)["state"]["step"] == 4
    train(job, PlainContext("cpu"))  # room was made
    train(through, PlainContext("cpu"))
    assert output(job) == output(through) and reports(job) == reports(through)


BARE = """
import re, sys
from importlib.metadata import packages_distributions, requires

def needed(name):
    found = {name.lower().replace("_", "-")}
    for line in requires(name) or ():
        if "extra ==" not in line and not line.startswith(("nvidia", "cuda", "triton")):
            found |= needed(re.match(r"[\\w.-]+", line)[0])
    return found

kept = {"ced"}.union(*(needed(name) for name in ("torch", "numpy", "pyarrow", "pillow", "safetensors")))
blocked = {module for module, names in packages_distributions().items()
           if not kept & {name.lower().replace("_", "-") for name in names}}
assert {"ray", "prefect", "mlflow", "pandas", "scipy"} <= blocked and "torch" not in blocked

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in blocked else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""

PLAIN = """
from ced.training.__main__ import main
sys.argv = ["ced.training", "--job", sys.argv[1], "--set", "cluster.data=stream"]
sys.exit(main())
"""


def test_the_loop_runs_where_nothing_but_its_five_packages_is_installed(
    job_of: MakeJob, tmp_path: Path, python_path: dict[str, str]
) -> None:
    job = job_of("ced-gt", steps=3)
    (tmp_path / "job.json").write_text(job.to_json())
    done = subprocess.run(
        [sys.executable, "-c", BARE + PLAIN, str(tmp_path / "job.json")],
        capture_output=True,
        text=True,
        env=python_path,
    )
    assert done.returncode == 0, done.stderr
    assert isinstance(weights.decode(output(job)), AutoEncoder)


COMMAND = """
from ced.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_so_does_ced_train_without_ray(pristine: Path, tmp_path: Path, python_path: dict[str, str]) -> None:
    tiny = [f"network.{name}" for name in ("width=8", "width_half=4", "width_full=4", "blocks=1", "stage_blocks=1")]
    short = [f"{section}.{key}" for section in ("classifier", "autoencoder") for key in ("steps=2", "batch_size=2")]
    settings = [word for setting in tiny + short for word in ("--set", setting)]
    folders = ["--data", str(pristine), "--store", str(tmp_path / "store"), "-o", str(tmp_path / "models")]
    line = [sys.executable, "-c", BARE + COMMAND, "train", "ced-gt", "--without-ray", *folders, *settings]
    done = subprocess.run(line, capture_output=True, text=True, env=python_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "restorer-ced-gt" / "restorer.json").exists()
    told = [line for line in done.stderr.splitlines() if "MLflow" in line]
    about = "MLflow is not installed, and told nothing; the curves are in metrics.jsonl"
    assert told == [f"classifier: {about}", f"ced-gt: {about}"], "nothing that it will never be told is promised"
