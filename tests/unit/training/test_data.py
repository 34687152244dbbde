import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from ced.core.classes import Classes
from ced.errors import FormatError
from ced.training import data as module
from ced.training.batches import Shard
from ced.training.data import Sampler

COLUMNS = ("input", "target", "labels")


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    """A copy of the examples and labels, to be spoilt."""
    return Path(shutil.copytree(data, tmp_path / "data"))


class Whole(NamedTuple):
    planes: dict[str, torch.Tensor]
    sources: list[str]


def find(folder: Path, wanted: Sequence[str] = COLUMNS, channels: int = 1, classes: int = 7) -> module.Examples:
    return module.find(str(folder / "examples"), str(folder / "labelled"), wanted, channels, classes)


def read(folder: Path, wanted: Sequence[str] = COLUMNS, channels: int = 1, classes: int = 7) -> Whole:
    """All examples of a folder."""
    examples = find(folder, wanted, channels, classes)
    return Whole(examples.read(np.arange(len(examples.sources))), list(examples.sources))


def rewrite(path: Path, change) -> None:
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def replace(table: pa.Table, name: str, values: list) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), [values])


def test_every_row_of_every_part_in_order(data: Path) -> None:
    whole = read(data, COLUMNS, channels=1)
    stored = [
        [row for part in sorted(folder.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
        for folder in (data / "examples", data / "labelled")
    ]
    rows = [example | labels for example, labels in zip(*stored, strict=True)]
    assert whole.sources == [row["source"] for row in rows]
    for name, shape in (("input", (1, 32, 32)), ("target", (1, 32, 32)), ("labels", (16, 8, 8))):
        expected = np.stack([np.frombuffer(row[name], np.uint8).reshape(shape) for row in rows])
        assert np.array_equal(whole.planes[name], expected)


def test_the_labels_are_those_of_the_targets(data: Path) -> None:
    from ced.core.frequency import coefficients

    whole = read(data, COLUMNS, channels=1)
    classes = Classes.from_json((data / "classes.json").read_text())
    expected = classes.label(coefficients(whole.planes["target"][:, 0].numpy()))
    assert np.array_equal(whole.planes["labels"], expected)


def test_only_the_columns_wanted_are_read(folder: Path) -> None:
    for path in (folder / "examples").glob("*.parquet"):
        rewrite(path, lambda table: table.drop_columns(["target", "jpeg"]))
    assert set(read(folder, ["input"], 1).planes) == {"input"}


def test_colour_planes(colour_data: Path) -> None:
    whole = read(colour_data, COLUMNS, channels=3)
    assert whole.planes["target"].shape[1:] == (3, 32, 32)
    assert not np.array_equal(whole.planes["target"][:, 0], whole.planes["target"][:, 2])


def test_empty_parts_are_passed_over(folder: Path, data: Path) -> None:
    rewrite(folder / "examples" / "part-00000.parquet", lambda table: table.slice(0, 0))
    whole = read(data, ["input"], 1)
    rest = read(folder, ["input"], 1)
    dropped = len(whole.sources) - len(rest.sources)
    assert dropped > 0
    assert np.array_equal(rest.planes["input"], whole.planes["input"][dropped:])


def test_other_files_are_passed_over(folder: Path) -> None:
    (folder / "examples" / "notes.parquet").write_text("nothing")
    assert len(read(folder, ["input"], 1).sources) == 32


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_parts(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "examples").mkdir()
    with pytest.raises(FormatError, match=r"examples: no part-\*\.parquet in it"):
        read(tmp_path, COLUMNS, 1)


def test_parts_without_examples(folder: Path) -> None:
    for path in folder.glob("*/*.parquet"):
        rewrite(path, lambda table: table.slice(0, 0))
    with pytest.raises(FormatError, match="no examples in its parts"):
        read(folder, COLUMNS, 1)


def test_examples_that_are_not_labelled(folder: Path) -> None:
    rewrite(folder / "labelled" / "part-00001.parquet", lambda table: table.drop_columns(["labels"]))
    with pytest.raises(FormatError, match=r"labelled/part-00001\.parquet: no column 'labels'"):
        read(folder, COLUMNS, 1)


@pytest.mark.parametrize("of", ["examples", "labelled"])
def test_another_schema_version(folder: Path, of: str) -> None:
    rewrite(folder / of / "part-00001.parquet", lambda table: table.replace_schema_metadata({"ced.schema": "99"}))
    with pytest.raises(FormatError, match=rf"{of}/part-00001\.parquet: schema version 99, where 1 is read"):
        read(folder, COLUMNS, 1)


@pytest.mark.parametrize("of", ["examples", "labelled"])
@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not Parquet at all, whatever its name says"])
def test_a_part_that_is_no_parquet(folder: Path, damage: bytes, of: str) -> None:
    (folder / of / "part-00002.parquet").write_bytes(damage)
    with pytest.raises(FormatError, match=rf"{of}/part-00002\.parquet: cannot be read as Parquet") as caught:
        read(folder, COLUMNS, 1)
    assert "\n" not in str(caught.value)


def test_a_part_cut_short(folder: Path) -> None:
    path = folder / "examples" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FormatError, match="cannot be read as Parquet"):
        read(folder, COLUMNS, 1)


@pytest.mark.parametrize("column", COLUMNS)
def test_examples_of_several_sizes(folder: Path, column: str) -> None:
    def shorten(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        return replace(table, column, [values[0][:-16], *values[1:]])

    of = "labelled" if column == "labels" else "examples"
    rewrite(folder / of / "part-00002.parquet", shorten)
    with pytest.raises(FormatError, match=rf"{of}/part-00002\.parquet: column '{column}'.* give examples of one size"):
        read(folder, COLUMNS, 1)


def test_colour_where_luminance_is_wanted(colour_data: Path) -> None:
    with pytest.raises(FormatError, match="part-00000.parquet: examples of prepare.colour=rgb, unlike the training's"):
        read(colour_data, COLUMNS, channels=1)


def test_labels_beyond_the_classes(data: Path) -> None:
    read(data, classes=7)
    with pytest.raises(
        FormatError, match=r"labelled/part-\d+\.parquet: label [56], where classes\.json has 5 classes \(0 to 4\)"
    ):
        read(data, classes=5)


def test_any_rows_in_any_order(data: Path) -> None:
    whole, examples = read(data), find(data)
    rows = np.array([31, 0, 11, 10, 11, 22, 0])  # of all three parts
    for name, planes in examples.read(rows).items():
        assert np.array_equal(planes, whole.planes[name][rows])
    assert all(len(planes) == 0 for planes in examples.read(rows[:0]).values())


def test_only_parts_that_are_needed_are_opened(folder: Path, data: Path) -> None:
    examples = find(folder)
    (folder / "examples" / "part-00001.parquet").unlink()
    first, last = int(examples.ends[0]), int(examples.ends[1])
    assert len(examples.read(np.array([first - 1, last]))["input"]) == 2
    with pytest.raises(FormatError, match=r"part-00001\.parquet: cannot be read"):
        examples.read(np.array([first]))


def test_how_much_memory_they_would_take(data: Path) -> None:
    examples = find(data)
    assert examples.bytes == sum(planes.nbytes for planes in read(data).planes.values())


names = st.lists(st.text(max_size=3), min_size=1, max_size=30)


@given(names, st.floats(0, 0.99))
@example(["", "\x00"], 0.5)
def test_a_photograph_is_trained_on_or_held_out_never_both(sources: list[str], fraction: float) -> None:
    training, validation = module.split(sources, fraction)
    assert sorted([*training, *validation]) == list(range(len(sources)))
    trained, held = {sources[i] for i in training}, {sources[i] for i in validation}
    assert trained and not trained & held
    different = len(set(sources))
    if fraction > 0 and different >= 2:
        assert len(held) == min(int(np.ceil(fraction * different)), different - 1)
    else:
        assert not held


def test_the_smallest_digests_are_held_out() -> None:
    sources = [f"photo {i}" for i in range(40)]
    held = module.split(sources, 0.1).validation
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in sources]
    assert sorted(digests[i] for i in held) == sorted(digests)[:4]


@given(st.integers(0, 50), st.integers(1, 20))
def test_validation_is_spread_over_what_is_held_out(count: int, at_most: int) -> None:
    chosen = module.spread(np.arange(100, 100 + count), at_most)
    assert len(chosen) == len(set(chosen)) == min(count, at_most)
    if count > at_most > 1:
        gaps = np.diff(chosen)
        assert gaps.max() - gaps.min() <= 1


def test_labels_that_nobody_wants_need_not_be_there(folder: Path) -> None:
    shutil.rmtree(folder / "labelled")
    assert set(find(folder, ["input", "target"]).shapes) == {"input", "target"}
    with pytest.raises(FormatError, match=r"labelled/part-00000\.parquet: cannot be read"):
        find(folder)


def test_labels_of_other_examples(folder: Path) -> None:
    rewrite(folder / "labelled" / "part-00001.parquet", lambda table: table.slice(1))
    with pytest.raises(FormatError, match=r"labelled/part-00001\.parquet: not one row for each of .*label .* again"):
        find(folder)


def test_examples_and_labels_in_one_are_refused(folder: Path) -> None:
    """As a version that was never released wrote them: the label's own columns beside the planes."""
    part = "part-00001.parquet"
    examples, labels = (pq.read_table(folder / name / part) for name in ("examples", "labelled"))
    pq.write_table(examples.append_column(labels.schema.field("labels"), labels["labels"]), folder / "labelled" / part)
    with pytest.raises(FormatError, match=rf"labelled/{part}: examples and labels in one, .*; prepare them again"):
        find(folder)


sizes = st.integers(1, 40)
parts = st.lists(st.integers(0, 200), min_size=1, max_size=12).filter(any)


def whole(examples: int, seed: int = 0) -> Sampler:
    """All examples in one window."""
    return Sampler(np.arange(examples), np.array([examples]), examples, seed)


def in_windows(counts: list[int], window: int, seed: int = 0, held: int = 0) -> Sampler:
    """Parts of `counts` examples, of which every `held`-th is held out."""
    ends = np.cumsum(counts)
    rows = np.arange(ends[-1])
    return Sampler(rows[rows % held > 0] if held else rows, ends, window, seed)


@given(sizes, sizes, st.integers(-5, 5))
def test_every_epoch_has_every_example_once(examples: int, batch_size: int, seed: int) -> None:
    steps = -(-3 * examples // batch_size)
    stream = np.concatenate([whole(examples, seed).batch(batch_size, step) for step in range(steps)])
    assert len(stream) == steps * batch_size
    for epoch in range(3):
        assert sorted(stream[epoch * examples : (epoch + 1) * examples]) == list(range(examples))


@given(parts, st.integers(1, 300), st.integers(-3, 3), st.integers(1, 90))
def test_every_epoch_has_every_example_once_in_windows(
    counts: list[int], window: int, seed: int, batch_size: int
) -> None:
    stream = in_windows(counts, window, seed, held=7)
    examples = len(stream.rows)
    if not examples:
        return
    taken = np.concatenate([stream.batch(batch_size, step) for step in range(-(-2 * examples // batch_size))])
    for epoch in range(2):
        assert sorted(taken[epoch * examples : (epoch + 1) * examples]) == list(stream.rows)


@given(parts, st.integers(1, 300), st.integers(0, 500), st.integers(0, 900))
def test_the_windows_cover_any_stretch_of_the_stream(counts: list[int], window: int, start: int, length: int) -> None:
    stream = in_windows(counts, window)
    positions = list(stream.windows(start, start + length))
    assert positions[:1] == ([start] if length else [])
    reached = start
    for position in positions:
        assert position == reached
        reached = stream.window(position).end
    assert reached >= start + length


@given(sizes, sizes, st.integers(0, 50))
def test_a_step_is_the_same_whatever_came_before(examples: int, batch_size: int, step: int) -> None:
    for make in (lambda: whole(examples, seed=3), lambda: in_windows([examples] * 9, 2 * examples, seed=3)):
        first = make().batch(batch_size, step)
        other = make()
        for before in (step + 7, 0):
            other.batch(batch_size, before)
        assert np.array_equal(other.batch(batch_size, step), first)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(whole(50, seed).batch(50, step)) for step in range(4) for seed in (-1, 0, 1, 2)}
    assert len(orders) == 16
    orders = {tuple(in_windows([50] * 9, 100, seed).batch(450, step)) for step in range(4) for seed in (-1, 0, 1, 2)}
    assert len(orders) == 16


def test_the_order_is_pinned() -> None:
    """A checkpoint of an older version goes on with the batches it would have had."""
    assert whole(8).batch(8, 0).tolist() == PINNED
    stream = in_windows([100] * 30, 700, seed=5).batch(3000, 1)
    assert hashlib.sha256(stream.astype("<i8").tobytes()).hexdigest()[:16] == PINNED_WINDOWS


def test_a_window_is_of_few_parts_that_are_others_each_epoch() -> None:
    stream = in_windows([100] * 30, 700)
    opened = [set(stream.window(position).rows // 100) for position in stream.windows(0, 6000)]
    assert {len(numbers) for numbers in opened[:4]} == {7}
    assert opened[:5] != opened[5:10]


def test_examples_of_one_part_are_apart_in_the_stream() -> None:
    """As well mixed as a shuffle of the window: neighbours in the stream are hardly ever neighbours in a part."""
    stream = in_windows([128] * 64, 4096).batch(4096, 0)
    shuffled = np.random.default_rng(0).permutation(stream)
    close = [np.mean(np.abs(np.diff(rows)) < 128) for rows in (stream, shuffled)]
    assert close[0] <= close[1]


@pytest.mark.parametrize("world", [1, 2, 4, 8, 64])
def test_each_worker_needs_its_share_of_the_parts_alone(world: int) -> None:
    stream = in_windows([128] * 128, 8192)
    window = stream.window(0)
    positions = np.arange(window.start, window.end)
    for rank in range(world):
        mine = window.rows[Shard(64, rank, world).holds(positions)]
        assert len(set(mine // 128)) <= 64 // world


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 100))
def test_the_workers_shares_make_up_the_batch(world: int, batch_size: int, first: int) -> None:
    positions = np.arange(first * batch_size, (first + 1) * batch_size)
    shares = [Shard(batch_size, rank, world).holds(positions) for rank in range(world)]
    assert (np.sum(shares, axis=0) == 1).all()
    assert [share.sum() for share in shares] == [Shard(batch_size, rank, world).size for rank in range(world)]
    assert max(map(np.sum, shares)) - min(map(np.sum, shares)) <= 1


def test_a_batch_larger_than_the_data_goes_round() -> None:
    assert sorted(whole(2).batch(6, 0)) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("step", [0, 1, 10**6])
def test_far_steps_are_as_quick_as_the_first(step: int) -> None:
    assert len(whole(1000).batch(16, step)) == 16


PINNED = [3, 6, 4, 0, 7, 5, 2, 1]
PINNED_WINDOWS = "a106d32221cfa297"
