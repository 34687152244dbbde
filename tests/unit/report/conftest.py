"""A headless Chromium driven by Playwright, and values that the report tests share."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ced.core.spectrum import Spectrum
from ced.evaluation.metrics import Row
from ced.report import html
from ced.report.figures import figures
from ced.report.model import Curve, Picture, Report, Spectra

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DESKTOP = (1280, 900)
KINDS = ("error", "warning", "assert")  # of what is written to the console


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


@pytest.fixture
def address(report: Report, tmp_path: Path) -> str:
    """Of its page."""
    path = tmp_path / "report é.html"
    path.write_text(html.page(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def full_address(full_report: Report, tmp_path: Path) -> str:
    """Of the page with all figures."""
    path = tmp_path / "full.html"
    path.write_text(html.page(full_report, figures(full_report)), encoding="utf-8")
    return path.as_uri()


def make_picture(name: str, planes: int = 1, width: int = 96, height: int = 64) -> Picture:
    noise = np.random.default_rng(0).integers(0, 60, (height, width, planes))
    y, x, _ = np.ogrid[:height, :width, :planes]
    original = (x + y + 40 * (np.arange(planes) + 1)).astype(np.uint8)
    original[8:40, 56:88] += noise[8:40, 56:88].astype(np.uint8)
    labels = ("original", "jpeg", "ed", "ced-gt")
    versions = [original, original // 8 * 8, original // 2 + 30, 255 - original]
    return Picture(name, 10, tuple((label, v.squeeze()) for label, v in zip(labels, versions, strict=True)))


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """The Chromium that is installed: Playwright's own would have to be downloaded."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(CHROMIUM)})")
    with playwright.sync_playwright() as driver:
        with driver.chromium.launch(executable_path=program, chromium_sandbox=False, timeout=60_000) as launched:
            yield launched


@pytest.fixture
def complaints() -> list[str]:
    """All that the pages of a test complained of: errors and warnings."""
    return []


@pytest.fixture
def requests() -> list[str]:
    """The addresses that the pages of a test asked for."""
    return []


@pytest.fixture
def open_page(browser: "Browser", complaints: list[str], requests: list[str]) -> Iterator[Callable[..., "Page"]]:
    """open_page(address, window=(1280, 900), phone=False, ...) -> the page, loaded; more goes to `new_context`."""
    contexts = []

    def opened(address: str, window: tuple[int, int] = DESKTOP, phone: bool = False, **options: object) -> "Page":
        size = {"width": window[0], "height": window[1]}
        context = browser.new_context(viewport=size, is_mobile=phone, has_touch=phone, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in KINDS else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
