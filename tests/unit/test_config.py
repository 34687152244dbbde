"""Settings: typed, frozen, and refused by name with the nearest one."""

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ced import config as configuration
from ced.config import Config, FiguresConfig, PrepareConfig, TrainConfig, as_dict, fingerprint, override
from ced.errors import ConfigError
from ced.recipes import RECIPES, configure


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("prepare.size=128", "prepare", "size", 128),
        ("prepare.flip=no", "prepare", "flip", False),
        ("prepare.quality=10-40", "prepare", "quality", "10-40"),
        ("network.slope=0.2", "network", "slope", 0.2),
        ("autoencoder.block_effect=0.3", "autoencoder", "block_effect", 0.3),
        ("evaluate.qualities=10, 20", "evaluate", "qualities", (10, 20)),
        ("evaluate.methods=jpeg,ced-gt", "evaluate", "methods", ("jpeg", "ced-gt")),
        ("publish.model=mine", "publish", "model", "mine"),
        ("figures.crop=8,0,64,32", "figures", "crop", "8,0,64,32"),
        ("figures.channels=1-1,8-1", "figures", "channels", ("1-1", "8-1")),
    ],
)
def test_a_setting_takes_its_place(setting: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(override(Config(), [setting]), section), key) == value


@pytest.mark.parametrize(
    ("setting", "clause"),
    [
        ("prepare.sise=96", "did you mean 'size'"),
        ("prepar.size=96", "did you mean 'prepare'"),
        ("prepare.size", "write it as section.key=value"),
        ("size=96", "write it as section.key=value"),
        ("prepare.size=ninety", "'ninety' is not a whole number"),
        ("prepare.size=90", "multiple of 8"),
        ("prepare.quality=0", "use 1 to 100, as 10, as 10,20 or as 10-40"),
        ("prepare.quality=10,101", "use 1 to 100"),
        ("prepare.quality=40-10", "use 1 to 100"),
        ("prepare.quality=ten", "use 1 to 100"),
        ("prepare.quality=10,", "use 1 to 100"),
        ("prepare.flip=perhaps", "'perhaps' is not true or false"),
        ("network.slope=nan", "'nan' is not a number"),
        ("classifier.learning_rate=inf", "'inf' is not a number"),
        ("classifier.steps=0", "^classifier.steps = 0: use 1 or more"),
        ("classifier.optimizer=sgd", "^classifier.optimizer = 'sgd': use adam or muon"),
        ("autoencoder.learning_rate=0", "^autoencoder.learning_rate = 0.0: use more than 0"),
        ("autoencoder.seed=-9223372036854775808", "^autoencoder.seed = -9223372036854775808: use less than 2\\^63"),
        ("cluster.threads_per_worker=-1", "^cluster.threads_per_worker = -1: use 0 or more"),
        ("cluster.gpus_per_worker=-0.5", "^cluster.gpus_per_worker = -0.5: use 0 or more"),
        ("cluster.data_memory=-1", "^cluster.data_memory = -1.0: use 0 or more"),
        ("evaluate.qualities=", "name at least one"),
        ("evaluate.qualities=10,0", "use 1 to 100"),
        ("evaluate.methods=jpg", "did you mean 'jpeg'"),
        ("evaluate.methods=ed,ed", "named twice"),
        ("figures.channels=1-1,0-1", "figures.channels = '0-1': use 1-1 to 8-8"),
        ("figures.crop=1,2,3", "left,top,width,height"),
        ("figures.crop=0,0,8,0", "left,top,width,height"),
        ("figures.crop=-1,0,8,8", "left,top,width,height"),
        ("publish.method=jpeg", "use one of arcnn, galteri-mse, ed"),
        ("classifier.steps=0", "use 1 or more"),
        ("prepare.max_pixels=0", "prepare.max_pixels = 0: use 1 or more"),
        ("prepare.max_bytes=-5", "prepare.max_bytes = -5: use 1 or more"),
        ("cluster.train_workers=0", "use 1 or more"),
        ("cluster.train_workers_least=2", "use 0 up to cluster.train_workers, 1"),
        ("cluster.data=memory", "use one of auto, device, stream"),
        ("cluster.data_memory=-1", "use 0 or more"),
        ("cluster.precision=half", "use one of auto, float32, bfloat16"),
        ("classifier.clip_norm=0", "use more than 0"),
        ("classifier.warmup_steps=-1", "use 0 or more"),
        ("autoencoder.average_decay=1", "use 0 up to 1"),
        ("autoencoder.block_effect=-1", "^autoencoder.block_effect = -1.0: use 0 or more"),
        ("classifier.block_effect=1", "^classifier.block_effect = 1.0: C makes no image; set autoencoder.block_effect"),
        ("restore.temperature=1.5", "^restore.temperature = 1.5: use 0 .* to 1"),
    ],
)
def test_a_mistake_is_one_clear_line(setting: str, clause: str) -> None:
    with pytest.raises(ConfigError, match=clause) as refusal:
        override(Config(), [setting])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "settings",
    [
        ["cluster.train_workers_least=2", "cluster.train_workers=3"],
        ["cluster.train_workers=3", "cluster.train_workers_least=2"],
    ],
)
def test_settings_are_checked_together_in_whatever_order(settings: list[str]) -> None:
    cluster = override(Config(), settings).cluster
    assert (cluster.train_workers_least, cluster.train_workers) == (2, 3)


