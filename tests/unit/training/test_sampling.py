import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.training import sampling
from ced.training.sampling import Order

sizes = st.integers(1, 40)
parts = st.lists(st.integers(0, 200), min_size=1, max_size=12).filter(any)


def whole(examples: int, seed: int = 0) -> Order:
    """All examples in one window."""
    return Order(np.arange(examples), np.array([examples]), examples, seed)


def in_windows(counts: list[int], window: int, seed: int = 0, held: int = 0) -> Order:
    """Parts of `counts` examples, of which every `held`-th is held out."""
    ends = np.cumsum(counts)
    rows = np.arange(ends[-1])
    return Order(rows[rows % held > 0] if held else rows, ends, window, seed)


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
        mine = window.rows[sampling.shared(positions, 64, rank, world)]
        assert len(set(mine // 128)) <= 64 // world


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 100))
def test_the_workers_shares_make_up_the_batch(world: int, batch_size: int, first: int) -> None:
    positions = np.arange(first * batch_size, (first + 1) * batch_size)
    shares = [sampling.shared(positions, batch_size, rank, world) for rank in range(world)]
    assert (np.sum(shares, axis=0) == 1).all()
    assert [share.sum() for share in shares] == [sampling.share(batch_size, rank, world) for rank in range(world)]
    assert max(map(np.sum, shares)) - min(map(np.sum, shares)) <= 1


def test_a_batch_larger_than_the_data_goes_round() -> None:
    assert sorted(whole(2).batch(6, 0)) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("step", [0, 1, 10**6])
def test_far_steps_are_as_quick_as_the_first(step: int) -> None:
    assert len(whole(1000).batch(16, step)) == 16


PINNED = [3, 6, 4, 0, 7, 5, 2, 1]
PINNED_WINDOWS = "a106d32221cfa297"
