"""Every recipe's settings and fingerprints, as they were: other ones would make every store start again.

`CED_REGENERATE=1 pytest tests/unit/test_fingerprints.py` writes the golden file anew; its difference belongs into the
commit that means it.
"""

import json
import os
from pathlib import Path

import pytest

from ced.config import SECTIONS, Config, VisionConfig, as_dict, fingerprint
from ced.recipes import RECIPES, configure

GOLDEN = Path(__file__).with_name("fingerprints.json")

# Settings whose kind could be lost on the way: a whole number for a float, one item of several, an empty list, words.
CHANGES = {
    "whole numbers for floats": ["classifier.learning_rate=1", "autoencoder.average_decay=0", "network.slope=0"],
    "exponents": ["autoencoder.learning_rate=2e-3", "restore.temperature=5e-2", "autoencoder.block_effect=1"],
    "large numbers": ["prepare.max_bytes=9999999999999", "autoencoder.seed=-9223372036854775807"],
    "words": ["prepare.flip=no", "network.skip=0", "evaluate.lpips=yes", "cluster.compile=true"],
    "lists": ["evaluate.methods=jpeg", "evaluate.qualities=10, 20,30", "figures.channels=8-8"],
    "empty lists": ["figures.channels=", "figures.images="],
    "texts": ["prepare.quality=10-40", "prepare.pattern=*/a=b/*.JPEG", "evaluate.name=a b", "figures.crop=1,2,3,4"],
    "several of a section": ["prepare.colour=rgb", "prepare.size=128", "prepare.mode=crops", "prepare.size=64"],
}


def described(section: object) -> str:
    """The fingerprint of a section and its settings as text, where 1 is not 1.0."""
    return f"{fingerprint(section)} {json.dumps(as_dict(section))}"


def configurations() -> dict[str, Config]:
    recipes = {name: configure(name) for name in RECIPES}
    return recipes | {name: configure("small", ["a", "b"], "c", settings) for name, settings in CHANGES.items()}


def now() -> dict[str, dict[str, str]]:
    wholes = {
        name: {section: described(getattr(config, section)) for section in SECTIONS} | {"": fingerprint(config)}
        for name, config in configurations().items()
    }
    vision = {"default": VisionConfig(), "chosen": VisionConfig(("mine=x",), (10, 20), ("y",), "luma", "scaled", 0, 5)}
    return wholes | {"vision": {name: described(config) for name, config in vision.items()}}


def test_fingerprints_and_settings_are_those_of_the_golden_file() -> None:
    if os.environ.get("CED_REGENERATE"):
        GOLDEN.write_text(json.dumps(now(), indent=1) + "\n")
        pytest.fail(f"{GOLDEN} was written; run it again without CED_REGENERATE")
    golden, found = json.loads(GOLDEN.read_text()), now()
    assert list(golden) == list(found)
    for name, sections in golden.items():
        assert found[name] == sections, name
