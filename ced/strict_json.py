"""JSON has neither infinity (identical images) nor nan (no figure): what stands for them."""

import json
import math
from collections.abc import Callable
from typing import Any


def finite(value: Any, instead: Callable[[float], Any] = lambda _: None) -> Any:
    """The same as plain JSON values, inf and nan replaced: by null, unless told otherwise."""
    if isinstance(value, dict):
        return {str(key): finite(item, instead) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item, instead) for item in value]
    if isinstance(value, float):  # numpy's float64 is one too
        return float(value) if math.isfinite(value) else instead(float(value))
    return value


def text(value: Any) -> str:
    """Indented JSON that any program reads; floats in full, inf and nan as null."""
    return json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
