"""A headless Chromium driven over the DevTools protocol, and values that the report tests share."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ced.core.spectrum import Spectrum
from ced.evaluation.metrics import Row
from ced.report.model import Curve, Picture, Report, Spectra

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Tab:
    """One page in the browser: commands of the DevTools protocol, and all that the page complained of."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._send(method, **parameters)
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def open(self, url: str) -> None:
        self.command("Page.navigate", url=url)
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        answer = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def size(self, width: int, height: int, phone: bool = False) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        self.command("Emulation.setTouchEmulationEnabled", enabled=phone)

    def scheme(self, name: str) -> None:
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def mouse(self, *points: tuple[float, float]) -> None:
        """Press at the first point, move over the others, and let go at the last."""
        for kind, (x, y) in (
            ("mousePressed", points[0]),
            *(("mouseMoved", point) for point in points[1:]),
            ("mouseReleased", points[-1]),
        ):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def tap(self, x: float, y: float) -> None:
        """A finger, down and up at once: however busy the machine is, it never becomes a long press."""
        self._send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            code = KEY_CODES.get(key, 0)
            self.command("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def screenshot(self, whole: bool = True) -> bytes:
        picture = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(picture["data"])

    def _send(self, method: str, **parameters: Any) -> int:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        return self._number

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=30))
        method, parameters = message.get("method"), message.get("params", {})
        if method in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(parameters))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(parameters["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        return message


KEY_CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "End": 35, "Tab": 9}


def values(psnr: float, psnr_b: float, ssim: float, bound: float) -> dict[str, float]:
    """What Table 2 prints of a method."""
    return {"psnr": psnr, "psnr_b": psnr_b, "ssim": ssim, "bef_mse_bound": bound}


@pytest.fixture
def rows() -> tuple[Row, ...]:
    """Four methods on LIVE1 as the paper has it, and two on a test set of its own with figures that JSON lacks."""
    return (
        Row("LIVE1", 10, "y", "ced-gt", 29, values(26.77, 26.74, 0.7701, 0.0069)),
        Row("LIVE1", 10, "y", "jpeg", 29, values(27.7683, 25.3271, 0.7906, 0.7544)),
        Row("LIVE1", 10, "y", "ed", 29, values(29.104, 28.694, 0.8263, 0.099)),
        Row("LIVE1", 10, "y", "ced-est", 29, values(29.1, 28.62, 0.8251, 0.103)),
        Row("holiday", 95, "rgb", "jpeg", 2, values(41.0, 40.5, 0.99, 0.122)),
        Row("holiday", 95, "rgb", "ed", 2, values(float("inf"), float("inf"), 1.0, float("nan"))),
    )


@pytest.fixture
def picture() -> Picture:
    """A gradient with texture in one corner, 96 x 64, and three versions of it; every value differs somewhere."""
    return make_picture("gradient")


@pytest.fixture
def report(rows: tuple[Row, ...], picture: Picture) -> Report:
    points = tuple({"step": s, "loss": 1 / s, "learning_rate": 1e-3, "psnr": 20.0 + s} for s in (10, 20, 30))
    pictures = (picture, make_picture("colours", planes=3))
    facts = (("Recipe", "quickstart"),)
    return Report("Quickstart", rows, (Curve("ed", points),), pictures, facts)


@pytest.fixture
def full_report(report: Report, rows: tuple[Row, ...]) -> Report:
    """The same with all that figures are drawn from: every method, spectra, a classifier's accuracies, intervals."""
    picture = report.pictures[0]
    planes = dict(picture.versions)
    planes["ced-est"] = planes["ed"] // 2 * 2
    names = ("original", "jpeg", "ed", "ced-est", "ced-gt")
    picture = Picture(picture.name, picture.quality, tuple((name, planes[name]) for name in names))
    spectra = Spectra("LIVE1", 10, tuple((name, Spectrum.empty().update(planes[name])) for name in names))
    accuracies = tuple(
        {"step": s, "loss": 2 - s / 90, "accuracy_stage_1": s / 200, "accuracy_stage_2": s / 180} for s in (10, 20, 30)
    )
    curves = (Curve("classifier", accuracies), *report.curves)
    more = {"ssim_gaussian": 0.81234, "w1": 0.382, "energy": 0.544, "bef_mse": 0.76, "seconds_per_megapixel": 0.5}

    def around(row: Row) -> dict[str, tuple[float, float]]:
        return {"psnr": (row.value("psnr") - 1, row.value("psnr") + 1)}

    fuller = tuple(replace(row, values={**row.values, **more}, intervals=around(row)) for row in rows)
    return replace(report, rows=fuller, curves=curves, pictures=(picture,), spectra=spectra, channels=("1-1", "8-8"))


def make_picture(name: str, planes: int = 1, width: int = 96, height: int = 64) -> Picture:
    noise = np.random.default_rng(0).integers(0, 60, (height, width, planes))
    y, x, _ = np.ogrid[:height, :width, :planes]
    original = (x + y + 40 * (np.arange(planes) + 1)).astype(np.uint8)
    original[8:40, 56:88] += noise[8:40, 56:88].astype(np.uint8)
    labels = ("original", "jpeg", "ed", "ced-gt")
    versions = [original, original // 8 * 8, original // 2 + 30, 255 - original]
    return Picture(name, 10, tuple((label, v.squeeze()) for label, v in zip(labels, versions, strict=True)))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running browser's DevTools."""
    pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUM)})")
    profile = tmp_path_factory.mktemp("chromium")
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=(profile / "log").open("w"),
    )
    try:
        yield _address(process, profile)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture
def tab(browser: str) -> Iterator[Tab]:
    """A fresh page."""
    import urllib.request

    from websockets.sync.client import connect

    request = urllib.request.Request(f"http://{browser}/json/new?about:blank", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        address = json.load(answer)["webSocketDebuggerUrl"]
    with connect(address, max_size=None, proxy=None) as socket:
        page = Tab(socket)
        yield page
        page.command("Page.close")


def _address(process: subprocess.Popen[bytes], profile: Path) -> str:
    port = profile / "DevToolsActivePort"
    for _ in range(600):
        if port.exists() and len(lines := port.read_text().splitlines()) == 2:
            return f"127.0.0.1:{lines[0]}"
        assert process.poll() is None, f"Chromium ended: {(profile / 'log').read_text()[-2000:]}"
        time.sleep(0.1)
    raise AssertionError(f"Chromium did not start in 60 s: {(profile / 'log').read_text()[-2000:]}")
