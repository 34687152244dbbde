"""`ced restore`: where outputs go is decided, and mistakes are found, before anything is written."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from ced.cli.main import main
from ced.config import NetworkConfig
from ced.core import images
from ced.core.classes import Classes
from ced.core.encoding import Writing
from ced.models import weights
from ced.models.autoencoder import AutoEncoder
from ced.models.classifier import Classifier
from ced.restoration import restorer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained ED, a restorer like any other."""
    torch.manual_seed(0)
    network = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1)
    folder = tmp_path_factory.mktemp("model")
    for name, content in restorer.files("ed", weights.encode(AutoEncoder(network, 1, conditioned=False))).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained CED whose decoder looks at q."""
    torch.manual_seed(0)
    network = NetworkConfig(width=8, width_half=4, width_full=4, blocks=1, stage_blocks=1)
    autoencoder = AutoEncoder(network, 1, conditioned=True)
    torch.nn.init.normal_(autoencoder.decoder.last.weight, std=0.1)
    table = np.linspace(-3, 3, 7, dtype=np.float32) * np.ones((16, 1), np.float32)
    classes = Classes(table[:, :-1] + 0.5, table, np.full((16, 7), 10, np.int64))
    folder = tmp_path_factory.mktemp("conditioned")
    encoded = weights.encode(autoencoder), weights.encode(Classifier(network, 1, 7))
    for name, content in restorer.files("ced-gt", *encoded, classes.to_json()).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "cat.jpg"
    path.parent.mkdir()
    Image.fromarray(data.chelsea()).save(path, quality=10)
    return path


def run(*arguments: object) -> int:
    return main(["restore", *map(str, arguments)])


def test_one_file_to_one_file(cat: Path, model: Path, tmp_path: Path) -> None:
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model) == 0
    with Image.open(tmp_path / "cat.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (451, 300))


def test_a_folder_keeps_its_shape(cat: Path, model: Path, tmp_path: Path) -> None:
    below = cat.parent / "below" / "dog.jpeg"
    below.parent.mkdir()
    below.write_bytes(cat.read_bytes())
    assert run(cat.parent, "-o", tmp_path / "out", "--model", model) == 0
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")) == [
        "below/dog.png",
        "cat.png",
    ]


def test_one_file_into_a_folder(cat: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run(cat, "-o", tmp_path / "out", "--model", model) == 0
    assert (tmp_path / "out" / "cat.png").is_file()


def test_a_bad_image_is_named_and_the_others_are_restored(
    cat: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (cat.parent / "bad.jpg").write_bytes(cat.read_bytes()[:2000])
    assert run(cat.parent, "-o", tmp_path / "out", "--model", model) == 2
    assert "1 of 2 images could not be restored" in capsys.readouterr().err
    assert any("bad.jpg" in message and "truncated" in message for message in caplog.messages)
    assert (tmp_path / "out" / "cat.png").is_file()


def jpeg_stating(side: int) -> bytes:
    """A JPEG whose header states a size that is not there."""
    stream = io.BytesIO()
    Image.new("L", (16, 16)).save(stream, "JPEG")
    frame = stream.getvalue().index(b"\xff\xc0") + 5
    return stream.getvalue()[:frame] + side.to_bytes(2, "big") * 2 + stream.getvalue()[frame + 4 :]


def test_hostile_files_are_each_named_in_a_line_and_the_last_one_is_restored(
    cat: Path, model: Path, tmp_path: Path
) -> None:
    """Nothing else is printed: neither by Pillow's warnings, nor by libtiff, nor by a program that a file starts."""
    avif, tiff = io.BytesIO(), io.BytesIO()
    Image.fromarray(data.chelsea()).save(avif, "AVIF")
    Image.fromarray(data.chelsea()).save(tiff, "TIFF", compression="tiff_lzw")
    torn = tiff.getvalue()
    hostile = {
        "0-eps.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n",
        "1-bomb.jpg": jpeg_stating(15_000),
        "2-large.jpg": jpeg_stating(10_000)[:300],
        "3-line.png": images.png(np.zeros((1, 70_000), np.uint8)),
        "4-torn.avif": avif.getvalue()[:600],
        "5-torn.tif": torn[: len(torn) // 2] + bytes(99) + torn[len(torn) // 2 + 99 :],
        "6-pdf.png": b"%PDF-1.4\n1 0 obj\n",
    }
    for name, stream in hostile.items():
        (cat.parent / name).write_bytes(stream)
    cat.rename(cat.with_name("z.jpg"))
    command = [sys.executable, "-m", "ced", "restore", cat.parent, "-o", tmp_path / "out", "--model", model]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    *lines, restored, error = ended.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"in/{name}" for name in sorted(hostile)]
    assert all(line.endswith("; left out") for line in lines)
    assert "15000" not in lines[0] and "225000000 pixels, the limit is 200000000 (too large)" in lines[1]
    assert "70000x1 pixels, the limit of a side is 65500 (too large)" in lines[3]
    assert "(not an image)" in lines[0] and "(not an image)" in lines[6]
    assert restored.startswith("restored 1 of 8 images") and error.startswith("ced: error: 7 of 8 images")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["restored.parquet", "z.png"]


