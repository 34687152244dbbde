"""Markup from templates/: every text is escaped, and a value that a template asks for in vain is an error."""

import functools
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from ced import drawing
from ced.core.images import png
from ced.report.groups import display_name


def render(template: str, **values: object) -> str:
    """A whole template."""
    return _environment().get_template(template).render(**values)


def render_macro(template: str, macro: str, *values: object) -> Markup:
    """What one of a template's macros makes of the values: safe to embed."""
    module: Any = _environment().get_template(template).module
    return Markup(getattr(module, macro)(*values))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ced.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(display_name=display_name, data_url=_data_url)
    return environment


def _data_url(pixels: np.ndarray) -> str:
    return drawing.data_url(png(pixels))
