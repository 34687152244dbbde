"""`ced report`: a page and figures from a store, without Ray or MLflow."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ced.cli.main import main


@pytest.fixture
def store(evaluation_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluation_store, tmp_path / "store"))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], str]:
    code = main(["report", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err


def test_a_store_is_enough(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    code, lines, _ = run(capsys, "--store", store, "-o", out)
    assert code == 0
    (evaluated,) = (store / "evaluate").iterdir()
    assert lines == [f"of:      {evaluated}", f"report:  {out / 'report.html'}", f"figures: {out / 'figures'}"]
    for name in ("figure-5", "figure-6"):
        assert (out / "figures" / f"{name}.svg").read_text().rstrip().endswith("</svg>")
        Image.open(out / "figures" / f"{name}.png").verify()
    assert 'id="figure-6"' in (out / "report.html").read_text()
    assert (out / "strips" / "03.png").exists()


def test_pictures_region_and_channels_are_chosen(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--images", "cup", "--crop", "8, 8, 32, 16", "--channels", "2-1, 7-7"]
    (folder,) = (store / "evaluate").iterdir()
    code, _, _ = run(capsys, folder, *chosen, "--store", tmp_path / "elsewhere", "-o", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert code == 0
    assert page.count("<h3>set/cup.png</h3>") == 2 and "set/cat.png" not in page
    assert "<h4>2-1</h4>" in page and "<h4>7-7</h4>" in page and "<h4>1-1</h4>" not in page
    assert 'width="32" height="16" alt="set/cup.png, JPEG, enlarged"' in page


@pytest.mark.parametrize(
    ("arguments", "clause"),
    [
        (["--channels", "9-1"], "figures.channels = '9-1': use 1-1 to 8-8"),
        (["--crop", "1,2"], "write it as left,top,width,height"),
        (["--crop", "0,0,9000,8"], "reaches outside set/cat.png"),
        (["--images", "3"], "image '3' was not kept"),
    ],
)
def test_a_mistake_is_one_line(
    store: Path, arguments: list[str], clause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, error = run(capsys, "--store", store, *arguments)
    assert (code, lines) == (2, [])
    assert clause in error
    assert len(error.splitlines()) == 1


def test_no_ray_and_no_mlflow_is_started_for_it(store: Path) -> None:
    script = (
        "import sys; from ced.cli.main import main; code = main(sys.argv[1:]); "
        "sys.exit(code or len({'ray', 'mlflow', 'prefect'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "report", "--store", str(store)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