def test_the_last_of_two_values_counts() -> None:
    assert override(Config(), ["prepare.size=64", "prepare.size=32"]).prepare.size == 32
    with pytest.raises(ConfigError, match="is not a whole number"):
        override(Config(), ["prepare.size=x", "prepare.size=32"])


@given(st.sampled_from(configuration.SECTIONS), st.text(max_size=20), st.text(max_size=20))
def test_no_setting_whatever_raises_anything_else(section: str, key: str, value: str) -> None:
    with contextlib.suppress(ConfigError):
        override(Config(), [f"{section}.{key}={value}"])


def test_sections_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().prepare.size = 8  # type: ignore[misc]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_its_own_settings(name: str) -> None:
    recipe = configure(name)
    settings = [
        f"{section}.{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
        for section in configuration.SECTIONS
        for key, value in as_dict(getattr(recipe, section)).items()
    ]
    assert override(Config(images=recipe.images, test_images=recipe.test_images), settings) == recipe


def test_a_crop_is_a_box() -> None:
    assert FiguresConfig(crop="8,0,64,32").box == (8, 0, 72, 32)
    assert FiguresConfig().box is None


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown recipe 'quikstart'; did you mean 'quickstart'"):
        configure("quikstart")


def test_images_of_the_user_replace_the_recipes() -> None:
    assert configure("quickstart", ["a", "b"], "c").images == ("a", "b")
    assert configure("quickstart", ["a"], "c").test_images == "c"
    assert configure("quickstart").images == ("builtin:train",)


def test_fingerprints_tell_configurations_apart() -> None:
    base = fingerprint(PrepareConfig(), "x")
    assert base == fingerprint(PrepareConfig(), "x")
    assert len({base, fingerprint(PrepareConfig(seed=1), "x"), fingerprint(PrepareConfig(), "y")}) == 3
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_the_fingerprint_of_a_known_value_is_pinned() -> None:
    """Another fingerprint would make every store of every user start again: change it only on purpose."""
    assert fingerprint("ced", {"size": 96}, [1, 2.5, True, None]) == "9c269f3d7f213cfa"


def test_a_section_is_plain_json() -> None:
    assert as_dict(TrainConfig())["steps"] == 1000
    assert as_dict(Config())["evaluate"]["methods"] == ["jpeg", "ed", "ced-est", "ced-gt"]


@pytest.mark.parametrize(
    ("quality", "qualities"), [("10", (10,)), ("20,10", (20, 10)), ("98-100", (98, 99, 100)), ("7-7", (7,))]
)
def test_quality_factors_are_one_or_several_or_a_range(quality: str, qualities: tuple[int, ...]) -> None:
    assert PrepareConfig(quality=quality).qualities == qualities
