import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from ced.errors import FormatError
from ced.training import checkpoint

STATE = {"step": 7, "module": {"w": torch.arange(5000.0)}, "measured": [torch.ones(3)]}


def saved(folder: Path) -> Path:
    checkpoint.save(folder, "abc", STATE)
    return folder / checkpoint.NAME


def test_the_state_comes_back_and_the_random_numbers_with_it(tmp_path: Path) -> None:
    torch.manual_seed(5)
    saved(tmp_path)
    expected = torch.rand(3)
    torch.manual_seed(6)
    state = checkpoint.load(tmp_path, "abc")
    assert torch.equal(torch.rand(3), expected)
    assert state["step"] == 7
    assert torch.equal(state["module"]["w"], STATE["module"]["w"])


def test_torch_reads_it_without_pickles_code(tmp_path: Path) -> None:
    assert torch.load(saved(tmp_path), weights_only=True)["fingerprint"] == "abc"


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path, "abc") is None


def test_one_file_however_often_it_is_saved(tmp_path: Path) -> None:
    saved(tmp_path)
    saved(tmp_path)
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def test_another_trainings_checkpoint_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(FormatError, match=r"checkpoint\.pt belongs to another training .* name another output folder"):
        checkpoint.load(tmp_path, "abd")


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -1000])
def test_a_checkpoint_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match="damaged checkpoint"):
        checkpoint.load(tmp_path, "abc")


def test_one_changed_byte_anywhere_in_the_weights_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    at = bytes(data).find(torch.tensor(2500.0).numpy().tobytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FormatError, match="damaged checkpoint"):
        checkpoint.load(tmp_path, "abc")


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
    (tmp_path / checkpoint.NAME).write_bytes(data)
    with pytest.raises(FormatError, match=r"remove it to train from the start") as caught:
        checkpoint.load(tmp_path, "abc")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_another_versions_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save(
        {"version": 0, "fingerprint": "abc", "rng": torch.get_rng_state(), "state": {}}, tmp_path / "checkpoint.pt"
    )
    with pytest.raises(FormatError, match="another version of ced"):
        checkpoint.load(tmp_path, "abc")
