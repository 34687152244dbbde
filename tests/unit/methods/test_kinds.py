"""What is found out about methods before a job, and that they open afterwards."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ced.config import EvaluateConfig, VisionConfig
from ced.core.metrics import blocking_effect_factor
from ced.errors import CedError
from ced.methods import Damaged, Failed, Request, checked, find, parse
from ced.methods.folder import FolderMethod
from ced.methods.restorer import restorer
from ced.restoration.family import FAITHFUL, RELEASED, Family
from ced.restoration.restorer import Restorer

TWO = EvaluateConfig(qualities=(10, 20))


def released(quality: int, in_colour: bool) -> Path:
    member = Family.load(RELEASED).member(quality, "rgb" if in_colour else "y")
    assert member is not None
    return member.folder


def test_a_restorers_folder(gray_model: Path, gray: Damaged, tmp_path: Path) -> None:
    prepared = find(parse(f"mine={gray_model}"), TWO, tmp_path)
    copy = shutil.copytree(gray_model, tmp_path / "copy")
    assert find(parse(f"other={copy}"), TWO, tmp_path).content == prepared.content, "the content, not the place"
    method = prepared
    assert method.name == "mine"
    assert checked(method, gray).shape == gray.image.shape
    assert prepared is method, "loaded once"
    assert restorer("mine", gray_model, "known").content == "known"


def test_self_ensemble_of_a_restorer_and_of_one_for_each_quality(gray: Damaged, tmp_path: Path) -> None:
    """Another method, by name and by content, so that no result of the one is taken for the other's."""
    for where in ("released", str(released(gray.quality, in_colour=False))):
        alone, ensemble = (find(parse(f"mine={how}{where}"), TWO, tmp_path) for how in ("", "self-ensemble:"))
        assert alone.content != ensemble.content
        single = Restorer.load(released(gray.quality, in_colour=False), self_ensemble=True)
        restored = checked(ensemble, gray)
        assert np.array_equal(restored, single.restore_planes(gray.image[None])[0])
        assert not np.array_equal(restored, checked(alone, gray))


def test_what_comes_with_ced_needs_nothing_trained(tmp_path: Path, gray: Damaged) -> None:
    """For each quality factor the restorer that `ced restore` takes."""
    prepared = find(parse("ours=released"), TWO, tmp_path)
    assert dataclasses.replace(prepared, name="released") == find(parse("released"), TWO, tmp_path / "elsewhere")
    method = prepared
    assert (method.name, method.colours) == ("ours", ("y",))
    for quality in TWO.qualities:
        damaged = Damaged.of("man.png", quality, gray.image)
        single = find(parse(f"one={released(quality, in_colour=False)}"), TWO, tmp_path)
        restored = checked(method, damaged)
        assert np.array_equal(restored, checked(single, damaged))
        assert blocking_effect_factor(restored) < blocking_effect_factor(damaged.image) / 2


def test_what_comes_with_ced_takes_colour_by_networks_of_its_own(
    colour: Damaged, gray: Damaged, tmp_path: Path
) -> None:
    both = VisionConfig(methods=("jpeg",), colours=("rgb", "y"), qualities=(10, 20))
    prepared = find(parse("ours=released"), both, tmp_path)
    method = prepared
    assert set(method.colours) == {"y", "rgb"}
    strong = Damaged.of("cat.png", 10, colour.image)
    for damaged, in_colour in ((strong, True), (colour, True), (gray, False)):
        single = Restorer.load(released(damaged.quality, in_colour))
        assert np.array_equal(
            checked(method, damaged), np.asarray(single.restore_image(Image.fromarray(damaged.image)))
        )
    assert Restorer.load(released(10, in_colour=True)).channels == 3
    with pytest.raises(Failed, match="none is for rgb at quality factor 20"):
        checked(find(parse("ours=released"), TWO, tmp_path), colour)


def test_the_faithful_one_takes_colour_and_gray(colour: Damaged, gray: Damaged, tmp_path: Path) -> None:
    rgb = VisionConfig(methods=("jpeg",), colours=("rgb",), qualities=(10, 20))
    method = find(parse("faithful"), rgb, tmp_path)
    single = Restorer.load(FAITHFUL)
    expected = np.asarray(single.restore_image(Image.fromarray(colour.image)))
    assert (method.name, method.colours) == ("faithful", ("y", "rgb"))
    assert np.array_equal(checked(method, colour), expected)
    plane = find(parse("faithful"), TWO, tmp_path)
    assert np.array_equal(checked(plane, gray), np.asarray(single.restore_image(Image.fromarray(gray.image))))


