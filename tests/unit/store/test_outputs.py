"""Outputs are published whole, found again by fingerprint, and never mixed."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ced.errors import FormatError, OutputError
from ced.store import finished, outputs
from ced.store.outputs import Making, Store, make, read_manifest, write_bytes, write_table


def writing(name: str, text: str = "text"):
    def produce(making: Making) -> None:
        outputs.write_text(making.folder / name, text)
        making.counts["files"] = 1

    return produce


def refuse(making: Making) -> None:
    raise AssertionError("made a second time")


def test_an_output_is_made_once(tmp_path: Path) -> None:
    first = make(Store(tmp_path), "stage", {"a": 1}, {"in": "x"}, writing("part"))
    second = make(Store(tmp_path), "stage", {"a": 1}, {"in": "x"}, refuse)
    assert (first.reused, second.reused) == (False, True)
    assert first.path == second.path
    assert first.manifest == second.manifest
    assert second.manifest.counts == {"files": 1}


@pytest.mark.parametrize(("config", "inputs"), [({"a": 2}, {"in": "x"}), ({"a": 1}, {"in": "y"})])
def test_another_configuration_or_input_is_another_output(tmp_path: Path, config: dict, inputs: dict) -> None:
    first = make(Store(tmp_path), "stage", {"a": 1}, {"in": "x"}, writing("part"))
    other = make(Store(tmp_path), "stage", config, inputs, writing("part", "other"))
    assert other.path != first.path
    assert other.manifest.content != first.manifest.content


def test_content_depends_on_the_bytes_alone(tmp_path: Path) -> None:
    first = make(Store(tmp_path), "stage", {"a": 1}, {}, writing("part"))
    second = make(Store(tmp_path), "stage", {"a": 2}, {}, writing("part"))
    assert first.manifest.content == second.manifest.content


def test_the_manifest_states_each_part_but_no_scratch(tmp_path: Path) -> None:
    def produce(making: Making) -> None:
        writing("sub/part")(making)
        writing(".scratch/part")(making)

    output = make(Store(tmp_path), "stage", {}, {}, produce)
    assert output.manifest.parts == {"sub/part": outputs.sha256(output.path / "sub" / "part")}


def test_a_failed_making_leaves_its_parts_and_is_continued(tmp_path: Path) -> None:
    def fail(making: Making) -> None:
        writing("first")(making)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        make(Store(tmp_path), "stage", {}, {}, fail)

    def go_on(making: Making) -> None:
        assert (making.folder / "first").exists()
        writing("second")(making)

    assert set(make(Store(tmp_path), "stage", {}, {}, go_on).manifest.parts) == {"first", "second"}


def test_a_folder_of_ones_own_refuses_another_configuration(tmp_path: Path) -> None:
    make(Store(tmp_path, flat=True), "stage", {"a": 1}, {}, writing("part"))
    assert make(Store(tmp_path, flat=True), "stage", {"a": 1}, {}, refuse).reused
    with pytest.raises(OutputError, match=r"output of another configuration \(a=1, not 2\); choose another folder"):
        make(Store(tmp_path, flat=True), "stage", {"a": 2}, {}, refuse)


def test_what_is_asked_for_otherwise_is_named(tmp_path: Path) -> None:
    make(
        Store(tmp_path, flat=True),
        "stage",
        {"a": 1, "b": "x", "c": 0},
        {"photographs": "x", "classes": "y"},
        writing("part"),
    )
    with pytest.raises(OutputError, match=r"configuration \(a=1, not 2; b=x, not y; other photographs\); choose"):
        make(
            Store(tmp_path, flat=True),
            "stage",
            {"a": 2, "b": "y", "c": 0},
            {"photographs": "z", "classes": "y"},
            refuse,
        )


@pytest.mark.parametrize("name", ["part-00000.parquet", "examples/part-00000.parquet", "setup.py"])
def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / "stage" / name, b"precious")
    write_bytes(tmp_path / "stage" / ".draft.tmp", b"precious")
    with pytest.raises(OutputError, match=rf"stage holds something else already \({name.split('/')[0]}\); choose"):
        make(Store(tmp_path, flat=True), "stage", {"a": 1}, {}, writing("part"))
    left = {path.name for path in (tmp_path / "stage").rglob("*") if path.is_file()}
    assert left == {Path(name).name, ".draft.tmp", ".lock"}


def test_what_differs_inside_a_section_is_told_by_its_dotted_name(tmp_path: Path) -> None:
    config = {"model": "ed", "network": {"width": 32, "stages": 2}}
    make(Store(tmp_path, flat=True), "stage", config, {}, writing("part"))
    with pytest.raises(OutputError, match=r"another configuration \(network.stages=2, not 3\); choose another folder"):
        make(Store(tmp_path, flat=True), "stage", {"model": "ed", "network": {"width": 32, "stages": 3}}, {}, refuse)


def test_an_unfinished_folder_refuses_another_configuration(tmp_path: Path) -> None:
    def fail(making: Making) -> None:
        write_bytes(making.folder / "part", b"half of it")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make(Store(tmp_path, flat=True), "stage", {"a": 1}, {}, fail)
    with pytest.raises(OutputError, match="unfinished output of another configuration; remove it, or name another"):
        make(Store(tmp_path, flat=True), "stage", {"a": 2}, {}, refuse)


def test_a_folder_where_nothing_came_of_a_configuration_is_free_for_another(tmp_path: Path) -> None:
    def fail(making: Making) -> None:
        write_bytes(making.folder / ".scratch", b"x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make(Store(tmp_path, flat=True), "stage", {"a": 1}, {}, fail)
    made = make(Store(tmp_path, flat=True), "stage", {"a": 2}, {}, writing("part"))
    assert made.manifest.config == {"a": 2}
    with pytest.raises(OutputError, match="output of another configuration"):
        make(Store(tmp_path, flat=True), "stage", {"a": 1}, {}, refuse)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', '{"format": "ced-manifest", "version": 1}'])
def test_a_manifest_of_another_format_is_refused_with_its_cure(tmp_path: Path, text: str) -> None:
    (tmp_path / outputs.MANIFEST).write_text(text)
    with pytest.raises(FormatError, match=f"remove {tmp_path} to have it made again"):
        read_manifest(tmp_path)


def test_no_manifest_is_no_output(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "nowhere") is None


def test_a_path_through_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "part", b"")
    with pytest.raises(OutputError, match="cannot be written"):
        make(Store(tmp_path / "file"), "stage", {}, {}, refuse)


def test_writing_over_a_folder_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "name", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_a_full_disk_leaves_the_former_file(tmp_path: Path) -> None:
    """A real limit of the kernel on the size of files stands in for a disk that is full."""
    script = """
