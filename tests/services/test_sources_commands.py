"""One folder as people have them, through restore, prepare and evaluate: the same photographs, and the same line."""

import io
import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from ced.cli.main import main
from ced.data.prepare import EXAMPLES

TAKEN = ["browser.jfif", "cat.jpg", "recovered", "social.JPG_large"]
LEFT = (
    "passed over 1 file of another kind (notes.txt), 1 hidden file or folder (._cat.jpg), 1 archive beside photographs"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stream = io.BytesIO()
    Image.fromarray(data.chelsea()[60:156, 100:196]).save(stream, "JPEG", quality=20)
    folder = tmp_path_factory.mktemp("some") / "photos"
    folder.mkdir()
    for name in [*TAKEN, "._cat.jpg", "backup.zip"]:
        (folder / name).write_bytes(stream.getvalue())
    (folder / "notes.txt").write_text("words")
    return folder


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def test_restore(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ced")
    assert main(["restore", str(folder), "-o", str(tmp_path / "out")]) == 0
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_file()]) == len(TAKEN)
    assert [line for line in caplog.messages if LEFT in line and line.startswith(f"{folder}: ")]


def test_prepare(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ced")
    line = ["prepare", "--images", str(folder), "-o", str(tmp_path / "out"), "--set", "prepare.size=32"]
    assert main(line) == 0
    rows = pq.read_table(tmp_path / "out" / "prepare" / EXAMPLES, columns=["source"]).to_pylist()
    assert sorted({row["source"] for row in rows}) == [f"photos/{name}" for name in TAKEN]
    assert sum(LEFT in message for message in caplog.messages) == 1


def test_evaluate_with_wildcards(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The data set is called after the folder; what does not match is not spoken of."""
    caplog.set_level(logging.INFO, "ced")
    line = ["evaluate", "--images", f"{folder}/[b-s]*", "--methods", "jpeg", "--store", str(tmp_path)]
    assert main(line) == 0
    (output,) = (tmp_path / "evaluate").iterdir()
    table = pq.read_table(output / "per_image.parquet")
    assert sorted(set(table["image_id"].to_pylist())) == [f"photos/{name}" for name in TAKEN]
    assert set(table["dataset"].to_pylist()) == {"photos"}
    left = [message for message in caplog.messages if "passed over" in message]
    assert len(left) == 1 and "(backup.zip)" in left[0] and "(notes.txt)" in left[0] and "hidden" not in left[0]
