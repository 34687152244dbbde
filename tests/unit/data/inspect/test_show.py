"""What `ced data show` says is what lies in the Parquet."""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ced import drawing, schema, terminal
from ced.data.inspect import contact_sheet, show
from ced.data.inspect.contact_sheet import MARGIN, PANEL_GAP, SCALE
from ced.errors import FormatError, InputError
from ced.store import finished

SIDE = 32 * SCALE
PITCH = SIDE + PANEL_GAP


def decoded(png: bytes | None) -> np.ndarray:
    assert png is not None
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def rows(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]


def labelled(root: Path) -> list[dict]:
    """The examples of a folder with their labels."""
    pairs = zip(rows(root / "prepare" / "examples"), rows(root / "label"), strict=True)
    return [example | labels for example, labels in pairs]


def text(folder: Path) -> str:
    data = show.choose(folder)
    return show.text(data, show.balance(data))


def sheet(folder: Path, count: int) -> bytes | None:
    data = show.choose(folder)
    return show.sheet(data, count, show.balance(data))


def drawn(picture: np.ndarray, panel: int, labelled: bool = True) -> np.ndarray:
    """A panel of the sheet's first example, at its own size. A legend is above it where there are labels."""
    sizes = (22, 13, 15, 13) if labelled else (22, 15, 13)  # title, legend, caption, names
    left, top = MARGIN + panel * PITCH, MARGIN + sum(drawing.text("x", size).height for size in sizes)
    top += 28 if labelled else 14  # gaps below the title and the legend
    return picture[top : top + SIDE : SCALE, left : left + SIDE : SCALE]


def test_every_column_has_its_meaning() -> None:
    for one in (schema.EXAMPLES, schema.LABELS, schema.QUARANTINE):
        assert all(show.MEANING[name] for name in one.names)


def test_the_facts_of_each_output(pristine: Path) -> None:
    data = show.choose(pristine)
    shown = text(pristine)
    assert list(data) == ["prepare", "edges", "label"]
    for stage, output in data.items():
        assert f"stage          {stage}\nfingerprint    {output.manifest.fingerprint}\n" in shown
    prepared = data["prepare"].manifest
    assert "photographs 0123456789abcdef\n" in shown
    assert shown.count(f"examples {prepared.content} (prepare {prepared.fingerprint})") == 2
    flat = " ".join(shown.split())
    assert "mode=crops, size=32, colour=y, quality=10, flip=True, crops=2" in flat
    assert "4 photographs, 3 prepared, 1 quarantined, 12 examples, 1 quarantined: not an image" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_columns_with_their_bytes(pristine: Path) -> None:
    shown = text(pristine / "label")
    footers = [pq.read_metadata(path) for path in sorted((pristine / "label").glob("*.parquet"))]
    assert "labels: 12 rows" in shown
    for number, field in enumerate(schema.LABELS):
        compressed = sum(footer.row_group(0).column(number).total_compressed_size for footer in footers)
        raw = sum(footer.row_group(0).column(number).total_uncompressed_size for footer in footers)
        (line,) = [line for line in shown.splitlines() if line.split()[:2] == [field.name, str(field.type)]]
        assert line.endswith(terminal.size(raw))
        assert line.removesuffix(terminal.size(raw)).rstrip().endswith(terminal.size(compressed))


def test_photographs_that_were_set_aside_are_named_with_their_reasons(pristine: Path, tmp_path: Path, restate) -> None:
    line = "text.jpg   not an image  no known image format"
    assert f"set aside  reason        message\n{line}\n" in text(pristine)
    assert "set aside" not in text(pristine / "label")
    folder = Path(shutil.copytree(pristine / "prepare", tmp_path / "prepare")) / "quarantine"
    rows = [{"source": f"new\nline {n}.jpg", "reason": "empty", "message": "no bytes"} for n in range(1023)]
    pq.write_table(pa.Table.from_pylist(rows, schema.QUARANTINE), folder / "part-00000.parquet")
    restate(folder / "part-00000.parquet")
    shown = text(tmp_path)
    assert shown.count("empty") == shown.count("new line ") == 20
    assert shown.endswith(f"\nand 1,003 more in {folder}")


def test_the_quarantine_is_a_table_of_its_own(pristine: Path, coloured: Path) -> None:
    assert "quarantine: 1 rows\n" in text(pristine / "prepare")
    assert "quarantine: " not in text(pristine / "label")


def balance(shown: str) -> dict[str, list[str]]:
    """The lines of the 16 channels."""
    lines = shown[shown.index("u, v") :].splitlines()[1:]
    return {f"{cells[0]}{cells[1]}": cells[2:] for cells in map(str.split, lines)}


