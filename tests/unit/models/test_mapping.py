import numpy as np
import pytest
import torch

from ced.models.mapping import Mapping


def test_each_class_becomes_its_coefficient_in_deviations_of_its_channel() -> None:
    rng = np.random.default_rng(0)
    representatives = rng.normal(size=(16, 7)).astype(np.float32)
    deviations = rng.uniform(0.5, 20, size=16).astype(np.float32)
    labels = rng.integers(0, 7, size=(2, 16, 3, 5)).astype(np.uint8)
    q = Mapping(representatives, deviations)(torch.from_numpy(labels))
    assert q.shape == (2, 16, 3, 5) and q.dtype == torch.float32
    for b, ch, i, j in np.ndindex(*labels.shape):
        assert np.isclose(q[b, ch, i, j], representatives[ch, labels[b, ch, i, j]] / deviations[ch])


def test_a_channel_that_never_varies_stays_finite() -> None:
    q = Mapping(np.zeros((16, 3), np.float32), np.zeros(16, np.float32))(torch.zeros(1, 16, 2, 2, dtype=torch.uint8))
    assert torch.isfinite(q).all()


def test_the_table_travels_with_the_module_but_is_never_trained() -> None:
    mapping = Mapping(np.ones((16, 3), np.float32), np.ones(16, np.float32))
    assert list(mapping.state_dict()) == ["table"]
    assert list(mapping.parameters()) == []
    assert mapping.double().table.dtype == torch.float64


def test_the_given_arrays_are_copied() -> None:
    representatives = np.ones((16, 3), np.float32)
    mapping = Mapping(representatives, np.ones(16, np.float32))
    representatives[:] = 5
    assert mapping.table.max() == 1


def some_mapping(classes: int = 7) -> Mapping:
    table = np.sort(np.random.default_rng(0).normal(size=(16, classes)), axis=1).astype(np.float32)
    return Mapping(table, np.ones(16, np.float32))


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_read_off_warm_it_is_the_mean_under_the_sharpened_distribution(temperature: float) -> None:
    mapping, logits = some_mapping(), torch.randn(2, 16, 7, 2, 3)
    q = mapping.read(logits, temperature)
    for b, ch, i, j in np.ndindex(2, 16, 2, 3):
        p = np.exp(logits[b, ch, :, i, j].double().numpy())
        p = (p / p.sum()) ** (1 / temperature)
        assert np.isclose(q[b, ch, i, j], (p / p.sum()) @ mapping.table[ch].double().numpy(), atol=1e-5)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_read_off_cold_it_is_the_most_probable_class(memory: torch.memory_format) -> None:
    mapping = some_mapping()
    flat = torch.randn(2, 16 * 7, 3, 5).contiguous(memory_format=memory)
    flat[:, 7:14] = 0.25  # a tie: the first of the most probable
    logits = flat.unflatten(1, (16, 7))
    assert torch.equal(mapping.read(logits, 0), mapping(logits.argmax(dim=2)))
    assert torch.equal(mapping.read(logits, 0)[:, 1], mapping.table[1, 0].expand(2, 3, 5))


def test_the_colder_the_nearer_to_the_most_probable() -> None:
    mapping, logits = some_mapping(), torch.randn(1, 16, 7, 4, 4)
    away = [(mapping.read(logits, t) - mapping.read(logits, 0)).abs().mean() for t in (0.01, 0.25, 0.5, 1.0)]
    assert away == sorted(away) and away[0] < 0.05 < away[-1]
