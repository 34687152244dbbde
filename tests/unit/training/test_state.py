import copy
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from ced.config import NetworkConfig, TrainConfig
from ced.errors import FormatError
from ced.models.autoencoder import AutoEncoder
from ced.models.base import build
from ced.models.baselines import Galteri
from ced.models.blocks import to_channels_last
from ced.models.classifier import Mapping
from ced.networks import NETWORKS
from ced.training.job import CHECKPOINT
from ced.training.objectives import Classification, Reconstruction
from ced.training.optimizers import average_decay, learning_rate
from ced.training.state import State, load_checkpoint, save_checkpoint

TRAIN = TrainConfig(steps=20, warmup_steps=4, learning_rate=1e-2, average_decay=0.8, clip_norm=0.005)


def test_what_batch_normalization_counts_is_averaged_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Galteri, "BLOCKS", 1)
    torch.manual_seed(0)
    state = State(Galteri(1), TrainConfig(steps=9, average_decay=0.9), torch.device("cpu"))
    expected = {name: buffer.clone() for name, buffer in state.module.named_buffers()}
    for step in range(4):
        state.update(state.module(torch.rand(2, 1, 8, 8)).square().mean())
        decay = average_decay(state.train, step)
        for name, buffer in state.module.named_buffers():
            mean = torch.lerp(expected[name], buffer, 1 - decay) if buffer.is_floating_point() else buffer.clone()
            expected[name] = mean
    assert len(expected) == 6 and int(state.module.blocks[0].first_norm.num_batches_tracked) == 4
    for name, buffer in state.average.named_buffers():
        assert torch.allclose(buffer.float(), expected[name].float(), atol=1e-6), name
    again = State(Galteri(1), state.train, torch.device("cpu"))
    again.load(copy.deepcopy(state.to_dict()))
    for mine, theirs in zip(again.average.buffers(), state.average.buffers(), strict=True):
        assert torch.equal(mine, theirs)


def state(train: TrainConfig = TRAIN, last: bool = False) -> State:
    torch.manual_seed(0)
    network = AutoEncoder(NetworkConfig(width=4, width_half=4, width_full=4, blocks=1), 1, conditioned=False)
    if last:
        to_channels_last(network)
    return State(network, train, torch.device("cpu"))


def loss_of(state: State, seed: int) -> Tensor:
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return (state.module(x) - x.flip(3)).square().mean()


