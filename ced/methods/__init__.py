"""What is compared: anything that restores a JPEG, behind one small protocol."""

from ced.methods.open import Prepared, check_apart, open_method, prepare
from ced.methods.protocol import Damaged, Failed, Method, checked
from ced.methods.spec import Spec, parse, split

__all__ = [
    "Damaged",
    "Failed",
    "Method",
    "Prepared",
    "Spec",
    "check_apart",
    "checked",
    "open_method",
    "parse",
    "prepare",
    "split",
]