def test_a_restorer_opens_with_the_way_that_colour_takes(gray_model: Path, colour: Damaged, tmp_path: Path) -> None:
    prepared = find(parse(f"mine={gray_model}"), TWO, tmp_path)
    luma = checked(prepared, colour)
    ycbcr = checked(dataclasses.replace(prepared, through="ycbcr"), colour)
    assert not np.array_equal(luma, ycbcr)


def test_a_folder_of_two_colours_needs_both_and_their_qualities(tmp_path: Path, gray: Damaged) -> None:
    both = VisionConfig(methods=("jpeg",), colours=("rgb", "y"), qualities=(10, 20))
    asked = parse(f"mine=folder:{tmp_path / 'made'}")
    for quality in (10, 20):
        (tmp_path / "made" / f"q{quality}").mkdir(parents=True)
    with pytest.raises(CedError, match="made has no y and rgb; with several colours it needs them"):
        find(asked, both, tmp_path)
    (tmp_path / "made" / "y" / "q10").mkdir(parents=True)
    with pytest.raises(CedError, match="made/rgb: no such folder; restore images of this colour too"):
        find(asked, both, tmp_path)
    (tmp_path / "made" / "rgb" / "q10").mkdir(parents=True)
    with pytest.raises(CedError, match="made/rgb has no q20"):
        find(asked, both, tmp_path)
    for colour in ("y", "rgb"):
        (tmp_path / "made" / colour / "q20").mkdir()
        Image.fromarray(gray.image).save(tmp_path / "made" / colour / "q20" / "man.png")
    with pytest.raises(CedError, match="method mine: .*/rgb/q10: no files in it"):
        find(asked, both, tmp_path)
    for colour in ("y", "rgb"):
        Image.fromarray(gray.image).save(tmp_path / "made" / colour / "q10" / "man.png")
    assert isinstance(find(asked, both, tmp_path), FolderMethod)


def test_a_restorer_for_each_quality_factor(tmp_path: Path, gray: Damaged, write_restorer: Callable[..., Path]) -> None:
    """The paper has one network for each: 10 and 20 are restored by different ones, in whatever order."""
    for quality in (10, 20):
        write_restorer(tmp_path / f"q{quality}" / "ed", 1, seed=quality)
    asked = parse(f"mine={tmp_path}/q{{quality}}/ed")
    prepared = find(asked, TWO, tmp_path)
    method = prepared
    assert (method.name, method.colours) == ("mine", ("y", "rgb"))
    for quality in (20, 10):
        single = find(parse(f"one={tmp_path}/q{quality}/ed"), TWO, tmp_path)
        damaged = Damaged.of("man.png", quality, gray.image)
        assert np.array_equal(checked(method, damaged), checked(single, damaged))
    with pytest.raises(Failed, match="none is for y at quality factor 30"):
        checked(method, Damaged.of("man.png", 30, gray.image))
    write_restorer(tmp_path / "q20" / "ed", 1, seed=3)
    assert find(asked, TWO, tmp_path).content != prepared.content
    with pytest.raises(CedError, match="q30"):
        find(asked, EvaluateConfig(qualities=(10, 30)), tmp_path)


def test_a_folder_of_images_changes_with_its_files(tmp_path: Path, gray: Damaged) -> None:
    for quality in (10, 20):
        (tmp_path / f"q{quality}").mkdir()
        Image.fromarray(gray.image).save(tmp_path / f"q{quality}" / "man.png")
    prepared = find(parse(f"mine=folder:{tmp_path}"), TWO, tmp_path)
    assert np.array_equal(checked(prepared, gray), gray.image)
    Image.fromarray(gray.image[:-1]).save(tmp_path / "q20" / "man.png")
    assert find(parse(f"mine=folder:{tmp_path}"), TWO, tmp_path).content != prepared.content


