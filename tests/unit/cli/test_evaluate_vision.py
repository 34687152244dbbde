"""`ced evaluate-vision` as far as its arguments go: mistakes are one line and exit code 2."""

from pathlib import Path

import pytest

from ced.cli import main
from ced.cli.evaluate import vision_methods as methods
from ced.errors import ConfigError


def test_methods_are_names_and_folders() -> None:
    assert methods(["original, jpeg,mine=some/folder"], None) == ("original", "jpeg", "mine=some/folder")
    assert methods(["jpeg,ed"], "models") == ("jpeg", "ed=models/restorer-ed")
    command = "qs=command:jpegqs -q 3,4 {input} {output}"
    asked = ["original", "best=models:/ced@champion,old=folder:some/images", command]
    assert methods(asked, None) == ("original", "best=models:/ced@champion", "old=folder:some/images", command)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ed", "--methods ed: say where it is, as ed=DIR or with --models DIR"),
        ("ed=", "method 'ed=': nothing behind '='; say where it is"),
        ("jpeg,jpeg", "--methods: jpeg is named twice"),
        ("ed=a,ED=b", "--methods: ed is named twice"),
        ("jpeg=folder", "method 'jpeg=folder': jpeg is the damaged image itself"),
        ("original=folder", "original is taken"),
        ("mine", "--methods: unknown method 'mine'"),
    ],
)
def test_bad_methods_are_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        methods([text], None)


def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str, **others: str) -> tuple[int, str]:
    given = {"--voc": "gone", "--detector": "gone.onnx", "--segmenter": "gone.tflite", "--store": str(tmp_path)}
    options = [part for pair in {**given, **others}.items() for part in pair]
    code = main.main(["evaluate-vision", *options, *arguments])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--quality", "0"), "--quality = 0: use 1 to 100"),
        (("--quality", "10", "--quality", "10"), "--quality = (10, 10): name some, each once"),
        (("--colour", "cmyk"), "--colour = 'cmyk': use rgb or y"),
        (("--through", "lab"), "--through = 'lab': use rgb, ycbcr or luma"),
        (("--fit", "tight"), "--fit = 'tight': use native or scaled"),
        (("--pictures", "-1"), "--pictures = -1: use 0 or more"),
        (("--methods", "ed"), "--methods ed: say where it is"),
        (("--methods", ","), "--methods = (): name some, each once"),
        (("--set", "evaluate.colour=y"), "--set evaluate.colour: does not count here, where cluster.data_workers"),
        (("--models", "out"), "--models out: no trained method is asked for"),
        ((), "gone: no such folder; name a VOC folder with --voc"),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, said = run(capsys, tmp_path, *arguments)
    assert code == 2
    assert said == f"ced: error: {said.removeprefix('ced: error: ')}" and said.count("\n") == 1
    assert message in said


def test_models_are_looked_for_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_voc: Path, tiny_detector: Path
) -> None:
    found = {"--voc": str(tiny_voc)}
    assert run(capsys, tmp_path, **found) == (2, "ced: error: --detector gone.onnx: no such file\n")
    found["--detector"] = str(tiny_detector)
    assert run(capsys, tmp_path, **found) == (2, "ced: error: --segmenter gone.tflite: no such file\n")
    assert not list(tmp_path.glob("evaluate-vision/*/.parts"))