def test_the_balance_is_counted_from_the_stored_labels(pristine: Path) -> None:
    labels = np.stack([np.frombuffer(row["labels"], np.uint8).reshape(16, -1) for row in rows(pristine / "label")])
    found = balance(text(pristine / "label"))
    assert len(found) == 16
    for u, v in np.ndindex(4, 4):
        values, counts = np.unique(labels[:, 4 * u + v], return_counts=True)
        shares = counts / counts.sum()
        least, most = shares.argmin(), shares.argmax()
        expected = [f"{shares[least]:.3%}", str(values[least]), f"{shares[most]:.3%}", str(values[most])]
        assert found[f"{u},{v}"] == expected


def test_without_labels_the_balance_is_that_of_the_edges(pristine: Path) -> None:
    everything = text(pristine)
    alone = text(pristine / "edges")
    assert balance(alone) == balance(everything)  # the labels were made by these edges from these examples
    assert "classes: 7 a channel, 14.286% each if all were equal; of 768 coefficients a channel" in alone
    assert "u, v" not in text(pristine / "prepare")


def test_a_class_that_occurs_nowhere_counts_where_the_edges_know_of_it(pristine: Path, tmp_path: Path, restate) -> None:
    for stage in ("edges", "label"):
        shutil.copytree(pristine / stage, tmp_path / stage)
    for path in (tmp_path / "label").glob("*.parquet"):
        table = pq.read_table(path)
        zero = [bytes(len(value.as_py())) for value in table["labels"]]
        pq.write_table(table.set_column(table.num_columns - 1, schema.LABELS.field("labels"), [zero]), path)
        restate(path)
    found = balance(text(tmp_path))
    assert found["0,0"] == ["0.000%", "1", "100.000%", "0"]
    assert "classes: 7 a channel" in text(tmp_path)
    assert "classes: 1 a channel" in text(tmp_path / "label")


@pytest.mark.parametrize("folder", [".", "label"])
def test_the_sheet_shows_the_very_pixels_and_classes(pristine: Path, folder: str) -> None:
    first = labelled(pristine)[0]
    picture = decoded(sheet(pristine / folder, 1))
    for panel, name in enumerate(("target", "input")):
        assert drawn(picture, panel)[..., 0].tobytes() == first[name]
    labels = np.frombuffer(first["labels"], np.uint8).reshape(16, 8, 8)
    colours, map_ = contact_sheet.palette(7), drawn(picture, 2)
    for u, v, i, j in np.ndindex(4, 4, 8, 8):
        assert map_[4 * i + u, 4 * j + v].tolist() == colours[labels[4 * u + v, i, j]].tolist()


def test_one_smooth_example_is_coloured_by_all_the_classes_there_are(pristine: Path, tmp_path: Path, restate) -> None:
    """Labels alone say nothing of K, and those on the sheet may be a few of them."""
    shutil.copytree(pristine / "label", tmp_path / "label")
    shutil.copytree(pristine / "prepare", tmp_path / "prepare")
    path = tmp_path / "label" / "part-00000.parquet"
    table = pq.read_table(path)
    flat = [bytes([3]) * len(value.as_py()) for value in table["labels"]]
    pq.write_table(table.set_column(table.num_columns - 1, schema.LABELS.field("labels"), [flat]), path)
    restate(path)
    assert (drawn(decoded(sheet(tmp_path, 1)), 2) == contact_sheet.palette(7)[3]).all()


def test_a_part_without_examples_is_passed_over(outputs: Path, restate, edit) -> None:
    """As prepare writes it where all photographs of a part were set aside."""
    for folder in (outputs / "prepare" / "examples", outputs / "label"):
        path = folder / "part-00000.parquet"
        pq.write_table(pq.read_table(path).slice(0, 0), path)
        restate(path)
    content = finished.find([outputs / "prepare"])[0].manifest.content
    edit(outputs / "label", lambda stored: stored["inputs"].update(examples=content))
    assert "examples: 8 rows" in text(outputs)
    first = labelled(outputs)[0]
    assert first["source"] == "cup.png"
    assert drawn(decoded(sheet(outputs, 1)), 0)[..., 0].tobytes() == first["target"]


def test_no_examples_at_all_make_no_sheet(outputs: Path, restate) -> None:
    for path in (*(outputs / "label").glob("*.parquet"), *(outputs / "prepare" / "examples").glob("*.parquet")):
        pq.write_table(pq.read_table(path).slice(0, 0), path)
        restate(path)
    assert sheet(outputs, 8) is None
    assert sheet(outputs / "label", 8) is None
    assert "labels: 0 rows" in text(outputs / "label")


def test_labels_whose_examples_are_elsewhere_make_no_sheet(pristine: Path, tmp_path: Path) -> None:
    shutil.copytree(pristine / "label", tmp_path / "label")
    assert sheet(tmp_path, 8) is None
    assert "labels: 12 rows" in text(tmp_path)


