"""The quickstart, made small, as a user runs it: killed, started again, run once more, changed a little."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.small import NETWORK

SMALL = (
    "prepare.size=32",
    "prepare.crops=4",
    *NETWORK,
    "classifier.steps=12",
    "autoencoder.steps=12",
    "classifier.checkpoint_every=4",
    "autoencoder.checkpoint_every=4",
    "autoencoder.block_effect=0.3",
    "restore.temperature=0.05",
)


def command(store: Path, *more: str) -> list[str]:
    settings = [argument for setting in SMALL for argument in ("--set", setting)]
    return [sys.executable, "-m", "ced", "run", "quickstart", "--store", str(store), *settings, *more]


def finished(store: Path, *more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(store, *more), capture_output=True, text=True, timeout=580, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def manifests(store: Path) -> dict[str, int]:
    return {p.relative_to(store).as_posix(): p.stat().st_mtime_ns for p in store.glob("*/*/manifest.json")}


def contents(store: Path) -> dict[str, dict[str, str]]:
    """The digests of every stage whose outcome must not depend on how often it was started."""
    exact = ("prepare", "edges", "label", "train-classifier", "train-ed", "train-ced-est", "train-ced-gt")
    found = {stage: json.loads(next(store.glob(f"{stage}/*/manifest.json")).read_text())["parts"] for stage in exact}
    return {stage: {n: d for n, d in parts.items() if n != "metrics.jsonl"} for stage, parts in found.items()}


def results(store: Path) -> list[dict[str, object]]:
    """The rows of the table, without what the clock says."""
    (path,) = store.glob("report/*/results.json")
    rows: list[dict[str, object]] = json.loads(path.read_text())["rows"]
    return [{key: value for key, value in row.items() if key != "seconds_per_megapixel"} for row in rows]


def temperature(store: Path, method: str) -> float:
    """At which the restorer of a method reads q-hat off."""
    path = next(store.glob(f"restorer-{method}/*/restorer.json"))
    return float(json.loads(path.read_text()).get("temperature", 0.0))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose run was killed by -9 in the middle of training ED, and then finished."""
    store = tmp_path_factory.mktemp("killed") / "store"
    with open(store.parent / "log", "w") as log:
        run = subprocess.Popen(command(store), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(store.glob("train-ed/*/checkpoint.pt")):
        assert run.poll() is None, (store.parent / "log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    before = manifests(store)
    assert any(name.startswith("train-classifier/") for name in before)
    assert not any(name.startswith("train-ed/") for name in before)
    finished(store)
    after = manifests(store)
    assert {name: after[name] for name in before} == before, "a finished stage was made again"
    return store


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    done = finished(store, "--report", str(store.parent / "report"))
    (store.parent / "stdout").write_text(done.stdout)
    (store.parent / "stderr").write_text(done.stderr)
    return store


def test_a_killed_run_ends_with_the_same_results(killed: Path, undisturbed: Path) -> None:
    assert contents(killed) == contents(undisturbed)
    assert results(killed) == results(undisturbed)


def test_the_terminal_shows_the_table_and_what_to_do_next(undisturbed: Path) -> None:
    told = (undisturbed.parent / "stdout").read_text()
    assert [name for name in ("JPEG", "ED", "CED-EST", "CED-GT") if name not in told] == []
    assert "report.html" in told
    assert told.count("\n  ced ") + told.count("\n  make ") == 3


def test_prefect_keeps_what_became_of_the_photographs_and_the_table(undisturbed: Path) -> None:
    """In the run's own database: the first is there before anything is trained."""
    with contextlib.closing(sqlite3.connect(undisturbed / "prefect" / "prefect.db")) as database:
        kept = dict(database.execute("SELECT key, data FROM artifact ORDER BY created"))
    assert list(kept) == ["data", "results"]
    assert "12 photographs = 12 prepared + 0 set aside; 96 examples in" in kept["data"]
    assert "12 photographs, 12 prepared, 0 quarantined" in kept["results"]


def test_only_ced_speaks(undisturbed: Path) -> None:
    """Services log lines of their own; a run tells what they do in one voice."""
    lines = (undisturbed.parent / "stderr").read_text().splitlines()
    assert any(line.startswith("train-ced-gt: done") for line in lines)
    assert [line for line in lines if " INFO " in line or " WARNING " in line or "mlflow." in line] == []


def test_results_json_has_the_promised_shape(undisturbed: Path) -> None:
    stored = json.loads((undisturbed.parent / "report" / "results.json").read_text())
    assert set(stored) == {"versions", "config", "rows"}
    assert [row["method"] for row in stored["rows"]] == ["jpeg", "ed", "ced-est", "ced-gt", "released"]
    keys = {"dataset", "quality", "colour", "method", "images", "psnr", "psnr_b", "ssim", "bef_mse_bound"}
    more = {"ssim_gaussian", "w1", "energy", "seconds_per_megapixel", "bef_mse", "failures"}
    assert all(set(row) >= keys | more for row in stored["rows"])
    assert {(row["images"], row["failures"]) for row in stored["rows"]} == {(2, 0)}
    rows = pq.read_table(next(undisturbed.glob("evaluate/*/per_image.parquet"))).to_pylist()
    for row in stored["rows"]:
        mean = sum(one["psnr"] for one in rows if one["method"] == row["method"]) / 2
        assert row["psnr"] == pytest.approx(mean)


def test_the_block_effect_asks_for_the_classifier_and_the_temperature_reaches_the_restorer(undisturbed: Path) -> None:
    inputs = [json.loads(path.read_text())["inputs"] for path in undisturbed.glob("train-ced-gt/*/manifest.json")]
    assert all("classifier" in given for given in inputs) and inputs
    assert (temperature(undisturbed, "ced-gt"), temperature(undisturbed, "ced-est")) == (0.05, 0.0)


def test_the_report_is_one_self_contained_page(undisturbed: Path) -> None:
    references: list[str] = []

    class Collector(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            references.extend(value or "" for name, value in attributes if name in ("src", "href"))

    page = (undisturbed.parent / "report" / "report.html").read_text()
    Collector().feed(page)
    assert any(reference.startswith("data:image/png") for reference in references)
    assert not [reference for reference in references if reference.startswith(("http", "//", "/", "file"))]


def test_a_second_run_does_no_work_and_is_quick(undisturbed: Path) -> None:
    before = manifests(undisturbed)
    started = time.monotonic()
    done = finished(undisturbed)
    assert time.monotonic() - started < 30
    assert manifests(undisturbed) == before
    assert done.stderr.count("already done") == len(before)
    assert " done in " not in done.stderr


def test_a_changed_setting_redoes_only_what_depends_on_it(undisturbed: Path) -> None:
    before = manifests(undisturbed)
    finished(undisturbed, "--set", "evaluate.pictures=1")
    made = {name.split("/")[0] for name in manifests(undisturbed).keys() - before.keys()}
    assert made == {"evaluate", "report", "publish"}


def test_the_champion_restores_a_photograph(undisturbed: Path, tmp_path: Path) -> None:
    from PIL import Image
    from skimage import data

    Image.fromarray(data.chelsea()).save(tmp_path / "photo.jpg", quality=10)
    arguments = ["restore", str(tmp_path / "photo.jpg"), "-o", str(tmp_path / "photo.png"), "--store", str(undisturbed)]
    subprocess.run([sys.executable, "-m", "ced", *arguments], check=True, timeout=120)
    with Image.open(tmp_path / "photo.png") as image:
        assert (image.format, image.size) == ("PNG", (451, 300))


def test_mistakes_end_with_exit_code_2_before_any_work(tmp_path: Path) -> None:
    for arguments in (["--images", str(tmp_path / "gone")], ["--test-images", str(tmp_path)], ["--set", "x.y=1"]):
        done = subprocess.run(command(tmp_path / "store", *arguments), capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stderr.startswith("ced: error: ")
    assert not list(tmp_path.glob("store/prepare"))
