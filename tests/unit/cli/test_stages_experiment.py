"""`ced experiment` as a user runs it, on what `ced prepare -o` writes; without Ray Train it needs no Ray."""

import json
from pathlib import Path

import pytest

from ced.cli.main import main
from tests.small import NETWORK

TINY = [*NETWORK]
SHORT = ["steps=3", "batch_size=2", "report_every=3", "validation_fraction=0.4"]


def test_both_experiments_print_the_papers_figures_beside_ours(
    pristine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, store = str(pristine), ["--store", str(tmp_path / "store")]
    shape = [f"{section}.{setting}" for section in ("classifier", "autoencoder") for setting in SHORT] + TINY
    options = ["--data", data, "--without-ray", *store, *(word for one in shape for word in ("--set", one))]

    out = tmp_path / "stages.json"
    assert main(["experiment", "stages", *options, "-o", str(out)]) == 0
    told = capsys.readouterr().out
    found = json.loads(out.read_text())
    ours = " ".join(f"{share:.4f}" for share in found["accuracy"])
    assert f"ours {ours}" in " ".join(told.split()) and "paper 0.3094 0.3169 0.3178" in " ".join(told.split())
    assert f"{found['examples']} held-out examples" in told

    models = tmp_path / "models"
    assert main(["train", "ced-gt", *options, "-o", str(models)]) == 0
    weights = (models / "train-ced-gt" / "model.safetensors").stat().st_mtime_ns
    assert main(["experiment", "decoder-weights", *options, "--models", str(models)]) == 0
    assert (models / "train-ced-gt" / "model.safetensors").stat().st_mtime_ns == weights, "taken, not trained"
    told = " ".join(capsys.readouterr().out.split())
    found = json.loads((models / "experiment-decoder-weights" / "experiment.json").read_text())
    assert f"with q (CED-GT) {found['ced-gt']['w_f']:.4f} {found['ced-gt']['w_q']:.4f}" in told
    assert f"ratio of w_f - w_q: ours {found['ratio']:.2f}, the paper's 1.74" in told


def test_another_number_of_stages_than_table_1_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "stages", "--set", "network.stages=2"]) == 2
    assert "network.stages=2: Table 1 is of 3; leave it out" in capsys.readouterr().err


def test_a_device_without_the_plain_loop_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "stages", "--device", "cpu"]) == 2
    assert "--device goes with --without-ray" in capsys.readouterr().err
