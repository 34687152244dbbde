"""Evaluation on a real Ray: the same numbers with 1 or 2 workers and after kill -9; real programs; nothing silent."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec
from PIL import Image
from skimage import data

from ced.cli.main import main
from ced.config import EvaluateConfig
from ced.core.spectrum import Spectrum
from ced.errors import InputError
from ced.evaluation import evaluate, pool
from ced.evaluation.metrics import METRICS, Comparison, Metric
from ced.store.outputs import Output, Store
from ced.store.session import Session
from ced.tracking import client as tracking

# A program that restores what it is given, slowly: time enough to be killed in. It fails on the widest image.
PROGRAM = """
import sys, time
from PIL import Image, ImageFilter
image = Image.open(sys.argv[1])
time.sleep(float(sys.argv[3]))
if image.width == 99:
    sys.exit("too wide for me")
image.filter(ImageFilter.MedianFilter(3)).save(sys.argv[2])
"""
COUNT = 8


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of several sizes, none a multiple of 8; the last one is the widest."""
    folder = tmp_path_factory.mktemp("images") / "some"
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(data.chelsea()[number : number + 61 + number, : 92 + number]).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> EvaluateConfig:
    program = tmp_path_factory.mktemp("program") / "median.py"
    program.write_text(PROGRAM)
    command = f"{shlex.quote(sys.executable)} {program} {{input}} {{output}} 0.15"
    return EvaluateConfig(methods=("jpeg", f"median=command:{command}"), qualities=(10, 20), pictures=1)


def numbers(output: Output) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Everything in an output but the seconds."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in evaluate.per_image(output)]
    names = [name for name in output.manifest.parts if name != evaluate.FILE]
    return rows, {name: (output.path / name).read_bytes() for name in names}


def run(config: EvaluateConfig, images: Path, root: Path, workers: int) -> Output:
    return evaluate.run(config, str(images), {}, Session(Store(root), workers))


