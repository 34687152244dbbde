import json
import math

import numpy as np

from ced import strict_json


def test_what_json_lacks_is_null_or_what_is_asked_for() -> None:
    value = {"a": [1.5, math.inf, (math.nan,)], 7: np.float64("nan"), "text": "inf", "none": None, "yes": True}
    assert strict_json.finite(value) == {
        "a": [1.5, None, [None]],
        "7": None,
        "text": "inf",
        "none": None,
        "yes": True,
    }
    assert strict_json.finite([math.inf, -math.inf, 2], str) == ["inf", "-inf", 2]


def test_the_text_is_read_by_any_program_and_floats_are_whole() -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    text = strict_json.text({"é": 1 / 3, "n": math.nan})
    assert json.loads(text, parse_constant=refuse) == {"é": 1 / 3, "n": None}
    assert "é" in text and text.endswith("}\n") and text.count("\n") == 4
