"""`ced train --data`: what was prepared counts, and whatever would not count is told."""

import json
from pathlib import Path

import pytest

from ced.cli.main import main, parse
from ced.cli.stages import read_data, start_folders
from ced.errors import ConfigError, InputError
from ced.networks import NETWORKS
from ced.recipes import configure
from ced.restoration.family import RELEASED
from ced.store.outputs import read_manifest
from ced.training.train import TrainingInputs
from tests.small import NETWORK


def read(folder: Path, *words: str) -> TrainingInputs:
    _, options = parse(["train", "ed", "--data", str(folder), *words])
    return read_data(folder, options, configure(options.recipe, options.images, None, options.settings))


def words(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["network.width=8", "autoencoder.steps=3"],
        ["prepare.size=32", "prepare.crops=2", "prepare.colour=y", "prepare.flip=yes", "classes.count=7"],
        ["prepare.size=64", "prepare.size=32"],
    ],
)
def test_settings_that_the_examples_were_made_with_may_be_said_again(pristine: Path, settings: list[str]) -> None:
    data = read(pristine, *words(settings))
    assert (data.labelled.path, data.classes.path) == (pristine / "label", pristine / "edges")


@pytest.mark.parametrize(
    ("settings", "clause"),
    [
        (["prepare.size=64"], r"prepare.size=64 beside --data: the examples in .*out were made with size=32; leave it"),
        (["prepare.quality=20"], "were made with quality=10; leave it out, or prepare them again"),
        (["prepare.flip=no"], "prepare.flip=False beside --data: .* flip=True"),
        (["prepare.colour=rgb"], "colour=y"),
        (["network.width=8", "classes.count=5"], "classes.count=5 beside --data: .* count=7"),
    ],
)
def test_settings_that_would_not_count_are_refused(pristine: Path, settings: list[str], clause: str) -> None:
    with pytest.raises(ConfigError, match=clause):
        read(pristine, *words(settings))


def test_a_pattern_or_photographs_beside_the_data_are_refused(pristine: Path) -> None:
    with pytest.raises(ConfigError, match=r"prepare.pattern=\*.png beside --data"):
        read(pristine, "--pattern", "*.png")
    with pytest.raises(ConfigError, match=r"--images beside --data: .*out holds examples already; give one of the two"):
        read(pristine, "--images", "builtin:train")


def test_a_folder_without_data_is_refused(pristine: Path) -> None:
    with pytest.raises(InputError, match=r"edges.label: no finished output of `ced prepare -o` there"):
        read(pristine / "edges")


TINY = [*NETWORK, "network.stage_blocks=1"]
SHORT = [f"{section}.{key}" for section in ("classifier", "autoencoder") for key in ("steps=2", "batch_size=2")]


def train(capsys: pytest.CaptureFixture[str], folder: Path, *line: str) -> tuple[int, str]:
    """`ced train`, tiny and short: its exit code, and the last line of what it says on stderr."""
    store = ["--store", str(folder / "store"), "--data", str(folder / "out")]
    code = main(["train", *line, *store, *words(TINY), *words(SHORT)])
    told = capsys.readouterr().err.splitlines()
    return code, told[-1] if told else ""


@pytest.mark.parametrize(
    ("line", "clause"),
    [
        (["--without-ray", "--set", "cluster.train_workers=2"], "cluster.train_workers=2 beside --without-ray"),
        (["--without-ray", "--set", "cluster.gpus_per_worker=1"], "beside --without-ray name the GPU: --device cuda"),
        (["--without-ray", "--device", "meta"], "device 'meta' cannot be used here (it holds no values)"),
        (["--without-ray", "--device", "cuda:77"], "device 'cuda:77' cannot be used here"),
        (["--without-ray", "--start-from", "classifier=x"], "classifier is not trained here, ed alone"),
    ],
)
def test_what_would_not_count_is_refused(
    outputs: Path, capsys: pytest.CaptureFixture[str], line: list[str], clause: str
) -> None:
    code, told = train(capsys, outputs.parent, "ed", *line)
    assert code == 2 and clause in told


def test_weights_to_start_from_are_looked_at_before_the_classifier_is_trained(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, models = ["--without-ray", "-o", str(tmp_path / "first")], ["--without-ray", "-o", str(tmp_path / "models")]
    assert train(capsys, tmp_path, "classifier", *first)[0] == 0
    assert train(capsys, tmp_path, "ced-gt", *models, "--start-from", str(tmp_path / "first")) == (
        2,
        f"ced: error: {tmp_path / 'first'}: no weights of ced-gt to start from; give what `ced train -o` wrote, "
        "or a restorer",
    )
    code, told = train(capsys, tmp_path, "ced-gt", *models, "--start-from", "ced-gt=released")
    assert code == 2 and "autoencoder.safetensors: weights of another network" in told
    assert not (tmp_path / "models").exists(), "nothing was trained meanwhile"
    wider = ["--set", "network.width=12", "--set", "network.stages=3"]
    assert (
        train(capsys, tmp_path, "ced-gt", *models, *wider, "--start-from", f"classifier={tmp_path / 'first'}")[0] == 0
    )


def test_ced_gt_with_a_block_effect_takes_the_classifier_and_its_restorer_the_temperature(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = words(["autoencoder.block_effect=0.3", "restore.temperature=0.05"])
    for model in ("ced-gt", "ced-est"):
        line = [model, "--without-ray", "-o", str(tmp_path / "models"), *settings]
        assert train(capsys, tmp_path, *line)[0] == 0
    described = {
        model: json.loads((tmp_path / "models" / f"restorer-{model}" / "restorer.json").read_text())
        for model in ("ced-gt", "ced-est")
    }
    assert described["ced-gt"]["temperature"] == 0.05 and "temperature" not in described["ced-est"]
    inputs = json.loads((tmp_path / "models" / "train-ced-gt" / "manifest.json").read_text())["inputs"]
    classifier = read_manifest(tmp_path / "models" / "train-classifier")
    assert classifier is not None and inputs["classifier"] == classifier.content


def test_training_on_nothing_says_what_there_is_to_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ed", "--recipe", "small", "--without-ray", "--store", str(tmp_path)]) == 2
    assert "name folders with --images, or what `ced prepare -o` wrote with --data" in capsys.readouterr().err


def test_a_part_of_the_examples_that_is_gone_ends_it_before_anything_is_trained(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "prepare" / "examples" / "part-00001.parquet").unlink()
    code, told = train(capsys, tmp_path, "classifier", "--without-ray")
    assert code == 2 and "part-00001.parquet missing" in told


def test_weights_to_start_from_are_for_every_model_or_for_the_named() -> None:
    assert start_folders([], NETWORKS.names) == {}
    both = ("classifier", "ced-gt")
    assert start_folders(["a=b"], both) == dict.fromkeys(both, Path("a=b").resolve())
    each = start_folders(["classifier=released", "ed=models"], NETWORKS.names)
    assert each == {"classifier": RELEASED / "y", "ed": Path("models").resolve()}
    for twice in (["ed=a", "ed=b"], ["a", "b"], ["a", "ed=b"]):
        with pytest.raises(ConfigError, match="has a folder already"):
            start_folders(twice, NETWORKS.names)


def test_weights_for_a_model_that_is_not_trained_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--start-from ed=a: ed is not trained here, classifier and ced-gt alone"):
        start_folders(["ed=a"], ("classifier", "ced-gt"))
