"""The settings of a run as a form on Prefect's page, beside the list of `section.key=value`.

What the form shows follows from the sections of the configuration; what it sends becomes the texts that `--set` takes,
so that both are checked alike and have the same fingerprints.
"""

from typing import Annotated, Any

from pydantic import TypeAdapter, WithJsonSchema

from ced.config import SECTIONS, Config


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