def test_linked_folders_of_images_are_looked_into_and_others_left_alone(tmp_path: Path, gray: Damaged) -> None:
    """What decides is what would be taken: the files behind a link too, but no quality factor that is not asked for."""
    for place in ("elsewhere", "made/q20", "made/q30"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(gray.image).save(tmp_path / place / "man.png")
    (tmp_path / "made" / "q10").symlink_to(tmp_path / "elsewhere")
    asked = parse(f"mine=folder:{tmp_path / 'made'}")
    before = find(asked, TWO, tmp_path)
    assert np.array_equal(checked(before, gray), gray.image)
    Image.fromarray(gray.image[:-1]).save(tmp_path / "made" / "q30" / "man.png")
    assert find(asked, TWO, tmp_path).content == before.content
    Image.fromarray(gray.image[:-1]).save(tmp_path / "elsewhere" / "man.png")
    assert find(asked, TWO, tmp_path).content != before.content


def test_a_command(tmp_path: Path, gray: Damaged) -> None:
    prepared = find(parse("mine=command:cp {input} {output}"), TWO, tmp_path)
    assert (prepared.folder, prepared.timeout) == (Path.cwd(), 600.0)
    assert np.array_equal(checked(prepared, gray), gray.image)
    other = find(parse("mine=command:cp -p {input} {output}"), TWO, tmp_path)
    assert other.content != prepared.content


def test_a_command_changes_with_its_program(tmp_path: Path) -> None:
    program = tmp_path / "restore"
    program.write_text("#!/bin/sh\ncp $1 $2\n")
    program.chmod(0o755)
    asked = parse(f"mine=command:{program} {{input}} {{output}}")
    before = find(asked, TWO, tmp_path).content
    program.write_text("#!/bin/sh\ncp -p $1 $2\n")
    assert find(asked, TWO, tmp_path).content != before


def test_a_command_changes_with_the_files_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that somebody else's program runs, and its weights: measured again where one was edited."""
    monkeypatch.chdir(tmp_path)
    asked = parse("mine=command:sh 'my restore.sh' --weights=best.pt --mode=x/y {input} {output}")
    contents = [find(asked, TWO, tmp_path).content]
    for name, text in (("my restore.sh", "cp $1 $2"), ("best.pt", "1"), ("my restore.sh", "cp -p $1 $2")):
        Path(name).write_text(text)
        contents.append(find(asked, TWO, tmp_path).content)
    Path("another").write_text("no part of it")
    assert find(asked, TWO, tmp_path).content == contents[-1]
    assert len(set(contents)) == 4
    long = parse(f"mine=command:sh -c '{'x' * 5000}' {{input}} {{output}}")
    assert find(long, TWO, tmp_path).content, "no name of a file is as long"


def test_jpeg_needs_nothing(tmp_path: Path, gray: Damaged) -> None:
    prepared = find(parse("jpeg"), TWO, tmp_path)
    assert prepared.content == ""
    assert checked(prepared, gray) is gray.image


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("ced-gt", "say where it is, as ced-gt=DIR"),
        ("mine={here}", "give the folder of a restorer"),
        ("mine=folder:{here}/gone", "no such folder"),
        ("mine=folder:{here}", "has no q10, q20"),
        ("mine=folder:{here}/some", "has no q20"),
        ("mine=command:cp {{input}}", "no {{output}}"),
        ("mine=models:/ced@champion", "no such model"),
        ("mine=models:/a/b/c", "write it as models:/NAME@ALIAS"),
        ("mine=runs:/0123/restorer", "no such run or model"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    text: str, clause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "some" / "q10").mkdir(parents=True)
    with pytest.raises(CedError) as caught:
        find(parse(text.format(here=tmp_path)), TWO, tmp_path)
    assert clause.format() in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_colour_model_is_for_colour(colour_model: Path, colour: Damaged, tmp_path: Path) -> None:
    asked = parse(f"mine={colour_model}")
    with pytest.raises(CedError, match="use --colour rgb"):
        find(asked, TWO, tmp_path)
    prepared = find(asked, EvaluateConfig(colour="rgb"), tmp_path)
    assert checked(prepared, colour).shape == colour.image.shape


def test_methods_without_a_network_need_no_torch() -> None:
    code = "import sys, ced.evaluation.evaluate; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_method_of_no_known_kind_is_not_taken_for_jpeg() -> None:
    with pytest.raises(CedError, match="unknown kind of method 'folders'; did you mean 'folder'"):
        find(Request("mine", "folders", "out"), TWO, Path())
