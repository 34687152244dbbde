"""The settings of a run as a form on Prefect's page, beside the list of `section.key=value`.

What the form shows follows from the sections of the configuration; what it sends becomes the texts that `--set` takes,
so that both are checked alike and have the same fingerprints.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, WithJsonSchema

from ced.config import SECTIONS, Config
from ced.sections import as_text


def _schema() -> dict[str, Any]:
    """The sections as JSON schema. Without defaults: what is left out is as the recipe has it."""
    config, sections = Config(), {}
    for name in SECTIONS:
        section = TypeAdapter(type(getattr(config, name))).json_schema()
        for setting in section["properties"].values():
            del setting["default"]
        sections[name] = {**section, "title": name, "additionalProperties": False}
    return {"type": "object", "properties": sections, "additionalProperties": False}


Form = Annotated[dict[str, dict[str, Any]], WithJsonSchema(_schema())]


def as_settings(values: Mapping[str, Mapping[str, Any]] | None) -> list[str]:
    """The filled fields of a form as `section.key=value`."""
    return [
        f"{section}.{key}={as_text(value)}"
        for section, fields in (values or {}).items()
        for key, value in fields.items()
        if value is not None
    ]