@pytest.fixture(scope="module")
def expected(
    ray_session: None, config: EvaluateConfig, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> Output:
    """What nothing disturbed, by two workers."""
    return run(config, images, tmp_path_factory.mktemp("two"), 2)


def test_one_or_two_workers_give_the_same_numbers(
    config: EvaluateConfig, images: Path, expected: Output, tmp_path: Path
) -> None:
    assert numbers(run(config, images, tmp_path, 1)) == numbers(expected)
    rows, files = numbers(expected)
    assert [row["image_id"] for row in rows[::4]] == [f"some/{number}.png" for number in range(COUNT)]
    assert set(files) >= {"pooled.parquet", "spectra/original.npz", "spectra/q010-median.npz"}
    assert not (expected.path / ".parts" / "rows").exists()


def test_a_failing_method_is_counted_named_and_marked(expected: Output) -> None:
    failed = [row for row in evaluate.per_image(expected) if row["reason"]]
    assert [(row["image_id"], row["method"], row["quality"]) for row in failed] == [
        (f"some/{COUNT - 1}.png", "median", 10),
        (f"some/{COUNT - 1}.png", "median", 20),
    ]
    assert failed[0]["reason"] == "exit code" and "ended with 1 (too wide for me)" in failed[0]["message"]
    assert expected.manifest.counts == {"images": COUNT, "rows": 4 * COUNT, "failures": 2, "set aside": 0}
    rows = {(row.method, row.quality): row for row in evaluate.rows_of(expected)}
    assert (rows["jpeg", 10].images, rows["jpeg", 10].failures) == (COUNT, 0)
    assert (rows["median", 10].images, rows["median", 10].failures) == (COUNT - 1, 1)
    assert rows["median", 10].value("seconds_per_megapixel") > 0.15 / 0.01


def test_a_command_is_measured_as_what_it_does(expected: Output) -> None:
    kept = evaluate.picture(expected, 0, 10, "median")
    damaged = evaluate.picture(expected, 0, 10, "jpeg")
    assert kept is not None and damaged is not None
    from scipy.ndimage import median_filter

    assert np.array_equal(kept[1:-1, 1:-1], median_filter(damaged, 3)[1:-1, 1:-1])
    pooled = Spectrum.from_bytes(pool.spectrum_file(expected.path, 10, "median").read_bytes())
    blocks = sum(((61 + n) // 8) * ((92 + n) // 8) for n in range(COUNT - 1))
    assert pooled.blocks == blocks, "the image that failed is in no spectrum"


def test_a_metric_declared_here_alone_is_measured_by_workers(
    ray_session: None, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It travels with the task: what it is computed by is this function, which no worker could import."""
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))

    def worst(compared: Comparison) -> float:
        return float(np.abs(compared.original.astype(int) - compared.restored).max())

    about = {"heading": "Worst", "decimals": 1, "legend": "The largest error of a pixel."}
    METRICS.add("worst", Metric(name="worst", better="lower", per_image=worst, **about))
    output = run(EvaluateConfig(methods=("jpeg",), pictures=1), images, tmp_path, 2)
    (row,) = evaluate.rows_of(output)
    original, damaged = (evaluate.picture(output, 0, 10, version) for version in ("original", "jpeg"))
    assert original is not None and damaged is not None
    first = evaluate.per_image(output)[0]
    assert first["worst"] == np.abs(original.astype(int) - damaged).max()
    assert evaluate.figures_of([row])["jpeg/q10/worst"] == row.value("worst") > 0


def test_without_one_usable_image_the_reasons_are_told(ray_session: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_text("words")
    with pytest.raises(InputError, match=r"none of the 1 test images can be measured \(not an image\)"):
        run(EvaluateConfig(methods=("jpeg",)), tmp_path / "in", tmp_path / "store", 1)


DRIVER = """
import sys, json
from pathlib import Path
from ced.cluster import connection
from ced.store.outputs import Store
from ced.store.session import Session
from ced.config import EvaluateConfig
from ced.evaluation import evaluate
given = json.loads(sys.argv[1])
config = EvaluateConfig(methods=tuple(given["methods"]), qualities=(10, 20), pictures=1)
with connection.session("local"):
    print(evaluate.run(config, given["images"], {}, Session(Store(Path(given["root"])))).path)
"""


def driver(config: EvaluateConfig, images: Path, root: Path) -> subprocess.Popen[str]:
    given = json.dumps({"methods": config.methods, "images": str(images), "root": str(root)})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    line = [sys.executable, "-c", DRIVER, given]
    return subprocess.Popen(line, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True)


def test_kill_and_restart(config: EvaluateConfig, images: Path, expected: Output, tmp_path: Path) -> None:
    killed = driver(config, images, tmp_path)
    deadline = time.monotonic() + 120
    while not (found := list(tmp_path.glob("evaluate/*/.parts/rows/part-*.parquet"))):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not list(tmp_path.glob("evaluate/*/manifest.json")), "killed too late to show anything"
    before = pq.read_table(found[0]).to_pylist()
    again = driver(config, images, tmp_path)
    path, _ = again.communicate(timeout=180)
    assert again.returncode == 0
    output = Output(Path(path.strip().splitlines()[-1]), expected.manifest, reused=False)
    assert numbers(output) == numbers(expected)
    wanted = [before[0][name] for name in ("image_id", "quality")]
    kept = [row for row in evaluate.per_image(output) if [row["image_id"], row["quality"]] == wanted]
    assert kept == before, "seconds and all: a finished image was measured again"


# A model that ends the process which asks it where an image is as wide as the last one.
DEADLY = """
import os, signal
import mlflow


class Deadly(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if model_input.shape[-1] == 99:
            os.kill(os.getpid(), signal.SIGSEGV)
        return 255 - model_input


mlflow.models.set_model(Deadly())
"""


def test_a_model_that_ends_its_process_has_failed_there_and_the_job_ends(
    ray_session: None, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.local_uri(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    (tmp_path / "deadly.py").write_text(DEADLY)
    signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype("uint8"), (-1, -1))]))
    artifacts = (tmp_path / "artifacts").as_uri()
    with mlflow.start_run(experiment_id=mlflow.create_experiment("others", artifact_location=artifacts)):
        options = {"signature": signature, "pip_requirements": ["mlflow"]}
        logged = mlflow.pyfunc.log_model(name="deadly", python_model=str(tmp_path / "deadly.py"), **options)
    (tmp_path / "two").mkdir()
    for number in (0, COUNT - 1):
        (tmp_path / "two" / f"{number}.png").write_bytes((images / f"{number}.png").read_bytes())
    config = EvaluateConfig(methods=("jpeg", f"deadly=models:/{logged.model_id}"), pictures=0)
    output = run(config, tmp_path / "two", tmp_path / "store", 1)
    rows = {(row["image_id"], row["method"]): row for row in evaluate.per_image(output)}
    assert {key for key, row in rows.items() if row["reason"]} == {(f"two/{COUNT - 1}.png", "deadly")}
    assert rows[f"two/{COUNT - 1}.png", "deadly"]["reason"] == "crashed"
    assert rows["two/0.png", "deadly"]["psnr"] < 15 < rows["two/0.png", "jpeg"]["psnr"]


def test_the_command_line_from_images_to_every_form_of_the_table(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "in").mkdir()
    for number in range(2):
        (tmp_path / "in" / f"{number}.png").write_bytes((images / f"{number}.png").read_bytes())
    (tmp_path / "in" / "bad.png").write_text("words")
    line = ["evaluate", "--images", str(tmp_path / "in"), "--name", "Mine", "--colour", "rgb", "--quality", "30"]
    line += ["--methods", f"jpeg,given=folder:{tmp_path / 'in'}", "--methods", "c+p=command:cp {input} {output}"]
    line += ["--store", str(tmp_path / "store"), "--report", str(tmp_path / "out")]
    assert main(line) == 0
    told = capsys.readouterr().out
    assert "Mine (RGB)" in told and "given" in told and "\N{INFINITY}" in told
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"results.json", "report.html", "table.md", "table.tex", "table.csv"}
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    rows = {row["method"]: row for row in results["rows"]}
    assert rows["c+p"]["psnr"] == rows["jpeg"]["psnr"] and rows["c+p"]["w1"] == rows["jpeg"]["w1"]
    assert (rows["given"]["psnr"], rows["given"]["ssim"], rows["given"]["w1"]) == (None, 1.0, 0.0)
    assert rows["jpeg"]["intervals"]["psnr"][0] <= rows["jpeg"]["psnr"] <= rows["jpeg"]["intervals"]["psnr"][1]
    assert results["config"]["evaluate"]["methods"][2] == "c+p=command:cp {input} {output}"
    (folder,) = (tmp_path / "store" / "evaluate").iterdir()
    set_aside = pq.read_table(folder / evaluate.QUARANTINE).to_pylist()
    assert [(row["source"], row["reason"]) for row in set_aside] == [("in/bad.png", "not an image")]
    made = [path for stage in ("evaluate", "report") for path in (tmp_path / "store" / stage).rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in made}
    assert main(line) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "the second run has worked again"
    run = told[told.index("MLflow: run ") :].split()[2]
    assert f"MLflow: run {run} of ced" in capsys.readouterr().out, "the second run has told MLflow again"
    client = MlflowClient(tracking.local_uri(tmp_path / "store"))
    found = client.get_run(run)
    assert found.data.metrics["c plusp/q30/psnr"] == rows["c+p"]["psnr"] and "given/q30/psnr" not in found.data.metrics
    assert found.data.params["methods"] == "jpeg,given,c+p" and found.info.status == "FINISHED"
    kept = {one.path for one in client.list_artifacts(run)}
    assert kept >= names | {"per_image.parquet", "pooled.parquet", "quarantine.parquet"}