def test_the_limits_are_options(cat: Path, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model, "--max-pixels", 100_000) == 2
    assert "in/cat.jpg" not in caplog.text and "135300 pixels, the limit is 100000 (too large)" in caplog.text
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model, "--max-seconds", 0.0001) == 2
    assert "decoding it takes more than 0.0001 s (too slow)" in caplog.text
    for wrong in (("--max-pixels", 0), ("--max-seconds", -1), ("--max-seconds", "nan")):
        assert run(cat, "-o", tmp_path / "cat.png", "--model", model, *wrong) == 2
    assert not (tmp_path / "cat.png").exists()


def test_gray_stays_gray(cat: Path, model: Path, tmp_path: Path) -> None:
    gray = cat.with_name("gray.jpg")
    Image.fromarray(data.camera()[:99, :101]).save(gray, quality=10)
    assert run(gray, "-o", tmp_path / "gray.png", "--model", model) == 0
    with Image.open(tmp_path / "gray.png") as image:
        assert (image.mode, image.size) == ("L", (101, 99))
        assert np.asarray(image).any()


@pytest.mark.parametrize(
    ("prepare", "out", "clause"),
    [
        (lambda root: (root / "x.png").mkdir(), "x.png", "exists as a folder"),
        (lambda root: None, "x.gif", "restored images are .png, .jpg, .webp, .tif, .avif, .jpeg, .tiff; name it"),
        (lambda root: (root / "x.png").write_text("mine"), "x.png", "there already"),
        (lambda root: (root / "x").write_text(""), "x/", "is a file"),
    ],
)
def test_outputs_that_cannot_be(
    cat: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], prepare, out: str, clause: str
) -> None:
    prepare(tmp_path)
    inputs = [cat] if not out.endswith("/") else [cat.parent]
    assert run(*inputs, "-o", tmp_path / out.rstrip("/"), "--model", model) == 2
    assert clause in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        (("IN/cat.jpg", "-o", "IN/cat.jpg"), "would overwrite its own input"),
        (("IN", "-o", "p.png"), "is the name of one file"),
        (("IN", "-o", "IN"), "holds the inputs"),
        (("IN", "-o", "a/out.tar.gz"), "give -o out, then pack it: tar -caf out.tar.gz -C out ."),
        (("IN", "-o", "out.zip"), "give -o out, then pack it: zip -r out.zip out"),
        (("IN", "-o", "s3://bucket/out.tar"), "s3://bucket/out.tar: restored files go into a folder; give -o out"),
        (("IN", "-o", "-"), "standard output takes one image"),
        (("-", "-o", "out"), "standard input is one image; name a file, such as out.png"),
        (("-", "IN", "-o", "out"), "standard input is one image; restore it apart"),
        (("IN", "-o", "out", "--format", "gif"), "--format gif: use png, jpeg, webp, tiff, avif"),
        (("IN/cat.jpg", "-o", "p.webp", "--format", "jpeg"), "--format jpeg beside -o p.webp"),
        (("IN/cat.jpg", "-o", "p.png", "--output-quality", "80"), "png loses nothing"),
        (("IN", "-o", "out", "--output-quality", "80"), "png loses nothing"),
        (("IN", "-o", "out", "--output-quality", "101"), "from 1 to 100"),
        (("IN", "-o", "out", "--workers", "-1"), "use a number above 0"),
    ],
)
def test_what_cannot_be_is_a_line_before_any_work(
    cat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, words: tuple[str, ...], clause: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = cat.read_bytes()
    assert run(*(word.replace("IN", str(cat.parent)) for word in words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert clause in line
    assert [path.name for path in tmp_path.iterdir()] == ["in"] and cat.read_bytes() == before
    assert [path.name for path in cat.parent.iterdir()] == ["cat.jpg"]


def test_a_file_of_the_user_s_is_replaced_where_that_is_asked_for(cat: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_text("mine")
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model, "--overwrite") == 0
    assert Image.open(tmp_path / "cat.png").size == (451, 300)


def test_through_a_pipe(cat: Path, model: Path, tmp_path: Path) -> None:
    """Nothing else is on standard output."""
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model) == 0
    command = [sys.executable, "-m", "ced", "restore", "-", "-o", "-", "--model", model]
    for stream, code in ((cat.read_bytes(), 0), (cat.read_bytes()[:2000], 2), (b"", 2)):
        ended = subprocess.run(command, input=stream, capture_output=True, timeout=300, cwd=tmp_path)
        assert ended.returncode == code
        assert ended.stdout == ((tmp_path / "cat.png").read_bytes() if code == 0 else b"")
    assert b"standard input: the file has no bytes (empty); left out" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.png", "in"]


@pytest.mark.parametrize(
    "suffix, written_as", [(".jpg", "jpeg"), (".JPEG", "jpeg"), (".webp", "webp"), (".avif", "avif")]
)
def test_the_name_of_one_output_says_its_format(
    cat: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, written_as: str
) -> None:
    from ced.restoration import files

    asked, restore_file = [], files.restore_file
    monkeypatch.setattr(files, "restore_file", lambda *words: (asked.append(words[-1]), restore_file(*words))[1])
    out = tmp_path / f"cat{suffix}"
    assert run(cat, "-o", out, "--model", model, "--output-quality", 80, "--strip", "--damaged") == 0
    assert asked == [Writing(format=written_as, output_quality=80, strip=True, damaged=True, always=True)]


@pytest.mark.parametrize("how", ["sharpest", "-0.1", "1.5", "nan", " "])
def test_other_ways_to_read_off(
    cat: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model, f"--read-off={how}") == 2
    assert "use argmax, mean, or a temperature from 0 to 1" in capsys.readouterr().err


def test_self_ensemble(cat: Path, conditioned: Path, tmp_path: Path) -> None:
    for name, more in (("one", ()), ("mean", ("--self-ensemble",))):
        assert run(cat, "-o", tmp_path / f"{name}.png", "--model", conditioned, *more) == 0
    expected = restorer.Restorer.load(conditioned, self_ensemble=True).restore_bytes(cat.read_bytes())
    assert (tmp_path / "mean.png").read_bytes() == expected != (tmp_path / "one.png").read_bytes()


def test_reading_off_where_there_is_no_classifier(
    cat: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model, "--read-off", "mean") == 2
    assert "--read-off mean: ed has no classifier to read off" in capsys.readouterr().err
    assert run(cat, "-o", tmp_path / "cat.png", "--model", model, "--read-off", "argmax") == 0


def test_from_sharp_to_faithful(cat: Path, conditioned: Path, tmp_path: Path) -> None:
    files = {}
    for how in ("argmax", "0", "0.5", "1", "mean"):
        assert run(cat, "-o", tmp_path / f"{how}.png", "--model", conditioned, "--read-off", how) == 0
        files[how] = (tmp_path / f"{how}.png").read_bytes()
    assert files["argmax"] == files["0"] and files["1"] == files["mean"]
    assert len(set(files.values())) == 3


def test_the_paper_s_way_where_a_restorer_has_another_of_its_own(cat: Path, conditioned: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(conditioned, own)
    described = json.loads((own / "restorer.json").read_text()) | {"temperature": 0.5}
    del described["sha256"]  # it was changed on purpose
    (own / "restorer.json").write_text(json.dumps(described))
    files = {}
    for name, model, how in (("own", own, ()), ("half", conditioned, ("0.5",)), ("argmax", own, ("argmax",))):
        more = ("--read-off", *how) if how else ()
        assert run(cat, "-o", tmp_path / f"{name}.png", "--model", model, *more) == 0
        files[name] = (tmp_path / f"{name}.png").read_bytes()
    assert files["own"] == files["half"] != files["argmax"]
    assert run(cat, "-o", tmp_path / "paper.png", "--model", conditioned) == 0
    assert files["argmax"] == (tmp_path / "paper.png").read_bytes()


@pytest.mark.parametrize("spoil", ["description", "weights", "nothing there"])
def test_a_model_of_another_format(
    cat: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: str
) -> None:
    other = tmp_path / "other"
    if spoil != "nothing there":
        other.mkdir()
        for path in model.iterdir():
            (other / path.name).write_bytes(path.read_bytes())
    if spoil == "description":
        (other / "restorer.json").write_text('{"format": "ced-restorer", "version": 99, "method": "ed"}')
    if spoil == "weights":
        (other / "autoencoder.safetensors").write_bytes(b"\x00" * 100)
    assert run(cat, "-o", tmp_path / "cat.png", "--model", other) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert str(other) in lines[0] or "safetensors" in lines[0]
    assert not (tmp_path / "cat.png").exists()


@pytest.mark.parametrize(
    "other", [("--model", "DIR"), ("--store", "DIR"), ("--store", "released"), ("--read-off", "mean")]
)
def test_the_faithful_one_is_a_model(
    cat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], other: tuple[str, str]
) -> None:
    assert run(cat, "-o", tmp_path / "cat.png", "--faithful", *other) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert " ".join(other) in line and "leave one out" in line
    assert run(cat, "-o", tmp_path / "cat.png", "--faithful", "--model", "released") == 0


def test_a_store_that_is_not_there_is_named(cat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cat, "-o", tmp_path / "cat.png", "--store", tmp_path / "gone") == 2
    assert f"{tmp_path / 'gone'}: no such store" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()
