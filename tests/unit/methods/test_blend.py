"""The mean of two methods: its weights, its content, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ced.config import EvaluateConfig
from ced.core.images import luminance
from ced.errors import ConfigError
from ced.methods import Damaged, Failed, checked, find, parse
from ced.methods.method import Method

CAT = luminance(data.chelsea()[:40, :56])
DAMAGED = Damaged.of("set/cat.png", 10, CAT)


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Method]:
    (tmp_path / "true").mkdir()
    Image.fromarray(CAT).save(tmp_path / "true" / "cat.png")
    weights = ("0", "0.25", "0.3", "1")
    texts = {weight: f"b-{weight}=blend:{weight} jpeg folder:{tmp_path / 'true'}" for weight in weights}
    texts["turned"] = f"b=blend:0.3 folder:{tmp_path / 'true'} jpeg"
    return {name: find(parse(text), EvaluateConfig(methods=("jpeg",)), tmp_path) for name, text in texts.items()}


def test_the_weight_is_the_share_of_the_second(found: dict[str, Method]) -> None:
    assert np.array_equal(checked(found["0"], DAMAGED), DAMAGED.image)
    assert np.array_equal(checked(found["1"], DAMAGED), CAT)
    expected = np.round(0.75 * DAMAGED.image.astype(float) + 0.25 * CAT).astype(np.uint8)
    assert np.array_equal(checked(found["0.25"], DAMAGED), expected)
    assert not np.array_equal(expected, DAMAGED.image)


def test_another_weight_or_method_is_measured_again(found: dict[str, Method]) -> None:
    assert len({method.content for method in found.values()}) == len(found)
    assert found["0.3"].colours == ("y", "rgb") and not found["0.3"].timed, "a folder is only read"


def test_where_one_has_nothing_the_mean_has_nothing(found: dict[str, Method]) -> None:
    with pytest.raises(Failed, match="no file"):
        checked(found["0.3"], Damaged.of("set/dog.png", 10, CAT))


@pytest.mark.parametrize(
    "target", ["0.5", "0.5 jpeg", "1.5 jpeg released", "x jpeg released", "0.5 jpeg jpeg jpeg", "'"]
)
def test_what_is_no_blend_is_refused(target: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="write it as mine=blend:0.5 FIRST SECOND"):
        find(parse(f"mine=blend:{target}"), EvaluateConfig(methods=("jpeg",)), tmp_path)