def weights(module: torch.nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def test_updates_are_those_of_clipped_adam_on_schedule() -> None:
    mine, reference = state(), state().module
    optimizer = torch.optim.Adam(reference.parameters(), foreach=False)
    for step in range(6):
        norm = mine.update(loss_of(mine, step))
        optimizer.zero_grad()
        x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(step))
        (reference(x) - x.flip(3)).square().mean().backward()
        squares = sum(float(p.grad.double().square().sum()) for p in reference.parameters())
        assert norm.item() == pytest.approx(squares**0.5, rel=1e-4)
        assert norm > TRAIN.clip_norm  # so that the clipping is seen
        for parameter in reference.parameters():
            parameter.grad *= TRAIN.clip_norm / squares**0.5
        optimizer.param_groups[0]["lr"] = learning_rate(TRAIN, step)
        optimizer.step()
    for a, b in zip(weights(mine.module), weights(reference), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_average_is_the_exponential_one() -> None:
    mine = state()
    expected = weights(mine.module)
    for step in range(5):
        mine.update(loss_of(mine, step))
        decay = average_decay(TRAIN, step)
        expected = [decay * a + (1 - decay) * w for a, w in zip(expected, weights(mine.module), strict=True)]
    for a, b in zip(weights(mine.average), expected, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert not torch.allclose(weights(mine.average)[0], weights(mine.module)[0], atol=1e-5)


def test_the_average_is_never_trained() -> None:
    mine = state()
    mine.update(loss_of(mine, 0))
    assert not mine.average.training
    assert all(not p.requires_grad and p.grad is None for p in mine.average.parameters())


def test_a_loaded_state_goes_on_to_the_same_bytes(tmp_path) -> None:
    through, first = state(), state()
    for step in range(8):
        through.update(loss_of(through, step))
    for step in range(5):
        first.update(loss_of(first, step))
    first.agree(torch.ones(1, 2))
    save_checkpoint(tmp_path, "f", first.to_dict())
    resumed = state()
    resumed.load(load_checkpoint(tmp_path, "f"))
    assert resumed.step == 5 and torch.equal(resumed.agreed, torch.ones(1, 2, dtype=torch.float64))
    for step in range(5, 8):
        resumed.update(loss_of(resumed, step))
    for name in ("module", "average"):
        for a, b in zip(weights(getattr(through, name)), weights(getattr(resumed, name)), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("part", ["optimizer", "average", "step"])
def test_every_part_of_the_state_matters(part: str) -> None:
    """Resuming with one part left out does not give the same outcome."""
    through, other = state(), state()
    for step in range(5):
        through.update(loss_of(through, step))
    stored = copy.deepcopy(through.to_dict())
    stored[part] = copy.deepcopy(state().to_dict()[part])
    other.load(stored)
    through.update(loss_of(through, 9))
    other.update(loss_of(other, 9))
    assert any(not torch.equal(a, b) for a, b in zip(weights(through.average), weights(other.average), strict=True))


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("here", [False, True])
def test_a_checkpoint_goes_on_where_weights_lie_in_another_order(tmp_path: Path, there: bool, here: bool) -> None:
    """As on a GPU (channels last) and on CPU. The convolutions add up in another order: float32's rounding."""
    through, first, resumed = state(), state(last=there), state(last=here)
    for step in range(5):
        through.update(loss_of(through, step))
        first.update(loss_of(first, step))
    save_checkpoint(tmp_path, "f", first.to_dict())
    resumed.load(load_checkpoint(tmp_path, "f"))
    for step in range(5, 8):
        through.update(loss_of(through, step))
        resumed.update(loss_of(resumed, step))
    for a, b in zip(weights(through.module), weights(resumed.module), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
    for parameter, moments in resumed.optimizer.state.items():
        assert moments["exp_avg"].stride() == parameter.stride()


@pytest.mark.parametrize("block_effect", [0.0, 1.0])
@pytest.mark.parametrize("model", NETWORKS.names)
def test_no_step_reads_a_value(model: str, block_effect: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """On fake tensors, which have shapes and no values, a step runs, in bfloat16 too: a GPU is never waited for."""
    monkeypatch.setattr(Galteri, "BLOCKS", 1)
    network = NetworkConfig(width=4, width_half=4, width_full=4, blocks=1, stage_blocks=1)
    mapping = Mapping(np.ones((16, 7), np.float32), np.ones(16, np.float32)) if model.startswith("ced") else None
    objective = Classification(network.stages) if model == "classifier" else Reconstruction(mapping, block_effect)
    trained = State(build(model, network, 1, 7), TRAIN, torch.device("cpu"))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.autocast("cpu", dtype=torch.bfloat16):
        for module in (*trained.module.modules(), *trained.average.modules()):
            for name, weight in list(module.named_parameters(recurse=False)):
                setattr(module, name, torch.nn.Parameter(mode.from_tensor(weight.detach()), weight.requires_grad))
            for name, buffer in list(module.named_buffers(recurse=False)):
                setattr(module, name, mode.from_tensor(buffer))
        trained.optimizer = torch.optim.Adam(trained.module.parameters(), fused=True)
        planes = {name: torch.zeros(2, 1, 16, 16, dtype=torch.uint8) for name in ("input", "target")}
        step = objective.step(trained.module, planes | {"labels": torch.zeros(2, 16, 4, 4, dtype=torch.uint8)})
        norm = trained.update(step.loss)
        assert (step.measures.shape, norm.shape) == ((len(objective.measures),), ())
        with pytest.raises(DataDependentOutputException):
            step.loss.item()


STATE = {"step": 7, "module": {"w": torch.arange(5000.0)}, "measured": [torch.ones(3)]}


def saved(folder: Path) -> Path:
    save_checkpoint(folder, "abc", STATE)
    return folder / CHECKPOINT


def test_the_state_comes_back_and_the_random_numbers_with_it(tmp_path: Path) -> None:
    torch.manual_seed(5)
    saved(tmp_path)
    expected = torch.rand(3)
    torch.manual_seed(6)
    state = load_checkpoint(tmp_path, "abc")
    assert torch.equal(torch.rand(3), expected)
    assert state["step"] == 7
    assert torch.equal(state["module"]["w"], STATE["module"]["w"])


def test_torch_reads_it_without_pickles_code(tmp_path: Path) -> None:
    assert torch.load(saved(tmp_path), weights_only=True)["fingerprint"] == "abc"


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, "abc") is None


def test_one_file_however_often_it_is_saved(tmp_path: Path) -> None:
    saved(tmp_path)
    saved(tmp_path)
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def test_another_trainings_checkpoint_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(FormatError, match=r"checkpoint\.pt belongs to another training .* name another output folder"):
        load_checkpoint(tmp_path, "abd")


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -1000])
def test_a_checkpoint_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match="damaged checkpoint"):
        load_checkpoint(tmp_path, "abc")


def test_one_changed_byte_anywhere_in_the_weights_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    at = bytes(data).find(torch.tensor(2500.0).numpy().tobytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FormatError, match="damaged checkpoint"):
        load_checkpoint(tmp_path, "abc")


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return stream.getvalue()


def torch_saved(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


class Evil:
    def __reduce__(self) -> tuple:
        return os.system, ("touch owned",)


@pytest.mark.parametrize(
    "data",
    [b"text", pickle.dumps({"step": 1}), zipped(b"no pickle"), torch_saved([1, 2]), torch_saved(Evil())],
    ids=["text", "pickle", "zip", "list", "code"],
)
def test_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(data)
    with pytest.raises(FormatError, match=r"remove it to train from the start") as caught:
        load_checkpoint(tmp_path, "abc")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_another_versions_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save(
        {"version": 0, "fingerprint": "abc", "rng": torch.get_rng_state(), "state": {}}, tmp_path / "checkpoint.pt"
    )
    with pytest.raises(FormatError, match="another version of ced"):
        load_checkpoint(tmp_path, "abc")
