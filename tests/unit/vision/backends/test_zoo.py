"""torchvision's models: without it one clear line; with it, and no network, another."""

import importlib.util

import numpy as np
import pytest

from ced.errors import InputError
from ced.vision.backends import zoo

THERE = importlib.util.find_spec("torchvision") is not None
without = pytest.mark.skipif(THERE, reason="torchvision is installed")
needs_it = pytest.mark.skipif(not THERE, reason="torchvision is not installed")


@without
@pytest.mark.parametrize("make", [zoo.Detector, zoo.Segmenter, zoo.version])
def test_without_torchvision_the_line_says_how_to_get_it(make: object) -> None:
    with pytest.raises(InputError, match="^torchvision:a_model needs torchvision, which is not installed; pip install"):
        make("a_model")  # type: ignore[operator]


@needs_it
def test_unknown_models_are_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'fasterrcnn_resnet50_fpn"):
        zoo.Detector("fasterrcnn_resnet50_fpn_v3")
    with pytest.raises(InputError, match="did you mean 'fcn_resnet101'"):
        zoo.Segmenter("fcn_resnet102")


@needs_it
def test_real_weights_where_they_can_be_had() -> None:
    from ced.errors import ServiceError

    try:
        detector, segmenter = zoo.Detector("fasterrcnn_resnet50_fpn_v2"), zoo.Segmenter("fcn_resnet101")
    except ServiceError as error:
        assert "cannot be had from https://" in str(error) and "\n" not in str(error)
        pytest.skip("the weights cannot be downloaded here")
    rgb = np.zeros((60, 90, 3), np.uint8)
    assert detector.detect(rgb).boxes.shape[1] == 4
    assert segmenter.segment(rgb).shape == (60, 90)
