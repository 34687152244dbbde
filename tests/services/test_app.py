"""`ced app`, as a person uses it: a server of its own, a real browser, and no network beside this machine."""

import http.client
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.core import jpeg
from ced.restoration.family import FAITHFUL, RELEASED, Family

pytest.importorskip("streamlit", reason="the extra app is not installed: pip install 'ced[app]'")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DESKTOP, PHONE = (1280, 900), (390, 844)
PATIENCE = 120_000  # milliseconds: the machine may be busy
CAT, CUP = jpeg.encode(data.chelsea(), 10), jpeg.encode(data.coffee(), 20)
FILES = {
    "cat.jpg": CAT,
    "cat.jpeg": CUP,
    "good.jpg": jpeg.encode(data.astronaut(), 95),
    "half.jpg": CAT[: len(CAT) // 2],
    "![x](http:x) **b**.txt": b"no image",
}


class Server(NamedTuple):
    process: "subprocess.Popen[str]"
    address: str
    enter: tuple[str, ...]  # a command's beginning that makes it run where the server does
    temporary: Path


def start(folder: Path, alone: bool) -> Server:
    """A server; `alone`: in a network of its own, which has nothing but 127.0.0.1."""
    temporary = folder / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "ced", "app", "--port", "0"]
    if alone:
        command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
    variables = {**os.environ, "TMPDIR": str(temporary), "HOME": str(folder)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=variables)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.match(r"(http://127\.0\.0\.1:\d+) shows the page; Ctrl-C ends it\n$", line)
    assert found, line
    return Server(process, found[1], ("nsenter", "--net", "--target", str(process.pid)) if alone else (), temporary)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    inside = ["unshare", "--net", "sh", "-c", "ip link set lo up"]
    alone = bool(shutil.which("unshare") and shutil.which("nsenter")) and not subprocess.call(
        inside, stderr=subprocess.DEVNULL
    )
    started = start(tmp_path_factory.mktemp("server"), alone)
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture(scope="module")
def browser(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """The Chromium that is installed, in the network of the server."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUM)})")
    wrapper = tmp_path_factory.mktemp("browser") / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join((*server.enter, program))} "$@"\n')
    wrapper.chmod(0o755)
    with playwright.sync_playwright() as driver:
        with driver.chromium.launch(executable_path=wrapper, chromium_sandbox=False, timeout=PATIENCE) as launched:
            yield launched


def opened(browser: "Browser", server: Server, window: tuple[int, int], complaints: list[str]) -> "Page":
    """The page; what it complains of, and all addresses but its own that it asks for, go to `complaints`."""
    phone = window == PHONE
    size = {"width": window[0], "height": window[1]}
    context = browser.new_context(viewport=size, is_mobile=phone, has_touch=phone)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    own = (server.address, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else complaints.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.goto(server.address)
    return page


def put(page: "Page", files: dict[str, bytes]) -> None:
    payload = [{"name": name, "mimeType": "", "buffer": content} for name, content in files.items()]
    page.locator("input[type=file]").set_input_files(payload)  # type: ignore[arg-type]


def restore(page: "Page", photographs: int) -> None:
    button = page.get_by_role("button", name=f"Restore {photographs} photograph", exact=False)
    button.click()
    button.wait_for(state="detached")  # what was on the page before stays on it until all is done
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.get_by_role("slider", name="Where the divide stands").wait_for()


def downloaded(page: "Page", button: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).first.click()
    return download.value.path().read_bytes()


def restored(stream: bytes, folder: Path = RELEASED) -> bytes:
    return Family.load(folder).restore_bytes(stream)


def test_photographs_are_described_restored_and_given_back(browser: "Browser", server: Server) -> None:
    complaints: list[str] = []
    page = opened(browser, server, DESKTOP, complaints)
    put(page, FILES)
    page.get_by_text("Left out: no known image format").wait_for()
    text = page.locator("[data-testid=stMain]").inner_text()
    assert "JPEG · 451 × 300 pixels" in text and "quality factor 10 · standard tables · colours 4:2:0" in text
    assert "It will be restored by CED-GT, with the network for quality factors up to 12." in text
    assert "It stays as it is: quality factor 95." in text
    assert "![x](http:x) **b**.txt" in text and "Left out: no known image format (not an image)." in text
    restore(page, 4)
    page.get_by_text("of it is missing").wait_for()
    assert page.get_by_text("Left as it is: quality factor 95").count() == 1
    page.get_by_role("button", name="Download good.jpg").wait_for()
    assert downloaded(page, "Download cat.png") in (restored(CAT), restored(CUP))
    with zipfile.ZipFile(io.BytesIO(downloaded(page, "Download all (4 photographs, zip)"))) as zipped:
        assert {name: zipped.read(name) for name in zipped.namelist()} == {
            "cat.png": restored(CAT),
            "cat.jpeg.png": restored(CUP),
            "good.jpg": FILES["good.jpg"],
            "half.png": zipped.read("half.png"),
        }
    assert not complaints
    assert not list(server.temporary.iterdir())  # nothing of a photograph is on the disk
    page.context.close()


def test_the_faithful_choice_is_another_restoration(browser: "Browser", server: Server) -> None:
    page = opened(browser, server, DESKTOP, [])
    put(page, {"cat.jpg": CAT})
    restore(page, 1)
    assert downloaded(page, "Download cat.png") == restored(CAT)
    page.get_by_role("radio", name="Faithful").click()
    page.get_by_text("It will be restored by ED, with the network for quality factors up to 90.").wait_for()
    restore(page, 1)
    assert downloaded(page, "Download cat.png") == restored(CAT, FAITHFUL)
    page.context.close()


def shades(page: "Page") -> tuple[np.ndarray, np.ndarray]:
    """The comparison as it is drawn: a strip at its left and at its right."""
    shot = Image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB")
    pixels = np.asarray(shot)[20 : shot.height // 3]
    return pixels[:, 5:25], pixels[:, -25:-5]


@pytest.mark.parametrize("window", [DESKTOP, PHONE])
def test_the_divide_moves_between_before_and_after(browser: "Browser", server: Server, window: tuple[int, int]) -> None:
    complaints: list[str] = []
    page = opened(browser, server, window, complaints)
    put(page, {"cat.jpg": CAT})
    restore(page, 1)
    divide = page.get_by_role("slider", name="Where the divide stands")
    page.wait_for_function(
        "[...document.querySelectorAll('*')].flatMap(e => [...(e.shadowRoot ?? e).querySelectorAll('.stage img')])"
        ".filter(e => e.naturalWidth == 451).length >= 2"
    )
    divide.scroll_into_view_if_needed()
    halves = shades(page)
    divide.fill("0")  # all of it is after
    after = shades(page)
    divide.fill("100")
    before = shades(page)
    assert np.array_equal(halves[0], before[0]) and np.array_equal(halves[1], after[1])
    assert not np.array_equal(before[0], after[0]) and not np.array_equal(before[1], after[1])
    box = page.locator(".stage").bounding_box()
    assert box is not None
    (page.touchscreen.tap if window == PHONE else page.mouse.click)(box["x"] + box["width"] / 4, box["y"] + 50)
    assert 20 < float(divide.input_value()) < 30
    assert page.evaluate("document.documentElement.scrollWidth") <= window[0]
    page.get_by_role("radio", name="Detail, pixel for pixel").click()
    page.wait_for_timeout(500)
    assert not complaints
    page.context.close()


def asked(address: str, path: str, **headers: str) -> int:
    """The status of an answer, or of a refused WebSocket."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return connection.getresponse().status


def test_it_answers_its_own_page_alone_and_leaves_at_ctrl_c(tmp_path: Path) -> None:
    server = start(tmp_path, alone=False)
    own = server.address.removeprefix("http://")
    socket = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    stream = "/_stcore/stream"
    assert asked(server.address, "/") == 200
    assert asked(server.address, stream, Origin=server.address, **socket) == 101
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        assert asked(server.address, "/", **headers) == 403, headers
        assert asked(server.address, stream, **headers, **socket) == 403, headers
    rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert asked(server.address, stream, **rebound, **socket) == 403
    for path in ("/media/0.png", "/media/../../../../etc/passwd", "/app/static/page.py", "/page.py"):
        assert asked(server.address, path) in (200, 400, 404)
        assert b"import" not in content(server.address, path) and b"root:" not in content(server.address, path)
    second = subprocess.run(
        [sys.executable, "-m", "ced", "app", "--port", own.rpartition(":")[2]], capture_output=True, text=True
    )
    assert (second.returncode, second.stderr) == (
        2,
        f"ced: error: {own} is in use; choose another --port, or leave it out\n",
    )
    server.process.send_signal(signal.SIGINT)
    _, log = server.process.communicate(timeout=60)
    assert (server.process.returncode, log) == (130, "ced: the page is closed\n")


def content(address: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request("GET", path)
    return connection.getresponse().read()
