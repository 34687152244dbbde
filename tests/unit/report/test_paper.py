from dataclasses import replace

import pytest

from ced.report.model import Row
from ced.report.paper import TABLE_2, others, printed, table

# The paper's own slip: 28.07 and 27.76 dB give 0.074 where it prints 0.740.
MISPRINTED = {("BSDS500", 20, "*Galteri-GAN")}
LINES = [(*key, line) for key, lines in TABLE_2.items() for line in lines]
JPEG = Row("LIVE1", 10, "y", "jpeg", 29, 27.7683, 25.3271, 0.7906, 0.7544)


def bound(psnr_lead: float) -> float:
    return 10 ** (psnr_lead / 10) - 1


@pytest.mark.parametrize(("dataset", "quality", "line"), LINES)
def test_every_bound_follows_from_its_own_psnr_and_psnr_b(dataset: str, quality: int, line: tuple) -> None:
    # All three are printed rounded, so the bound may be anything between what the rounding allows.
    _, figure, psnr, psnr_b, ssim = line
    lead = psnr - psnr_b
    fits = bound(lead - 0.01) - 0.0005 <= figure <= bound(lead + 0.01) + 0.0005
    assert fits is ((dataset, quality, line[0]) not in MISPRINTED)
    assert 0 < ssim < 1


def test_the_table_is_whole() -> None:
    methods = ["jpeg", "*AR-CNN", "Galteri-MSE", "*Galteri-MSE", "*Galteri-GAN", "ed", "ced-est", "ced-gt"]
    assert set(TABLE_2) == {(name, quality) for name in ("LIVE1", "BSDS500") for quality in (10, 20)}
    assert all([line.method for line in lines] == methods for lines in TABLE_2.values())


def test_ced_gt_has_the_least_block_effect_everywhere() -> None:
    # The paper prints exactly these in bold.
    for lines in TABLE_2.values():
        assert min(lines, key=lambda line: line.bef_mse_bound).method == "ced-gt"


def test_a_row_meets_the_papers_figures() -> None:
    line = printed(JPEG)
    assert line is not None
    assert line == ("jpeg", 0.754, 27.77, 25.33, 0.791)
    assert printed(replace(JPEG, quality=20)) == ("jpeg", 0.778, 30.07, 27.57, 0.868)
    assert printed(replace(JPEG, dataset="BSDS500", images=100, method="ced-gt")) == (
        "ced-gt",
        0.007,
        26.0,
        25.97,
        0.731,
    )


def test_the_works_that_ced_trains_as_well_meet_theirs() -> None:
    assert printed(replace(JPEG, method="arcnn")) == ("*AR-CNN", 0.094, 29.13, 28.74, 0.823)
    assert printed(replace(JPEG, method="galteri-mse")) == ("Galteri-MSE", 0.067, 29.41, 29.13, 0.832)


def test_the_data_sets_name_may_be_a_folders() -> None:
    assert printed(replace(JPEG, dataset="live1")) == printed(JPEG)


@pytest.mark.parametrize(
    "change",
    [{"dataset": "holiday"}, {"quality": 30}, {"colour": "rgb"}, {"images": 10}, {"method": "mine"}],
)
def test_another_quantity_is_not_compared(change: dict) -> None:
    assert printed(replace(JPEG, **change)) is None


def test_the_other_works_are_not_ours() -> None:
    assert [line.method for line in others(JPEG)] == ["*AR-CNN", "Galteri-MSE", "*Galteri-MSE", "*Galteri-GAN"]
    assert others(replace(JPEG, dataset="holiday")) == ()
    assert len(table(JPEG)) == 8


def test_our_retrained_networks_stand_beside_the_papers_figures_of_the_same_works() -> None:
    line = printed(replace(JPEG, method="arcnn"))
    assert line is not None and (line.method, line.psnr) == ("*AR-CNN", 29.13)
    line = printed(replace(JPEG, method="galteri-mse"))
    assert line is not None and (line.method, line.psnr) == ("Galteri-MSE", 29.41)
