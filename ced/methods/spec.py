"""How a method is written: NAME, or NAME=WHERE: a restorer's folder, the one that comes with ced, an MLflow model,
images or a command."""

import re
from typing import NamedTuple

from ced.config import METHOD_NAME, RELEASED, WITH_CED
from ced.errors import ConfigError

SELF_ENSEMBLE = "self-ensemble"
JPEG, TRAINED, RESTORER, MODEL, FOLDER, COMMAND = "jpeg", "trained", "restorer", "model", "folder", "command"
PYFUNC = "pyfunc"  # a model of MLflow that is not of this project
_MODELS = ("models:/", "runs:/")
_IS_COMMAND = re.compile(rf"\s*[^=,]+=\s*{COMMAND}:")


class Spec(NamedTuple):
    """A method as it was asked for. `target`: a folder, an MLflow URI or a command line, or ""."""

    name: str
    kind: str
    target: str = ""
    self_ensemble: bool = False


def parse(text: str) -> Spec:
    """`jpeg`, `released`, `faithful`, `ced-gt`, `mine=DIR`, `mine=released`, `mine=models:/ced@champion`,
    `mine=folder:DIR` or `mine=command:PROGRAM ...`.

    A restorer, a model or `released` may be `mine=self-ensemble:...`. Raises ConfigError.
    """
    name, given, target = (part.strip() for part in text.partition("="))
    if not re.fullmatch(METHOD_NAME, name) or name.lower() == "original":
        how = "with at most 40 letters, digits and . _ + - (original is taken)"
        if not given or ":" in name:  # a place alone, or a command whose own words have an equals sign
            raise ConfigError(f"method {text!r}: write it as NAME=WHERE, and name it {how}")
        raise ConfigError(f"method {text!r}: name it {how}")
    if not given:
        return Spec(name, name if name in (JPEG, *WITH_CED) else TRAINED)
    if name.lower() == JPEG:
        raise ConfigError(f"method {text!r}: jpeg is the damaged image itself; give yours another name")
    if target.startswith(f"{SELF_ENSEMBLE}:"):
        inner = parse(f"{name}={target.removeprefix(f'{SELF_ENSEMBLE}:')}")
        if inner.kind in (FOLDER, COMMAND) or inner.self_ensemble:
            raise ConfigError(f"method {text!r}: {SELF_ENSEMBLE} is for a restorer, a model or {RELEASED}")
        return inner._replace(self_ensemble=True)
    if target in WITH_CED:
        return Spec(name, target)
    if name in WITH_CED:
        raise ConfigError(f"method {text!r}: {name} is a restorer that comes with ced; give yours another name")
    if target.startswith(_MODELS):
        return Spec(name, MODEL, target)
    kind, colon, rest = target.partition(":")
    found = Spec(name, kind, rest.strip()) if colon and kind in (FOLDER, COMMAND) else Spec(name, RESTORER, target)
    if not found.target:
        raise ConfigError(f"method {text!r}: nothing behind {text.strip()[-1]!r}; say where it is")
    return found


def split(text: str) -> tuple[str, ...]:
    """The methods of one `--methods`, apart at the commas; a command takes all of the rest, commas too."""
    found = []
    while text.strip():
        if _IS_COMMAND.match(text):
            item, text = text, ""
        else:
            item, _, text = text.partition(",")
        found += [item.strip()] if item.strip() else []
    return tuple(found)
