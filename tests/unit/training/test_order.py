import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced.training import order

sizes = st.integers(1, 40)


@given(sizes, sizes, st.integers(-5, 5))
def test_every_epoch_has_every_example_once(examples: int, batch_size: int, seed: int) -> None:
    steps = -(-3 * examples // batch_size)
    stream = np.concatenate([order.batch(examples, batch_size, step, seed) for step in range(steps)])
    assert len(stream) == steps * batch_size
    for epoch in range(3):
        assert sorted(stream[epoch * examples : (epoch + 1) * examples]) == list(range(examples))


@given(sizes, sizes, st.integers(0, 50))
def test_a_step_is_the_same_whatever_came_before(examples: int, batch_size: int, step: int) -> None:
    first = order.batch(examples, batch_size, step, seed=3)
    for other in (step + 7, 0):
        order.batch(examples, batch_size, other, seed=4)
    order._epoch.cache_clear()
    assert np.array_equal(order.batch(examples, batch_size, step, seed=3), first)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(order.batch(50, 50, step, seed)) for step in range(4) for seed in (-1, 0, 1, 2)}
    assert len(orders) == 16


def test_the_order_is_pinned() -> None:
    """A checkpoint of an older version goes on with the batches it would have had."""
    assert order.batch(8, 8, 0, seed=0).tolist() == PINNED


@given(st.integers(1, 6), st.integers(1, 8))
def test_the_workers_shares_make_up_the_batch(world: int, each: int) -> None:
    batch = np.arange(100, 100 + world * each)
    shares = [order.share(batch, rank, world) for rank in range(world)]
    assert {len(share) for share in shares} == {each}
    assert sorted(np.concatenate(shares)) == list(batch)


def test_a_batch_larger_than_the_data_goes_round() -> None:
    assert sorted(order.batch(2, 6, 0, seed=0)) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("step", [0, 1, 10**6])
def test_far_steps_are_as_quick_as_the_first(step: int) -> None:
    assert len(order.batch(1000, 16, step, seed=0)) == 16


PINNED = [3, 6, 4, 0, 7, 5, 2, 1]
