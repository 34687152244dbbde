"""One part of examples: its rows, what is set aside, the digests it reports."""

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from ced import decoding, schema
from ced.config import PrepareConfig
from ced.data import prepare
from ced.data.sources import Photograph
from ced.errors import ServiceError
from ced.isolation import Crashed
from ced.store.attempts import Attempts


def part(folder: Path, config: PrepareConfig, *names: str) -> dict[str, object]:
    listed = [Photograph(f"set/{name}", str(folder / name), "") for name in names]
    return prepare.prepare_part(config, 2, str(folder / "out"), {"part": 7, "photographs": listed})()


def test_good_and_bad_photographs_of_one_part(tmp_path: Path) -> None:
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.png")
    (tmp_path / "words.jpg").write_text("words")
    part(tmp_path, PrepareConfig(mode="crops", size=32, quality="10,30"), "words.jpg", "cat.png", "gone.jpg")
    examples = pq.read_table(tmp_path / "out/examples/part-00007.parquet")
    assert examples.schema.equals(schema.EXAMPLES, check_metadata=True)
    assert examples["image_id"].to_pylist() == ["set/cat.png#0"] * 2 + ["set/cat.png#1"] * 2
    assert set(examples["source"].to_pylist()) == {"set/cat.png"}
    assert set(examples["quality"].to_pylist()) <= {10, 30}
    assert set(examples["height"].to_pylist()) == set(examples["width"].to_pylist()) == {32}
    rejected = pq.read_table(tmp_path / "out/quarantine/part-00007.parquet").to_pylist()
    assert [(row["source"], row["reason"]) for row in rejected] == [
        ("set/words.jpg", "not an image"),
        ("set/gone.jpg", "unreadable"),
    ]
    assert str(tmp_path) not in json.dumps(rejected), "a path of this machine"


def test_a_part_reports_the_digests_of_what_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_text("words")
    digests = part(tmp_path, PrepareConfig(), "words.jpg")
    files = {name: hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() for name in digests}
    assert digests == files
    assert set(files) == {"examples/part-00007.parquet", "quarantine/part-00007.parquet"}
    assert pq.read_table(tmp_path / "out/examples/part-00007.parquet").schema.equals(schema.EXAMPLES)


def test_a_file_beyond_the_limit_is_not_even_read(tmp_path: Path) -> None:
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.png")
    part(tmp_path, PrepareConfig(max_bytes=1000), "cat.png")
    (row,) = pq.read_table(tmp_path / "out/quarantine/part-00007.parquet").to_pylist()
    assert row["reason"] == "too large"


def test_a_part_that_was_begun_before_is_decoded_in_other_processes_to_the_same_bytes(tmp_path: Path) -> None:
    config = PrepareConfig(size=96)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        Image.fromarray(data.chelsea()).save(tmp_path / folder / "cat.png")
    Attempts(tmp_path / "two" / "out" / ".begun" / "7")
    assert part(tmp_path / "one", config, "cat.png") == part(tmp_path / "two", config, "cat.png")
    assert not list(tmp_path.rglob(".begun/*"))


def test_after_a_workers_death_what_ends_its_own_process_twice_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.png")
    calls: list[object] = []

    def crash(work: object, seconds: float) -> None:
        calls.append(work)
        raise Crashed("SIGSEGV")

    monkeypatch.setattr(decoding, "run_isolated", crash)
    part(tmp_path, PrepareConfig(), "cat.png")
    assert not calls and not (tmp_path / "out/quarantine").exists()
    (tmp_path / "out/examples/part-00007.parquet").unlink()
    Attempts(tmp_path / "out" / ".begun" / "7")
    part(tmp_path, PrepareConfig(), "cat.png")
    (row,) = pq.read_table(tmp_path / "out/quarantine/part-00007.parquet").to_pylist()
    assert row == {
        "source": "set/cat.png",
        "reason": "crashed",
        "message": "decoding it ended the process (SIGSEGV)",
    }
    assert len(calls) == 2


def test_workers_that_keep_dying_of_a_part_end_the_job_in_one_line(tmp_path: Path) -> None:
    for _ in range(8):
        Attempts(tmp_path / "out" / ".begun" / "7")
    with pytest.raises(ServiceError, match=r"Ray lost 8 workers at the same photographs") as caught:
        part(tmp_path, PrepareConfig(), "cat.png")
    assert "\n" not in str(caught.value)
