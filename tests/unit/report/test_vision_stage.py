"""The files of Table 3: they say the same, and are found again."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ced import schema
from ced.report import vision_stage
from ced.store.outputs import Making, Output, Store, make, write_bytes, write_table
from ced.store.session import Session
from ced.vision.evaluate import Sources

SOURCES = Sources("voc", "", "models/d.onnx", "models/s.tflite")


def row(image: str, method: str, right: bool, colour: str = "rgb") -> dict:
    """An image with a dog, a difficult dog and a cat; the dog is found, or taken for a cat."""
    confusion = np.zeros((21, 21), np.int64)
    confusion[0, 0], confusion[12, 12 if right else 8] = 90, 10
    return {
        "dataset": "voc",
        "image_id": image,
        "method": method,
        "quality": 0 if method == "original" else 10,
        "colour": colour,
        "height": 10,
        "width": 10,
        "boxes": [[0, 0, 4, 4]],
        "scores": [0.9],
        "classes": ["dog" if right else "cat"],
        "true_boxes": [[0, 0, 4, 4], [5, 5, 9, 9], [0, 6, 3, 9]],
        "true_classes": ["dog", "dog", "cat"],
        "true_difficult": [False, True, False],
        "confusion": confusion.tobytes(),
        "reason": "",
        "message": "",
    }


ROWS = [row("a", "original", True), row("a", "jpeg", True), row("b", "original", True), row("b", "jpeg", False)]
TABLE = pa.Table.from_pylist(ROWS, schema.VISION)


@pytest.fixture
def evaluated(tmp_path: Path) -> Output:
    def produce(making: Making) -> None:
        write_table(making.folder / "per_image.parquet", TABLE)
        write_bytes(making.folder / "pictures" / "00000-rgb-q010-jpeg.png", b"png")

        making.counts.update(images=2, objects=4)

    told = {"fit": "native", "through": "", "dataset": "voc"}
    return make(Store(tmp_path / "made", flat=True), "evaluate-vision", told, {"images": "0123"}, produce)


def test_the_files_say_the_same(evaluated: Output, tmp_path: Path) -> None:
    reported = vision_stage.run(SOURCES, evaluated, Session(Store(tmp_path / "report", flat=True)))
    results = json.loads((reported.path / "results.json").read_text())
    assert [one["map"] for one in results["rows"]] == [0.5, pytest.approx(3 / 11)]
    assert results["rows"][0]["ap"]["cow"] is None
    assert results["config"] == {
        "fit": "native",
        "through": "",
        "dataset": "voc",
        "detector": "d.onnx",
        "segmenter": "s.tflite",
        "inputs": {"images": "0123"},
    }
    assert {"ced", "onnxruntime", "ai-edge-litert"} <= set(results["versions"])
    assert next(csv.DictReader((reported.path / "table.csv").open()))["map"] == "0.5"
    assert "| Original | 0.500 | 0.500 | 1.000 |" in (reported.path / "table.md").read_text()
    assert r"Original & 0.500 & 0.500 & 1.000 \\" in (reported.path / "table.tex").read_text()
    assert (reported.path / "pictures" / "00000-rgb-q010-jpeg.png").read_bytes() == b"png"
    assert reported.manifest.counts == {"rows": 2, "pictures": 1}
    page = (reported.path / "report.html").read_text()
    assert "0.500" in page and "cG5n" in page, "the table, and the drawing embedded"
    assert "4 objects" in page and "d.onnx" in page


def test_a_finished_report_is_found(evaluated: Output, tmp_path: Path) -> None:
    first = vision_stage.run(SOURCES, evaluated, Session(Store(tmp_path / "report", flat=True)))
    again = vision_stage.run(SOURCES, evaluated, Session(Store(tmp_path / "report", flat=True)))
    assert (first.reused, again.reused) == (False, True)
