"""prepare, edges and label on a real Ray: exact, the same bytes however they are made, nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ced import schema
from ced.config import ClassesConfig, PrepareConfig
from ced.core import jpeg
from ced.core.frequency import coefficients
from ced.core.images import REASONS, luminance
from ced.data import edges, label, prepare
from ced.errors import InputError
from ced.store.outputs import Output, Store
from ced.store.session import Session

pytestmark = pytest.mark.usefixtures("ray_session")

CONFIG = PrepareConfig(mode="crops", size=64, crops=5, photographs_per_part=2)
BAD = 13  # nine cut files, empty, text, bomb, dangling link


def run_all(
    source: Path, root: Path, config: PrepareConfig = CONFIG, workers: int = 0
) -> tuple[Output, Output, Output]:
    store = Store(root)
    prepared = prepare.run(config, (str(source),), Session(store, workers))
    classes = edges.run(ClassesConfig(), prepared, Session(store, workers))
    return prepared, classes, label.run(prepared, classes, Session(store, workers))


def rows(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])


@pytest.fixture(scope="module")
def made(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Output, Output, Output]:
    return run_all(photographs, tmp_path_factory.mktemp("made"))


def test_plain_pyarrow_reads_what_the_schema_promises(made: tuple[Output, Output, Output]) -> None:
    prepared, _, labelled = made
    examples = rows(prepared.path / "examples")
    assert examples.schema.equals(schema.EXAMPLES)
    assert rows(labelled.path).schema.equals(schema.LABELS)
    assert label.examples_of(labelled) == prepared.path / "examples"
    assert examples.num_rows == prepared.manifest.counts["examples"] == 6 * 5 * 2
    for row in examples.to_pylist()[::7]:
        decoded = jpeg.decode(row["jpeg"])
        assert decoded.tobytes() == row["input"]
        assert len(row["target"]) == row["height"] * row["width"] == 64 * 64
        assert row["image_id"].startswith(row["source"])


def test_flips_are_flips(made: tuple[Output, Output, Output]) -> None:
    examples = rows(made[0].path / "examples").to_pylist()
    for plain, flipped in zip(examples[::2], examples[1::2], strict=True):
        assert (plain["flip"], flipped["flip"], plain["image_id"]) == (False, True, flipped["image_id"])
        target, mirrored = (np.frombuffer(row["target"], np.uint8).reshape(64, 64) for row in (plain, flipped))
        assert np.array_equal(target[:, ::-1], mirrored)


def test_edges_are_numpys_over_the_whole_training_set(made: tuple[Output, Output, Output]) -> None:
    prepared, classes, _ = made
    targets = [np.frombuffer(t.as_py(), np.uint8).reshape(64, 64) for t in rows(prepared.path / "examples")["target"]]
    q = coefficients(np.stack(targets)).transpose(1, 0, 2, 3).reshape(16, -1)
    expected = np.quantile(q, np.arange(1, 7) / 7, method="inverted_cdf", axis=1).T
    found = edges.load(classes)
    assert np.array_equal(found.edges, expected)
    assert found.counts.sum() == q.size == classes.manifest.counts["coefficients"]


def test_stored_labels_are_those_computed_from_the_target(made: tuple[Output, Output, Output]) -> None:
    prepared, classes, labelled = made
    table = edges.load(classes)
    examples = rows(prepared.path / "examples").to_pylist()
    for example, row in zip(examples, rows(labelled.path).to_pylist(), strict=True):
        assert (example["image_id"], example["flip"]) == (row["image_id"], row["flip"])
        q = coefficients(np.frombuffer(example["target"], np.uint8).reshape(64, 64))
        expected = np.stack([np.searchsorted(table.edges[c], q[c], side="left") for c in range(16)])
        assert np.array_equal(np.frombuffer(row["labels"], np.uint8).reshape(16, 16, 16), expected)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_bytes_on_one_worker_or_more(
    photographs: Path, made: tuple[Output, Output, Output], tmp_path: Path, workers: int
) -> None:
    again = run_all(photographs, tmp_path, workers=workers)
    assert [output.manifest.parts for output in again] == [output.manifest.parts for output in made]


def test_finished_stages_are_found(photographs: Path, made: tuple[Output, Output, Output]) -> None:
    again = run_all(photographs, made[0].path.parents[1])
    assert all(output.reused for output in again)


def test_a_changed_setting_redoes_what_depends_on_it(photographs: Path, made: tuple[Output, Output, Output]) -> None:
    store = Store(made[0].path.parents[1])
    prepared = prepare.run(CONFIG, (str(photographs),), Session(store))
    classes = edges.run(ClassesConfig(count=5), prepared, Session(store))
    assert (prepared.reused, classes.reused) == (True, False)
    assert edges.load(classes).count == 5


def test_rgb_examples_are_labelled_by_their_luminance(photographs: Path, tmp_path: Path) -> None:
    config = PrepareConfig(mode="resize", size=32, colour="rgb", photographs_per_part=3)
    prepared, classes, labelled = run_all(photographs, tmp_path, config)
    row = rows(prepared.path / "examples").to_pylist()[0] | rows(labelled.path).to_pylist()[0]
    target = np.frombuffer(row["target"], np.uint8).reshape(3, 32, 32)
    expected = edges.load(classes).label(coefficients(luminance(target.transpose(1, 2, 0))))
    assert row["labels"] == expected.tobytes()


def test_bad_files_are_set_aside_and_the_counts_add_up(damaged: Path, tmp_path: Path) -> None:
    output = prepare.run(PrepareConfig(size=32, photographs_per_part=4), (str(damaged),), Session(Store(tmp_path)))
    counts = output.manifest.counts
    assert counts["photographs"] == counts["prepared"] + counts["quarantined"] == 6 + BAD
    assert counts["quarantined"] == BAD
    set_aside = {row["source"].split("/")[-1]: row for row in prepare.quarantined(output)}
    assert set_aside["empty.jpg"]["reason"] == "empty"
    assert set_aside["text.jpg"]["reason"] == "not an image"
    assert set_aside["bomb.png"]["reason"] == "too large"
    assert set_aside["dangling.jpg"]["reason"] == "unreadable"
    assert {set_aside[f"cut-{tenth}.jpg"]["reason"] for tenth in range(2, 10)} == {"truncated"}
    assert all(row["reason"] in REASONS for row in set_aside.values())


def test_photographs_of_which_none_can_be_used_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "set" / name).write_text("words")
    line = r"none of the 2 photographs can be used \(2 not an image\), such as set/a.jpg: no known image format; see "
    with pytest.raises(InputError, match=line):
        prepare.run(PrepareConfig(), (str(tmp_path / "set"),), Session(Store(tmp_path / "store")))


def test_photographs_that_could_not_be_used_for_a_while_are_tried_again(photographs: Path, tmp_path: Path) -> None:
    """What cannot be told from outside (a disk's error, permissions): here by bytes of the same size and time."""
    good = (photographs / "cat.png").read_bytes()
    path = tmp_path / "set" / "cat.png"
    path.parent.mkdir()
    path.write_bytes(bytes(len(good)))
    os.utime(path, (1, 1))
    config = PrepareConfig(size=32)
    with pytest.raises(InputError, match=r"none of the 1 photographs can be used \(1 not an image\)"):
        prepare.run(config, (str(path.parent),), Session(Store(tmp_path)))
    path.write_bytes(good)
    os.utime(path, (1, 1))
    output = prepare.run(config, (str(path.parent),), Session(Store(tmp_path)))
    assert output.manifest.counts == {"photographs": 1, "prepared": 1, "quarantined": 0, "examples": 2}
    assert list(output.manifest.parts) == ["examples/part-00000.parquet"]


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    photographs: Path, made: tuple[Output, Output, Output], tmp_path: Path
) -> None:
    """kill -9 of the driver as soon as its first part is there; then the same again."""
    script = f"""
from pathlib import Path
from ced.cluster import connection
from ced.store.outputs import Store
from ced.store.session import Session
from ced.config import PrepareConfig
from ced.data import prepare
config = PrepareConfig(mode="crops", size=64, crops=5, photographs_per_part=2)
with connection.session("local"):
    prepare.run(config, ({str(photographs)!r},), Session(Store(Path({str(tmp_path)!r})), workers=1))
"""
    driver = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("prepare/*/examples/part-*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("prepare/*/examples/part-*.parquet")}
    assert not list(tmp_path.glob("prepare/*/manifest.json"))
    output = prepare.run(CONFIG, (str(photographs),), Session(Store(tmp_path)))
    assert output.manifest.parts == made[0].manifest.parts
    assert output.manifest.counts == made[0].manifest.counts
    assert {path: path.stat().st_mtime_ns for path in before} == before