def test_labels_of_other_examples_are_not_shown_with_these(pristine: Path, outputs: Path, edit) -> None:
    edit(outputs / "label", lambda stored: stored["inputs"].update(examples="0123456789abcdef"))
    assert drawn(decoded(sheet(outputs, 1)), 0, False).tobytes() == drawn(decoded(sheet(pristine, 1)), 0).tobytes()
    assert all(tile.labels is None for tile in show.tiles(show.choose(outputs), 12))


def test_colour_examples_are_shown_in_colour(coloured: Path) -> None:
    first = labelled(coloured)[0]
    picture = decoded(sheet(coloured, 1))
    for panel, name in enumerate(("target", "input")):
        assert drawn(picture, panel).transpose(2, 0, 1).tobytes() == first[name]


def test_examples_of_prepare_alone_have_no_class_maps(pristine: Path) -> None:
    with_maps = decoded(sheet(pristine, 2))
    without = decoded(sheet(pristine / "prepare", 2))
    assert np.array_equal(drawn(without, 0, False), drawn(with_maps, 0))
    assert without.shape[1] < with_maps.shape[1]


def test_edges_alone_have_no_examples(pristine: Path) -> None:
    assert sheet(pristine / "edges", 8) is None


@pytest.mark.parametrize(
    ("count", "picked"), [(1, [0]), (2, [0, 11]), (5, [0, 3, 6, 8, 11]), (12, range(12)), (99, range(12))]
)
def test_examples_are_spread_from_the_first_row_to_the_last(pristine: Path, count: int, picked: list[int]) -> None:
    stored = labelled(pristine)
    found = show.tiles(show.choose(pristine), count)
    assert [tile.original.tobytes() for tile in found] == [stored[number]["target"] for number in picked]
    assert [tile.labels.tobytes() for tile in found] == [stored[number]["labels"] for number in picked]


def test_rows_are_found_however_many_are_read_at_a_time(pristine: Path, tmp_path: Path, restate) -> None:
    """One part of 600 rows, more than two readings."""
    shutil.copytree(pristine / "prepare", tmp_path / "prepare")
    path = tmp_path / "prepare" / "examples" / "part-00000.parquet"
    table = pq.read_table(path)
    repeated = table.take(np.arange(600) % table.num_rows)
    numbers = (np.arange(600) % 100).astype(np.uint8)
    pq.write_table(repeated.set_column(3, schema.EXAMPLES.field("quality"), [numbers]), path)
    restate(path)
    found = show.tiles(show.choose(tmp_path), 5)
    total = 600 + 8
    assert [tile.quality for tile in found][:4] == [round(n * (total - 1) / 4) % 100 for n in range(4)]


def test_the_same_outputs_give_the_same_sheet(pristine: Path, outputs: Path) -> None:
    assert sheet(pristine, 8) == sheet(outputs, 8)


def test_a_folder_of_several_outputs_of_a_stage_asks_for_one(outputs: Path) -> None:
    shutil.copytree(outputs / "label", outputs / "other")
    with pytest.raises(InputError, match="several outputs of label in it; name one of them, such as"):
        show.choose(outputs)


def test_outputs_of_other_stages_are_not_shown(outputs: Path, edit) -> None:
    edit(outputs / "label", lambda stored: stored.update(stage="train-ed"))
    assert list(show.choose(outputs)) == ["prepare", "edges"]
    with pytest.raises(InputError, match="no output of prepare, edges, label in it"):
        show.choose(outputs / "label")


@pytest.mark.parametrize("size", [0, 3, 1000, -100])
@pytest.mark.parametrize("part", ["label/part-00001.parquet", "prepare/examples/part-00000.parquet"])
def test_a_cut_part_is_named(outputs: Path, part: str, size: int) -> None:
    path = outputs / part
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        FormatError, match=f"{path}: (altered since it was made; delete it|cannot be read; `ced data verify` tells)"
    ):
        text(outputs)


def test_a_missing_part_is_named(outputs: Path) -> None:
    (outputs / "label" / "part-00000.parquet").unlink()
    with pytest.raises(FormatError, match="part-00000.parquet: missing; run the command again that made it"):
        sheet(outputs, 8)


def test_planes_that_do_not_fit_their_size_are_named(outputs: Path, restate) -> None:
    path = outputs / "label" / "part-00000.parquet"
    table = pq.read_table(path)
    short = [value.as_py()[:-1] for value in table["labels"]]
    pq.write_table(table.set_column(table.num_columns - 1, schema.LABELS.field("labels"), [short]), path)
    restate(path)
    with pytest.raises(FormatError, match="part-00000.parquet: cannot be read"):
        text(outputs)
    with pytest.raises(FormatError, match="part-00000.parquet: cannot be read"):
        sheet(outputs, 1)
