"""`ced run` around the flow: mistakes are found before a server is started, and what came out is printed."""

import http.server
import sys
import threading
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ced.cli import run
from ced.cli.main import main
from flows import server

ROW = {"dataset": "set", "quality": 10, "colour": "y", "method": "jpeg", "images": 2}
FIGURES = {"psnr": 27.77, "psnr_b": 25.33, "ssim": 0.791, "bef_mse_bound": 0.754}
MODEL = {"name": "mine", "alias": "champion", "version": 3, "promoted": True, "reason": ""}


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        (["quikstart"], "unknown recipe 'quikstart'; did you mean 'quickstart'?"),
        (["--set", "prepare.size=9"], "use a multiple of 8"),
        (["--report", "FILE"], "FILE"),
        (["--ray-address", "nonsense"], "write it as HOST:PORT"),
    ],
)
def test_mistakes_are_found_before_a_server_is_started(
    words: list[str],
    clause: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def started(store: Path) -> None:
        raise AssertionError("Prefect was started")

    monkeypatch.setattr(run, "_prefect", started)
    (tmp_path / "FILE").write_text("")
    words = [str(tmp_path / word) if word == "FILE" else word for word in words]
    assert main(["run", *words, "--store", str(tmp_path / "store")]) == 2
    error = capsys.readouterr().err
    assert clause in error and error.count("\n") == 1


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the flow is called with; it gives results without any work, on a server that is there already."""
    called: dict[str, Any] = {}

    def pipeline(**parameters: Any) -> dict[str, Any]:
        called.update(parameters)
        return {"rows": [{**ROW, **FIGURES}], "report": str(tmp_path / "page.html"), "model": MODEL}

    monkeypatch.setattr(server, "leave_signals_to_the_command", lambda: None)
    monkeypatch.setitem(sys.modules, "flows.pipeline", types.SimpleNamespace(pipeline=pipeline))
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "health").write_text("true")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as answering:
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{answering.server_port}/api")
        yield called
        answering.shutdown()


def test_the_flow_takes_what_was_written(flow: dict[str, Any], tmp_path: Path) -> None:
    store = ["--store", str(tmp_path / "store")]
    assert main(["run", *store]) == 0
    assert (flow["recipe"], flow["images"], flow["test_images"], flow["settings"]) == ("quickstart", None, None, [])
    sources = ["--images", "builtin:train", "--images", "builtin:test", "--test-images", "builtin:test"]
    words = ["small", *sources, "--set", "classes.count=5"]
    assert main(["run", *words, *store]) == 0
    assert (flow["recipe"], flow["images"]) == ("small", ["builtin:train", "builtin:test"])
    assert (flow["test_images"], flow["settings"]) == ("builtin:test", ["classes.count=5"])
    assert flow["store"] == str(tmp_path / "store")


def test_the_table_and_where_things_are_is_printed(
    flow: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", "--store", str(tmp_path / "a store")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("27.77" in line for line in lines)
    assert f"report: {tmp_path / 'page.html'}" in lines
    assert "model:  mine version 3, now @champion" in lines
    assert f"  ced restore photo.jpg -o photo.png --store '{tmp_path / 'a store'}'" in lines
    monkeypatch.setitem(MODEL, "promoted", False)
    monkeypatch.setitem(MODEL, "reason", "no better")
    out = tmp_path / "out"
    assert main(["run", "--store", str(tmp_path / "store"), "--report", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"report: {out / 'report.html'}" in lines
    assert "model:  mine version 3, not @champion: no better" in lines


def test_a_prefect_server_that_is_gone_is_found_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert main(["run", "--store", str(tmp_path / "store")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ced: error: no Prefect server at http://127.0.0.1:9/api (") and error.count("\n") == 1
