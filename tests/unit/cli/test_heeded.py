"""Nothing that a user writes is passed over in silence."""

import pytest

from ced.cli import heeded
from ced.errors import ConfigError

COUNT = ("evaluate.*", "publish.experiment")


def test_what_counts_is_taken() -> None:
    heeded.check(["evaluate.timeout=5", " publish.experiment =mine", "evaluate.name=a=b"], COUNT, {})
    heeded.check([], COUNT, {"evaluate.methods": "--methods"})
    heeded.check(["evaluate.timeout=5"], COUNT, {"evaluate.methods": "--methods"})


@pytest.mark.parametrize("setting", ["network.width=3", "publish.model=x", "evaluations.x=1"])
def test_what_does_not_count_is_refused_with_what_does(setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        heeded.check(["evaluate.timeout=5", setting], COUNT, {})
    path = setting.partition("=")[0]
    told = f"--set {path}: does not count here, where evaluate.* and publish.experiment do; leave it out"
    assert str(caught.value) == told


def test_an_option_and_its_setting_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match=r"--set evaluate.qualities beside --quality: give one of the two"):
        heeded.check(["evaluate.qualities=30"], COUNT, {"evaluate.qualities": "--quality"})


def test_a_folder_of_models_is_for_trained_methods() -> None:
    heeded.models(None, ["jpeg"])
    heeded.models("out", ["jpeg", "ed"])
    for texts in (["jpeg"], ["jpeg", "ed=elsewhere", "released"], []):
        with pytest.raises(ConfigError, match="--models out: no trained method is asked for; name some"):
            heeded.models("out", texts)
