"""The form on Prefect's page: every setting that --set takes, checked alike."""

import dataclasses
import inspect
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from ced.config import SECTIONS, Config, as_dict, as_settings
from ced.errors import ConfigError
from ced.recipes import RECIPES, configure
from flows.form import Form
from flows.pipeline import pipeline

SCHEMA: dict[str, Any] = TypeAdapter(Form).json_schema()


def test_every_setting_has_a_field_and_no_default() -> None:
    assert list(SCHEMA["properties"]) == list(SECTIONS)
    for section in SECTIONS:
        fields = SCHEMA["properties"][section]["properties"]
        assert list(fields) == [field.name for field in dataclasses.fields(getattr(Config(), section))]
        assert not [name for name, field in fields.items() if "default" in field]


def test_a_field_says_what_it_takes() -> None:
    fields = SCHEMA["properties"]["prepare"]["properties"]
    assert (fields["mode"]["enum"], fields["mode"]["description"]) == (["resize", "crops"], "use resize or crops")
    assert (fields["size"]["type"], fields["size"]["description"]) == ("integer", "use a multiple of 8, at least 16")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_valid_form_that_leads_to_itself(name: str) -> None:
    recipe = configure(name)
    form = {section: as_dict(getattr(recipe, section)) for section in SECTIONS}
    jsonschema.validate(form, SCHEMA)
    assert configure(name, settings=as_settings(form)) == recipe


@pytest.mark.parametrize(
    "form", [{"prepare": {"sise": 8}}, {"preparation": {}}, {"prepare": {"size": "8"}}, {"prepare": {"mode": "cut"}}]
)
def test_a_mistake_is_refused_by_the_form(form: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(form, SCHEMA)


def test_a_filled_field_is_as_its_setting() -> None:
    assert as_settings({}) == as_settings({"prepare": {"size": None}}) == []
    form = {"classifier": {"learning_rate": 1}, "evaluate": {"qualities": [10, 20]}, "prepare": {"flip": False}}
    settings = as_settings(form)
    assert settings == ["classifier.learning_rate=1", "evaluate.qualities=10,20", "prepare.flip=false"]
    assert type(configure("small", settings=settings).classifier.learning_rate) is float, "of the same fingerprint"
    with pytest.raises(ConfigError, match="use a multiple of 8"):
        configure("small", settings=as_settings({"prepare": {"size": 9}}))


def test_the_flow_takes_it_beside_the_settings() -> None:
    parameters = {"settings": ["classes.count=5"], "form": {"classes": {"count": 6}}}
    assert pipeline.validate_parameters(parameters)["form"] == parameters["form"]
    filled, left_out = pipeline.parameters.model_dump()["properties"]["form"]["anyOf"]
    assert (filled["properties"].keys(), left_out) == (SCHEMA["properties"].keys(), {"type": "null"})
    assert inspect.signature(pipeline.fn).parameters["form"].default is None
