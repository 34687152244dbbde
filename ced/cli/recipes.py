"""`ced recipes [show NAME]`."""

import dataclasses
from dataclasses import dataclass

from ced.cli.options import SET, option, written_as
from ced.config import SECTIONS, as_settings
from ced.errors import ConfigError
from ced.networks import NETWORKS
from ced.recipes import RECIPES, configure


@dataclass(frozen=True, kw_only=True)
class RecipesOptions:
    action: str | None = option(help="show one recipe's settings", positional=True, choices=("show",))
    name: str | None = option("NAME", "the recipe that is shown", positional=True)
    settings: list[str] = written_as(SET)


def recipes(options: RecipesOptions) -> None:
    """List the recipes, or print one in the form that --set takes and what its networks cost."""
    if options.action is None:
        for name, recipe in RECIPES.items():
            print(f"{name:12} {(recipe.__doc__ or '').strip()}")
    elif options.name is None:
        raise ConfigError(f"recipes show: name one of {', '.join(RECIPES)}")
    else:
        from ced.training import train

        config = configure(options.name, settings=options.settings)
        print(f"images = {', '.join(config.images) or '(give --images)'}")
        print(f"test_images = {config.test_images or '(give --test-images)'}")
        values = dataclasses.asdict(config)
        print(*as_settings({section: values[section] for section in SECTIONS}), sep="\n")
        for model in NETWORKS.names:
            print(f"network of {model} = {train.size(model, config, config.classes.count)}")