import resource, signal, sys
from pathlib import Path
from ced.store.outputs import write_bytes
from ced.errors import OutputError
path = Path(sys.argv[1])
write_bytes(path, b"former")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(path, bytes(100_000))
except OutputError as error:
    print(error)
"""
    path = tmp_path / "part"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "b": [b"x", b"y"]})
    write_table(tmp_path / "one", table)
    write_table(tmp_path / "two", pa.concat_tables([table.slice(0, 1), table.slice(1)]).combine_chunks())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert pq.read_table(tmp_path / "one").equals(table)


def _hold(root: Path, ready) -> None:
    def produce(making: Making) -> None:
        ready.set()
        time.sleep(60)

    make(Store(root), "stage", {}, {}, produce)


def test_two_runs_do_not_write_one_output_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(OutputError, match="being written by another run"):
        make(Store(tmp_path), "stage", {}, {}, refuse)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(30)
    assert not make(Store(tmp_path), "stage", {}, {}, writing("part")).reused


MAKE = """
import sys
from pathlib import Path
from ced.errors import OutputError
from ced.store.outputs import Store, make, write_bytes
try:
    make(Store(Path(sys.argv[1])), "stage", {}, {}, lambda making: write_bytes(making.folder / "part", b"one"))
except OutputError as error:
    print(str(error).replace(sys.argv[1], "STORE"))
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace makes the calls fail")
@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("flock:error=ENOLCK", "cannot be locked (No locks available); name another folder"),
        *((f"fsync:error=EIO:when={n}", "cannot be written (Input/output error); make room") for n in range(1, 8)),
    ],
)
def test_a_disk_that_fails_is_one_line(tmp_path: Path, call: str, line: str) -> None:
    strace = ["strace", "-f", "-qq", "-o", str(tmp_path / "calls"), "-e", "signal=none", "-e", f"inject={call}"]
    command = [*strace, "-e", f"trace={call.partition(':')[0]}", sys.executable, "-c", MAKE, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert line in done.stdout
    assert "INJECTED" in (tmp_path / "calls").read_text()


def test_manifests_are_readable_json(tmp_path: Path) -> None:
    output = make(Store(tmp_path), "stage", {"size": 96}, {"in": "x"}, writing("part"))
    stored = json.loads((output.path / outputs.MANIFEST).read_text())
    assert stored["format"] == "ced-manifest"
    assert stored["config"] == {"size": 96}
    assert stored["fingerprint"] == output.path.name


def test_visible_files_are_those_a_manifest_states(pristine: Path) -> None:
    for output in finished.find([pristine]):
        assert outputs.visible(output.path) == sorted(output.manifest.parts)


def test_parts_are_listed_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (100, 3, 20):
        outputs.write_bytes(tmp_path / outputs.part_name(number), b"x")
    outputs.write_bytes(tmp_path / "quarantine.parquet", b"x")
    assert [path.name for path in outputs.parts_in(tmp_path)] == [outputs.part_name(n) for n in (3, 20, 100)]
    assert outputs.parts_in(tmp_path / "nowhere") == []
