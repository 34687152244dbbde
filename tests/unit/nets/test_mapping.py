import numpy as np
import torch

from ced.nets.mapping import Mapping


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
