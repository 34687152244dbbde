"""A metric, a source of photographs and a kind of method of docs/extending.md, in an evaluation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter
from skimage import data

from ced.config import EvaluateConfig, PrepareConfig
from ced.core.images import Rejected, luminance
from ced.core.jpeg import decode, encode
from ced.data import prepare, sources
from ced.data.sources import Photograph
from ced.errors import ConfigError, InputError
from ced.evaluation import evaluate, metrics
from ced.evaluation.metrics import METRICS
from ced.methods import KINDS, find, parse
from ced.report import results, tables
from ced.report.html import table_section
from ced.store.session import Session

JPEG_ALONE = EvaluateConfig(methods=("jpeg",), pictures=0)


@pytest.mark.usefixtures("tasks_here")
def test_a_metric_is_in_everything_that_shows_figures(
    page: Any, images: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = evaluate.run(JPEG_ALONE, str(images), {}, session)
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    page.added_to(*page.blocks("A metric"))
    output = evaluate.run(JPEG_ALONE, str(images), {}, session)
    assert output.path != before.path, "measured again"

    luma = luminance(data.chelsea()[60:132, 100:204])
    expected = float(np.abs(luma.astype(int) - decode(encode(luma, 10))).max())
    assert [row["worst"] for row in evaluate.per_image(output)] == [expected]
    rows = evaluate.rows_of(output)
    assert rows[0].value("worst") == expected and rows[0].intervals["worst"] == (expected, expected)
    assert evaluate.figures_of(rows)["jpeg/q10/worst"] == expected, "MLflow's name"
    assert metrics.gate("worst").beats(expected - 1, expected)

    stored = json.loads(results.results_json(rows, {}, {}))["rows"][0]
    assert stored["worst"] == expected and stored["intervals"]["worst"] == [expected, expected]
    assert "worst_low" in results.sheet(rows)
    for table in (tables.terminal(rows, 250), tables.markdown(rows), tables.latex(rows), table_section(rows)):
        assert "Worst" in table and f"{expected:.1f}" in table
    assert "The largest error of a single pixel" in table_section(rows)


# A source of photographs


@pytest.fixture
def photographs(page: Any, tmp_path: Path) -> Path:
    """Three photographs in an array, of a source that the page declares."""
    file, line = page.blocks("A source of photographs")
    page.add_line(sources.KINDS, line)
    page.new_file(file)
    pictures = np.stack([np.full((40, 40, 3), gray, np.uint8) for gray in (0, 100, 200)])
    np.save(tmp_path / "photographs.npy", pictures)
    return tmp_path / "photographs.npy"


@pytest.mark.usefixtures("tasks_here")
def test_a_source_is_prepared_and_evaluated(photographs: Path, session: Session) -> None:
    output = prepare.run(PrepareConfig(size=32, flip=False), (str(photographs),), session)
    counts = output.manifest.counts
    assert (counts["photographs"], counts["prepared"], counts["examples"]) == (3, 3, 3)
    examples = pq.read_table(output.path / prepare.EXAMPLES).to_pylist()
    assert [row["source"] for row in examples] == [f"photographs.npy/{number}.png" for number in range(3)]
    assert [row["target"][0] for row in examples] == [16, 102, 188], "luminance"
    (row,) = evaluate.rows_of(evaluate.run(JPEG_ALONE, str(photographs), {}, session))
    assert (row.dataset, row.images) == ("photographs.npy", 3)


def test_a_source_says_what_is_wrong_with_it(photographs: Path, tmp_path: Path) -> None:
    first, *_ = sources.find((str(photographs),))
    assert [photo.name for photo in sources.find((str(photographs),), "[12].png")] == [
        *("photographs.npy/1.png", "photographs.npy/2.png"),
    ]
    np.save(tmp_path / "gray.npy", np.zeros((3, 40, 40), np.uint8))
    np.save(tmp_path / "none.npy", np.zeros((0, 40, 40, 3), np.uint8))
    (tmp_path / "words.npy").write_text("words")
    for name, pattern, clause in (
        ("gone.npy", "", "no such file"),
        ("gray.npy", "", r"uint8 \(3, 40, 40\), not \(N, H, W, 3\)"),
        ("words.npy", "", "not an array of numpy"),
        ("none.npy", "", "no files in it"),
        ("photographs.npy", "*.jpg", "none of its 3 files matches"),
    ):
        with pytest.raises(InputError, match=clause):
            sources.find((str(tmp_path / name),), pattern)
    with pytest.raises(InputError, match="no such file"):
        sources.check((str(tmp_path / "gone.npy"),))
    with pytest.raises(Rejected, match="too large"):
        sources.read(first, 100)
    with pytest.raises(Rejected, match="unreadable"):
        sources.read(Photograph("a", str(photographs), "", 1, member=3, kind="array"))


# A kind of method


@pytest.mark.usefixtures("tasks_here")
def test_a_method_is_a_row(page: Any, images: Path, session: Session) -> None:
    file, line = page.blocks("A kind of method")
    page.add_line(KINDS, line)
    page.new_file(file)
    config = EvaluateConfig(methods=("jpeg", "soft=median:3"), pictures=1)
    for colour in ("y", "rgb"):
        output = evaluate.run(EvaluateConfig(config.methods, colour=colour, pictures=1), str(images), {}, session)
        rows = {row.method: row for row in evaluate.rows_of(output)}
        assert rows["soft"].images == 1 and rows["soft"].failures == 0
        assert rows["soft"].value("psnr") != rows["jpeg"].value("psnr")
        assert rows["soft"].value("seconds_per_megapixel") > 0, "it is timed"
        damaged, soft = (evaluate.picture(output, 0, 10, method) for method in ("jpeg", "soft"))
        assert damaged is not None
        assert np.array_equal(soft, np.asarray(Image.fromarray(damaged).filter(ImageFilter.MedianFilter(3))))
        assert "soft" in tables.terminal(list(rows.values()))
    other = evaluate.run(EvaluateConfig(("jpeg", "soft=median:5"), pictures=1), str(images), {}, session)
    assert not other.reused, "another median is measured again"
    with pytest.raises(ConfigError, match="method soft: a median of '4'; use median:3"):
        find(parse("soft=median:4"), config, session.store.root)
