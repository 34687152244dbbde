"""`ced recipes [show NAME]`."""

import dataclasses
from dataclasses import dataclass

from ced.cli.options import SET, option, written_as
from ced.config import MODELS, Config
from ced.errors import ConfigError
from ced.recipes import RECIPES, configure
from ced.sections import as_text


@dataclass(frozen=True, kw_only=True)
class Options:
    """`ced recipes`."""

    action: str | None = option(help="show one recipe's settings", positional=True, choices=("show",))
    name: str | None = option("NAME", "the recipe that is shown", positional=True)
    settings: list[str] = written_as(SET)


def recipes(options: Options) -> None:
    """List the recipes, or print one in the form that --set takes and what its networks cost."""
    if options.action is None:
        for name, recipe in RECIPES.items():
            print(f"{name:12} {(recipe.__doc__ or '').strip()}")
    elif options.name is None:
        raise ConfigError(f"recipes show: name one of {', '.join(RECIPES)}")
    else:
        from ced.training import stage

        config = configure(options.name, settings=options.settings)
        print("\n".join(_lines(config)))
        print("\n".join(f"network of {model} = {stage.size(model, config, config.classes.count)}" for model in MODELS))


def _lines(config: Config) -> list[str]:
    lines = [f"images = {', '.join(config.images) or '(give --images)'}"]
    lines.append(f"test_images = {config.test_images or '(give --test-images)'}")
    for section in dataclasses.fields(config):
        part = getattr(config, section.name)
        if dataclasses.is_dataclass(part):
            lines += [f"{section.name}.{f.name}={as_text(getattr(part, f.name))}" for f in dataclasses.fields(part)]
    return lines
