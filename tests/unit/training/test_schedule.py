import pytest

from ced.config import TrainConfig
from ced.training.schedule import average_decay, learning_rate

TRAIN = TrainConfig(steps=110, warmup_steps=10, learning_rate=2.0, average_decay=0.9)


def test_the_warm_up_is_linear_and_ends_at_the_peak() -> None:
    assert [learning_rate(TRAIN, step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])


def test_the_cosine_starts_at_the_peak_passes_half_and_ends_near_zero() -> None:
    assert learning_rate(TRAIN, 10) == 2.0
    assert learning_rate(TRAIN, 60) == pytest.approx(1.0)
    assert 0 < learning_rate(TRAIN, 109) < 0.001


def test_it_never_rises_after_the_warm_up() -> None:
    rates = [learning_rate(TRAIN, step) for step in range(10, 110)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("warmup", [0, 1, 12, 50])
def test_any_warm_up_fits_any_number_of_steps(warmup: int) -> None:
    train = TrainConfig(steps=12, warmup_steps=warmup, learning_rate=1.0)
    assert all(0 < learning_rate(train, step) <= 1.0 for step in range(12))


def test_the_average_follows_quickly_at_first_and_slowly_later() -> None:
    assert average_decay(TRAIN, 0) == pytest.approx(0.1)
    assert average_decay(TRAIN, 8) == pytest.approx(0.5)
    assert average_decay(TRAIN, 1000) == 0.9
