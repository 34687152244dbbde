"""The networks by name: what is known of them without torch, and how one more takes its place among them."""

import subprocess
import sys
from pathlib import Path

import pytest

import ced
from ced import networks
from ced.config import EvaluateConfig, PublishConfig
from ced.errors import ConfigError
from ced.networks import NETWORKS, Architecture


def test_their_order_is_kept() -> None:
    assert NETWORKS.names == ("classifier", "ed", "ced-est", "ced-gt", "arcnn", "galteri-mse")
    assert networks.methods() == ("jpeg", "arcnn", "galteri-mse", "ed", "ced-est", "ced-gt")  # Table 2's


def test_nothing_of_it_needs_torch() -> None:
    code = (
        "import sys; from ced import networks; names = networks.methods(); "
        "facts = [networks.NETWORKS.get(name).needs_classes for name in names[1:]]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(ced.__file__).parents[1]).returncode == 0


@pytest.mark.parametrize(
    ("name", "section", "conditioned", "needs_classes"),
    [
        ("classifier", "classifier", False, True),
        ("ed", "autoencoder", False, False),
        ("ced-est", "autoencoder", True, True),
        ("ced-gt", "autoencoder", True, True),
        ("arcnn", "autoencoder", False, False),
    ],
)
def test_what_follows_from_how_it_is_trained(name: str, section: str, conditioned: bool, needs_classes: bool) -> None:
    architecture = NETWORKS.get(name)
    assert (architecture.section, architecture.conditioned, architecture.needs_classes) == (
        section,
        conditioned,
        needs_classes,
    )


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown model 'galteri'; did you mean 'galteri-mse'"):
        NETWORKS.get("galteri")


def test_one_more_is_a_method_after_ours_and_a_baseline_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS._entries))
    with pytest.raises(ConfigError, match="unknown method 'toy'"):
        EvaluateConfig(methods=("toy",))
    NETWORKS.add("toy", Architecture("Toy", "no.module:Toy"))
    NETWORKS.add("dncnn", Architecture("DnCNN", "no.module:DnCNN", baseline=True))
    assert networks.restoring() == ("arcnn", "galteri-mse", "dncnn", "ed", "ced-est", "ced-gt", "toy")
    assert EvaluateConfig(methods=("jpeg", "toy")).trained == ("toy",)
    assert PublishConfig(method="toy").method == "toy"
