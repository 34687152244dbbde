"""Whatever a method does wrong becomes one kind of failure, with a reason."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from ced.core import jpeg
from ced.errors import ConfigError
from ced.methods import Damaged, Failed, Request, checked, parse, split
from ced.methods.method import COMMAND, JPEG, MODEL, RESTORER, TRAINED


@dataclass(frozen=True)
class Anything:
    """A method that does what it is told."""

    do: Callable[[Damaged], np.ndarray]
    name: str = "anything"
    content: str = ""
    colours: tuple[str, ...] = ("y", "rgb")
    timed: bool = True

    def load(self) -> None:
        pass

    def restore(self, damaged: Damaged) -> np.ndarray:
        return self.do(damaged)


def raising(error: Exception) -> Anything:
    def do(damaged: Damaged) -> np.ndarray:
        raise error

    return Anything(do)


def test_a_damaged_image_is_its_decoded_stream(gray: Damaged, colour: Damaged) -> None:
    assert np.array_equal(jpeg.decode(gray.stream), gray.image)
    assert (gray.image.shape, colour.image.shape) == ((45, 70), (45, 70, 3))


def test_what_is_right_passes(gray: Damaged) -> None:
    assert checked(Anything(lambda damaged: damaged.image), gray) is gray.image


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((45, 69), np.uint8), "69x45, not 70x45"),
        (np.zeros((45, 70, 3), np.uint8), "70x45 RGB, not 70x45"),
        (np.zeros((45, 70)), "float64"),
    ],
)
def test_another_size_or_type_is_a_failure(gray: Damaged, wrong: np.ndarray, message: str) -> None:
    with pytest.raises(Failed, match=message) as caught:
        checked(Anything(lambda damaged: wrong), gray)
    assert caught.value.reason == "another size"


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (Failed("timeout", "late"), "timeout", "late"),
        (RuntimeError("first\nsecond"), "error", "RuntimeError: first"),
        (MemoryError(), "error", "MemoryError: "),
        (AssertionError("x" * 1000), "error", "AssertionError: " + "x" * 300),
    ],
)
def test_an_exception_is_a_failure_of_one_line(gray: Damaged, error: Exception, reason: str, message: str) -> None:
    with pytest.raises(Failed) as caught:
        checked(raising(error), gray)
    assert (caught.value.reason, caught.value.message) == (reason, message)


def test_stopping_is_no_failure_of_the_method(gray: Damaged) -> None:
    def stop(damaged: Damaged) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checked(Anything(stop), gray)


def test_failures_travel_between_processes() -> None:
    copy = pickle.loads(pickle.dumps(Failed("no file", "a.png")))
    assert (copy.reason, copy.message, str(copy)) == ("no file", "a.png", "no file: a.png")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("jpeg", Request("jpeg", JPEG)),
        ("released", Request("released", "released")),
        ("faithful", Request("faithful", "faithful")),
        ("ours=faithful", Request("ours", "faithful")),
        (" ced-gt ", Request("ced-gt", TRAINED)),
        ("ced-gt=models/restorer-ced-gt", Request("ced-gt", RESTORER, "models/restorer-ced-gt")),
        ("mine=C:/odd=name", Request("mine", RESTORER, "C:/odd=name")),
        ("best=models:/ced@champion", Request("best", MODEL, "models:/ced@champion")),
        ("best=runs:/0123/restorer", Request("best", MODEL, "runs:/0123/restorer")),
        ("fbcnn = folder:out/fbcnn", Request("fbcnn", "folder", "out/fbcnn")),
        ("ed+=self-ensemble:out/ed", Request("ed+", RESTORER, "out/ed", self_ensemble=True)),
        ("r=self-ensemble:released", Request("r", "released", self_ensemble=True)),
        ("b=self-ensemble:models:/ced@champion", Request("b", MODEL, "models:/ced@champion", self_ensemble=True)),
        ("q=command:jpegqs -o 3,4 {input} {output}", Request("q", COMMAND, "jpegqs -o 3,4 {input} {output}")),
    ],
)
def test_what_a_text_means(text: str, spec: Request) -> None:
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("", "name it with at most 40 letters"),
        ("=DIR", "'=DIR': name it with"),
        ("a/b=DIR", "'a/b=DIR': name it with"),
        (f"{'a' * 41}=DIR", "at most 40 letters"),
        ("models:/ced@champion", "'models:/ced@champion': write it as NAME=WHERE"),
        ("folder:DIR", "write it as NAME=WHERE"),
        ("./DIR", "write it as NAME=WHERE"),
        ("command:run --quality=5 {input} {output}", "write it as NAME=WHERE"),
        ("original=DIR", "original is taken"),
        ("Original=DIR", "original is taken"),
        ("jpeg=DIR", "the damaged image itself"),
        ("JPEG=DIR", "the damaged image itself"),
        ("released=DIR", "comes with ced"),
        ("faithful=DIR", "comes with ced"),
        ("mine=", "say where it is"),
        ("mine=folder:", "say where it is"),
        ("mine=command: ", "say where it is"),
        ("mine=self-ensemble:", "say where it is"),
        ("mine=self-ensemble:folder:out", "is for a restorer, a model or released"),
        ("mine=self-ensemble:command:run {input} {output}", "is for a restorer, a model or released"),
        ("mine=self-ensemble:self-ensemble:out", "is for a restorer, a model or released"),
    ],
)
def test_what_is_refused(text: str, clause: str) -> None:
    with pytest.raises(ConfigError, match=clause) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("jpeg,ced-gt=DIR", ("jpeg", "ced-gt=DIR")),
        (" jpeg , ,ed ", ("jpeg", "ed")),
        ("", ()),
        ("jpeg,q=command:run 1,2 {input} {output}", ("jpeg", "q=command:run 1,2 {input} {output}")),
        ("q=command:a,b,c", ("q=command:a,b,c",)),
        ("f=folder:x,q=command:a,b", ("f=folder:x", "q=command:a,b")),
    ],
)
def test_commas_part_methods_but_not_commands(text: str, items: tuple[str, ...]) -> None:
    assert split(text) == items
