"""How methods are written, and what is refused."""

import pytest

from ced.errors import ConfigError
from ced.methods.spec import COMMAND, FOLDER, JPEG, MODEL, RESTORER, TRAINED, Spec, parse, split


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("jpeg", Spec("jpeg", JPEG)),
        ("released", Spec("released", "released")),
        ("faithful", Spec("faithful", "faithful")),
        ("ours=faithful", Spec("ours", "faithful")),
        (" ced-gt ", Spec("ced-gt", TRAINED)),
        ("ced-gt=models/restorer-ced-gt", Spec("ced-gt", RESTORER, "models/restorer-ced-gt")),
        ("mine=C:/odd=name", Spec("mine", RESTORER, "C:/odd=name")),
        ("best=models:/ced@champion", Spec("best", MODEL, "models:/ced@champion")),
        ("best=runs:/0123/restorer", Spec("best", MODEL, "runs:/0123/restorer")),
        ("fbcnn = folder:out/fbcnn", Spec("fbcnn", FOLDER, "out/fbcnn")),
        ("ed+=self-ensemble:out/ed", Spec("ed+", RESTORER, "out/ed", self_ensemble=True)),
        ("r=self-ensemble:released", Spec("r", "released", self_ensemble=True)),
        ("b=self-ensemble:models:/ced@champion", Spec("b", MODEL, "models:/ced@champion", self_ensemble=True)),
        ("q=command:jpegqs -o 3,4 {input} {output}", Spec("q", COMMAND, "jpegqs -o 3,4 {input} {output}")),
    ],
)
def test_what_a_text_means(text: str, spec: Spec) -> None:
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
