"""`ced` from its wheel, in environments that have what it declares and nothing else."""

import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from skimage import data

from ced.cli.main import PIPELINE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools writes beside what it builds
    ignored = shutil.ignore_patterns(".*", "tests", "docs", "benchmarks", "__pycache__", "*.egg-info", "build")
    shutil.copytree(ROOT, source, ignore=ignored)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", str(source)]
    subprocess.run([*build, "-w", str(folder)], check=True, timeout=300)
    (path,) = folder.glob("ced-*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `ced` command of an environment with the wheel and what it requires: the packages of this environment that
    its metadata lead to, linked into an empty one."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith("/METADATA"))
        requires = email.message_from_bytes(file.read(name)).get_all("Requires-Dist") or []
    for distribution in closure(requires):
        for top in {str(path).split("/")[0] for path in distribution.files or [] if not str(path).startswith("..")}:
            target = Path(str(distribution.locate_file(top)))
            if target.exists() and not (packages / top).exists():
                (packages / top).symlink_to(target)
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q", "--no-deps"]
    subprocess.run([*install, str(wheel)], check=True, timeout=300)
    check = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "check"]
    checked = subprocess.run(check, capture_output=True, text=True, timeout=300)
    assert checked.stdout == "No broken requirements found.\n"
    return folder / "bin" / "ced"


def closure(requires: list[str]) -> list[importlib.metadata.Distribution]:
    """The installed distributions that some requirements lead to, those of extras left out."""
    distributions: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(requires)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name not in distributions and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
            distributions[name] = importlib.metadata.distribution(name)
            waiting += distributions[name].requires or []
    return list(distributions.values())


def ced(command: Path, *arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(store), "CED_STORE": str(store / "store")}
    words = [str(command), *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=store, env=environment)


def test_the_package_alone_restores(bare: Path, tmp_path: Path) -> None:
    Image.fromarray(data.coffee()).crop((0, 0, 200, 120)).save(tmp_path / "cup.jpg", quality=10)
    done = ced(bare, "restore", "cup.jpg", "-o", "cup.png", store=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "restored 1 of 1 images to cup.png\n")
    with Image.open(tmp_path / "cup.png") as restored, Image.open(tmp_path / "cup.jpg") as before:
        assert restored.size == (200, 120)
        assert 1 < np.abs(np.asarray(restored, float) - np.asarray(before, float)).mean() < 10


def test_it_brings_nothing_of_the_pipeline(bare: Path) -> None:
    python = bare.with_name("python")
    absent = f"import importlib.util; print([n for n in {PIPELINE!r} if importlib.util.find_spec(n)])"
    done = subprocess.run([python, "-I", "-c", absent], capture_output=True, text=True, timeout=60)
    assert done.stdout == "['jinja2']\n", "torch brings jinja2 itself"


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("run", "quickstart", "--images", ".", "--test-images", "."), "prefect"),
        (("prepare", "--images", "."), "ray"),
        (("evaluate", "--images", ".", "--methods", "jpeg"), "ray"),
        (("train", "ed", "--images", "."), "ray"),
    ],
)
def test_a_command_whose_part_is_missing_says_what_to_type(
    bare: Path, tmp_path: Path, arguments: tuple[str, ...], package: str
) -> None:
    Image.fromarray(data.coffee()).save(tmp_path / "cup.jpg")
    (tmp_path / "store").mkdir()
    done = ced(bare, *arguments, store=tmp_path)
    line = f"ced: error: this needs {package}, which is not here; pip install 'ced[pipeline]'"
    said = [text for text in done.stderr.splitlines() if "passed over" not in text]  # what is no photograph in "."
    assert (done.returncode, said) == (2, [line])


def test_every_package_of_the_pipeline_is_known_by_the_name_that_is_imported() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {Requirement(text).name for text in extras["pipeline"]}
    names = {
        package: {name.lower() for name in names}
        for package, names in importlib.metadata.packages_distributions().items()
    }
    assert len(PIPELINE) == len(wanted) == len([p for p in PIPELINE if names[p] & wanted])
