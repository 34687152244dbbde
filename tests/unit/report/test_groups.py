import math
from dataclasses import replace

import pytest

from ced.evaluation.metrics import METRICS, Metric, Row
from ced.report.groups import Group, colour_name, display_name, groups, images_of

BEF, PSNR, ENERGY, SPEED = map(METRICS.get, ("bef_mse_bound", "psnr", "energy", "seconds_per_megapixel"))


def row(method: str, psnr: float = 30.0, bound: float = 0.5, dataset: str = "LIVE1", images: int = 29) -> Row:
    return Row(
        dataset, 10, "y", method, images, {"psnr": psnr, "psnr_b": psnr - 1, "ssim": 0.8, "bef_mse_bound": bound}
    )


def best(column: Metric, *rows: Row) -> list[str]:
    (group,) = groups(rows)
    return [r.method for r in group.rows if group.is_best(r, column)]


def test_methods_stand_in_the_papers_order_and_others_after_them() -> None:
    (group,) = groups([row("mine"), row("ced-gt"), row("ced-est"), row("jpeg"), row("also"), row("ed")])
    assert [r.method for r in group.rows] == ["jpeg", "ed", "ced-est", "ced-gt", "mine", "also"]


def test_only_rows_of_one_test_set_quality_and_colour_are_compared() -> None:
    first = row("jpeg")
    others = [replace(first, dataset="BSDS500"), replace(first, quality=20), replace(first, colour="rgb")]
    found = groups([others[0], first, *others[1:], replace(first, method="ed")])
    assert [(g.dataset, g.quality, g.colour, len(g.rows)) for g in found] == [
        ("BSDS500", 10, "y", 1),
        ("LIVE1", 10, "y", 2),
        ("LIVE1", 20, "y", 1),
        ("LIVE1", 10, "rgb", 1),
    ]


def test_no_rows_make_no_groups() -> None:
    assert groups([]) == ()


def test_the_best_is_the_highest_psnr_and_the_lowest_block_effect() -> None:
    rows = row("jpeg", 27.0, 0.75), row("ed", 29.0, 0.07), row("ced-gt", 26.0, 0.007)
    assert best(PSNR, *rows) == ["ed"]
    assert best(BEF, *rows) == ["ced-gt"]


def test_figures_that_print_alike_are_equally_good() -> None:
    assert best(PSNR, row("jpeg", 27.0), row("ed", 29.404), row("ced-est", 29.396)) == ["ed", "ced-est"]


def test_infinite_psnr_is_best_and_a_missing_figure_never_is() -> None:
    assert best(PSNR, row("jpeg", 27.0), row("ed", math.inf)) == ["ed"]
    assert best(BEF, row("jpeg", bound=0.5), row("ed", bound=math.nan), row("ced-gt", bound=0.1)) == ["ced-gt"]
    assert best(PSNR, row("jpeg", math.nan), row("ed", math.nan)) == []


def test_nothing_is_best_without_a_rival() -> None:
    assert best(PSNR, row("jpeg")) == []
    assert best(PSNR, row("jpeg", 27.0), row("ed", math.nan)) == []
    assert best(PSNR, row("jpeg", 27.0), row("ed", 27.001)) == []


@pytest.mark.parametrize(("counts", "text"), [((1, 1), "1 image"), ((29, 29), "29 images"), ((28, 29), "28–29 images")])
def test_the_number_of_images_is_said(counts: tuple[int, int], text: str) -> None:
    rows = tuple(row(method, images=count) for method, count in zip(("jpeg", "ed"), counts, strict=True))
    assert Group("LIVE1", 10, "y", rows).images == text


def test_names_are_the_papers() -> None:
    names = ["original", "jpeg", "ed", "ced-est", "ced-gt", "classifier", "mine", "ed+", "mine+"]
    assert [*map(display_name, names)] == [
        "Original",
        "JPEG",
        "ED",
        "CED-EST",
        "CED-GT",
        "Classifier",
        "mine",
        "ED+",
        "mine+",
    ]
    assert [*map(colour_name, ("y", "rgb", "lab"))] == ["luminance", "RGB", "lab"]


def test_a_mean_over_other_images_is_neither_the_best_nor_in_the_way() -> None:
    best, good = row("ed", psnr=30.0), row("jpeg", psnr=27.0)
    lucky = replace(row("mine", psnr=35.0, images=27), failures=2)
    other = row("ced-est", psnr=29.0)
    group = Group("LIVE1", 10, "y", (good, best, other, lucky))
    assert group.differs and not Group("LIVE1", 10, "y", (good, best)).differs
    assert [group.is_best(one, PSNR) for one in group.rows] == [False, True, False, False]
    assert [images_of(good), images_of(lucky)] == [str(good.images), "27 of 29\N{DAGGER}"]


def test_the_best_energy_is_the_one_nearest_to_one() -> None:
    rows = tuple(
        replace(row(m), values={"energy": value}) for m, value in (("jpeg", 0.5), ("ed", 0.9), ("ced-gt", 1.2))
    )
    group = Group("LIVE1", 10, "y", rows)
    assert [group.is_best(one, ENERGY) for one in rows] == [False, True, False]


def test_speed_is_no_contest() -> None:
    rows = tuple(replace(row(m), values={"seconds_per_megapixel": value}) for m, value in (("jpeg", 0.0), ("ed", 0.9)))
    assert not any(Group("LIVE1", 10, "y", rows).is_best(one, SPEED) for one in rows)
