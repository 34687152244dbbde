"""What `ced evaluate` makes of its arguments."""

import pytest

from ced.cli.evaluate import configuration, methods
from ced.cli.main import parse
from ced.config import EvaluateConfig
from ced.errors import ConfigError
from ced.evaluation import evaluate as evaluation


def configured(*arguments: str) -> EvaluateConfig:
    return configuration(parse(["evaluate", "--images", "x", *arguments])[1]).evaluate


def test_everything_has_its_place() -> None:
    config = configured(
        *("--name", "LIVE1", "--quality", "10", "--quality", "20", "--quality", "10", "--colour", "rgb", "--lpips"),
        *("--methods", "jpeg,ced-gt=DIR", "--methods", "q=command:run -a 1,2 {input} {output}"),
        *("--set", "evaluate.timeout=5"),
    )
    assert (config.name, config.qualities, config.colour, config.lpips) == ("LIVE1", (10, 20), "rgb", True)
    assert config.methods == ("jpeg", "ced-gt=DIR", "q=command:run -a 1,2 {input} {output}")
    assert config.names == ("jpeg", "ced-gt", "q") and config.trained == ()
    assert config.timeout == 5


def test_without_arguments_it_is_jpeg_at_quality_10() -> None:
    config = configured()
    assert (config.methods, config.qualities, config.colour, config.lpips) == (("jpeg",), (10,), "y", False)


def test_settings_stay_where_no_argument_is_given() -> None:
    config = configured("--set", "evaluate.qualities=30", "--set", "evaluate.colour=rgb")
    assert (config.qualities, config.colour) == ((30,), "rgb")


def test_methods_may_be_a_setting_too() -> None:
    assert configured("--set", "evaluate.methods=jpeg,ed", "--models", "out").methods == ("jpeg", "ed=out/restorer-ed")
    with pytest.raises(ConfigError, match="as ed=DIR or with --models DIR"):
        configured("--set", "evaluate.methods=jpeg,ed")


@pytest.mark.parametrize(
    ("arguments", "clause"),
    [
        (("--set", "evaluate.methods=ed", "--methods", "jpeg"), "evaluate.methods beside --methods"),
        (("--set", "evaluate.qualities=30", "--quality", "10"), "evaluate.qualities beside --quality"),
        (("--set", "evaluate.lpips=no", "--lpips"), "evaluate.lpips beside --lpips"),
        (("--set", "network.width=8"), "network.width: does not count here"),
        (("--set", "cluster.train_workers=2"), "cluster.train_workers: does not count here"),
        (("--models", "out"), "--models out: no trained method is asked for"),
    ],
)
def test_nothing_is_passed_over_in_silence(arguments: tuple[str, ...], clause: str) -> None:
    with pytest.raises(ConfigError, match=clause):
        configured(*arguments)


def test_bare_names_are_looked_up_in_models() -> None:
    assert methods(["jpeg,ed", "ced-gt=elsewhere"], "out") == ("jpeg", "ed=out/restorer-ed", "ced-gt=elsewhere")
    assert methods(["ed+,ced-est+=there"], "out") == ("ed+=self-ensemble:out/restorer-ed", "ced-est+=there")


@pytest.mark.parametrize(
    ("texts", "clause"),
    [
        (["jpg"], "did you mean 'jpeg'"),
        (["ed+"], r"as ed\+=DIR or with --models DIR"),
        (["jpeg+"], "unknown method"),
        (["mine+"], "unknown method"),
        (["ed"], "as ed=DIR or with --models DIR"),
        (["jpeg=x"], "give yours another name"),
    ],
)
def test_mistakes_name_the_cure(texts: list[str], clause: str) -> None:
    with pytest.raises(ConfigError, match=clause):
        methods(texts, None)


def test_a_method_is_named_once() -> None:
    with pytest.raises(ConfigError, match="named twice"):
        configured("--methods", "a=x", "--methods", "a=y")
    with pytest.raises(ConfigError, match="named twice"):
        configured("--methods", "ced-gt=x,CED-GT=y")  # one row and the other would be called the same


def test_a_folder_of_models_is_for_trained_methods() -> None:
    methods(["jpeg"], None)
    methods(["jpeg,ed"], "out")
    for texts in (["jpeg"], ["jpeg,ed=elsewhere,released"], []):
        with pytest.raises(ConfigError, match="--models out: no trained method is asked for; name some"):
            methods(texts, "out")


def test_a_damage_is_a_setting_and_another_test_set() -> None:
    assert configured("--damage", "shifted").damage == "shifted"
    assert configured("--set", "evaluate.damage=double").damage == "double"
    assert evaluation.damaged_name("LIVE1", "double") == "LIVE1, saved twice"
    assert evaluation.damaged_name("LIVE1", "jpeg") == evaluation.damaged_name("LIVE1", "pairs") == "LIVE1"


def test_pairs_have_no_quality_factor_and_are_files_of_colour() -> None:
    pairs = configuration(parse(["evaluate", "--pairs", "x"])[1])
    assert (pairs.test_images, pairs.evaluate.damage) == ("x", "pairs")
    assert (pairs.evaluate.qualities, pairs.evaluate.colour) == ((0,), "rgb")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "with --images SRC, or damaged files and their originals with --pairs DIR"),
        (("--images", "x", "--pairs", "y"), "with --images SRC, or damaged files"),
        (("--pairs", "x", "--quality", "10"), "--quality beside --pairs: the files are damaged already"),
        (("--pairs", "x", "--damage", "double"), "--damage beside --pairs: the files are damaged already"),
        (("--pairs", "x", "--colour", "y"), "pairs are files of colour: use rgb"),
        (("--images", "x", "--quality", "0"), "evaluate.qualities .*use 1 to 100"),
        (("--images", "x", "--set", "evaluate.damage=pairs"), "pairs have their own: leave it 0"),
    ],
)
def test_pairs_and_damages_that_do_not_go_together(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configuration(parse(["evaluate", *arguments])[1])
