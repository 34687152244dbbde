"""What a setting takes follows from its annotation: its check, its text, its JSON."""

import json
import pickle
from dataclasses import dataclass, field
from typing import Annotated

import pytest

from ced.config import as_dict
from ced.errors import ConfigError, FormatError
from ced.sections import Check, Section, as_text, kinds, matching, one_of, parse, read

SMALL = Check(lambda number: number < 10, "use less than 10")


@dataclass(frozen=True)
class Fruit(Section, prefix="fruit."):
    kind: Annotated[str, one_of("apple", "pear")] = "apple"
    colour: Annotated[str, one_of("red", "green", "blue")] = "red"
    code: Annotated[str, matching("[0-9]*", "use digits")] = ""
    weight: Annotated[float, SMALL] = 1.0
    seeds: int = 3
    ripe: bool = True
    sizes: Annotated[tuple[Annotated[int, SMALL], ...], Check(lambda sizes: len(sizes) < 3, "name two")] = ()


@dataclass(frozen=True)
class Basket(Section):
    fruit: Fruit = field(default_factory=Fruit)
    label: str = ""


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"kind": "plum"}, "fruit.kind = 'plum': use apple or pear"),
        ({"colour": "black"}, "fruit.colour = 'black': use one of red, green, blue"),
        ({"code": "12a"}, "fruit.code = '12a': use digits"),
        ({"weight": 10}, "fruit.weight = 10: use less than 10"),
        ({"weight": float("nan")}, "fruit.weight = nan: use a number"),
        ({"weight": "1"}, "fruit.weight = '1': use a number"),
        ({"seeds": 1.0}, "fruit.seeds = 1.0: use a whole number"),
        ({"seeds": True}, "fruit.seeds = True: use a whole number"),
        ({"ripe": 1}, "fruit.ripe = 1: use true or false"),
        ({"code": 1}, "fruit.code = 1: use a text"),
        ({"sizes": [1]}, "fruit.sizes = [1]: use a tuple"),
        ({"sizes": (1, 10)}, "fruit.sizes = 10: use less than 10"),
        ({"sizes": (1, 2, 3)}, "fruit.sizes = (1, 2, 3): name two"),
    ],
)
def test_a_value_that_is_not_taken_is_one_line(values: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Fruit(**values)  # type: ignore[arg-type]
    assert str(refusal.value) == line


def test_a_section_within_is_of_its_class() -> None:
    with pytest.raises(ConfigError, match="fruit = 'apple': use Fruit"):
        Basket(fruit="apple")  # type: ignore[arg-type]


def test_a_whole_number_for_a_float_stays_one() -> None:
    """As 1.0 it would have another fingerprint."""
    assert type(Fruit(weight=1).weight) is int
    assert type(read(Fruit, {"weight": 1}, "x").weight) is int
    assert Fruit(seeds=10**400).seeds == 10**400


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("weight", "1", 1.0),
        ("weight", "2e-3", 0.002),
        ("seeds", "7", 7),
        ("ripe", "No", False),
        ("ripe", "1", True),
        ("code", "", ""),
        ("sizes", "1, 2,", (1, 2)),
        ("sizes", "", ()),
        ("kind", "pear", "pear"),
    ],
)
def test_text_is_parsed_and_made_again(name: str, text: str, value: object) -> None:
    kind = kinds(Fruit)[name]
    assert parse(text, kind) == value and type(parse(text, kind)) is type(value)
    assert parse(as_text(value), kind) == value


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("weight", "inf", "a number"),
        ("weight", "1e999", "a number"),
        ("seeds", "1.0", "a whole number"),
        ("ripe", "perhaps", "true or false"),
        ("sizes", "1,x", "a whole number"),
    ],
)
def test_text_of_another_type_says_what_it_is_not(name: str, text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=f"is not {what}$"):
        parse(text, kinds(Fruit)[name])


def test_a_section_survives_json_and_pickle() -> None:
    basket = Basket(Fruit(weight=2.5, sizes=(1, 2)), "mine")
    assert read(Basket, json.loads(json.dumps(as_dict(basket))), "basket.json") == basket
    assert pickle.loads(pickle.dumps(basket)) == basket


@pytest.mark.parametrize(
    ("stored", "line"),
    [
        ({"lable": ""}, "basket.json: unknown key 'lable'; did you mean 'label'?"),
        ({"fruit": {"wieght": 1}}, "basket.json: unknown key 'wieght'; did you mean 'weight'?"),
        ({"fruit": {"weight": 11}}, "basket.json: fruit.weight = 11: use less than 10"),
    ],
)
def test_json_of_something_else_names_the_file(stored: dict[str, object], line: str) -> None:
    with pytest.raises(FormatError) as refusal:
        read(Basket, stored, "basket.json")
    assert str(refusal.value) == line
