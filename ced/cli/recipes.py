"""`ced recipes [show NAME]`."""

import argparse
import dataclasses

from ced.config import MODELS, Config
from ced.errors import ConfigError
from ced.recipes import RECIPES, configure


def recipes(arguments: argparse.Namespace) -> None:
    """List the recipes, or print one in the form that --set takes and what its networks cost."""
    if arguments.action is None:
        for name, recipe in RECIPES.items():
            print(f"{name:12} {(recipe.__doc__ or '').strip()}")
    elif arguments.name is None:
        raise ConfigError(f"recipes show: name one of {', '.join(RECIPES)}")
    else:
        from ced.training import train

        config = configure(arguments.name, settings=arguments.settings)
        print("\n".join(_lines(config)))

        print("\n".join(f"network of {model} = {train.size(model, config, config.classes.count)}" for model in MODELS))


def _lines(config: Config) -> list[str]:
    lines = [f"images = {', '.join(config.images) or '(give --images)'}"]
    lines.append(f"test_images = {config.test_images or '(give --test-images)'}")
    for section in dataclasses.fields(config):
        part = getattr(config, section.name)
        if dataclasses.is_dataclass(part):
            lines += [f"{section.name}.{f.name}={_text(getattr(part, f.name))}" for f in dataclasses.fields(part)]
    return lines


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
