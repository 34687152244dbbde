"""Pictures on the page: a before/after divide, and all versions with one region enlarged."""

import base64
from collections.abc import Iterable
from html import escape

from ced.report.groups import display_name
from ced.report.model import Picture
from ced.report.pictures import busiest, detail_side, png

_SIDES = (32, 64, 128)  # pixels that the enlarged region can span


def pictures_section(pictures: Iterable[Picture]) -> str:
    """A viewer for each picture; "" where there are none. Without scripts the whole versions are still shown."""
    viewers = [_viewer(number, picture) for number, picture in enumerate(pictures, start=1)]
    if not viewers:
        return ""
    lead = (
        '<p class="lead">Drag the divide to compare two versions. Drag the frame on any small picture, '
        "or use the arrow keys on it, and every version shows that region enlarged, pixel by pixel.</p>\n"
    )
    return lead + "\n".join(viewers)


def _viewer(number: int, picture: Picture) -> str:
    side = detail_side(picture, most=64)
    left, top, right, bottom = busiest(picture.original, side)
    width, height = picture.width, picture.height
    style = f"--w:{width};--h:{height};--x:{left};--y:{top};--r:{min(right - left, bottom - top)}"
    versions = "\n".join(_version(picture, label, i == 0) for i, (label, _) in enumerate(picture.versions))
    return f"""<article class="viewer" style="{style}" data-width="{width}" data-height="{height}">
<header><h3>{escape(picture.name)}</h3>
<p>QF&nbsp;{picture.quality} · {width}&nbsp;×&nbsp;{height}</p></header>
{_compare(number, picture)}
<div class="versions">
{versions}
</div>
{_sizes(number, picture, side)}
</article>"""


def _compare(number: int, picture: Picture) -> str:
    # Filled by the script, which takes the images from the versions below: each is embedded once.
    labels = [label for label, _ in picture.versions]
    right = len(labels) - 1 if len(labels) > 2 else 0  # the last method, or the original
    return f"""<div class="compare" hidden>
<div class="stage"><div class="under"></div><div class="over"></div><span class="tag"></span><span class="tag"></span>
<input type="range" min="0" max="100" step="1" value="50" aria-label="Where the divide stands, in percent">
<span class="divide"></span></div>
<div class="controls">{_choice(number, "Left", labels, 1)}{_choice(number, "Right", labels, right)}
<label class="tick"><input type="checkbox"> enlarged region only</label></div>
</div>"""


def _choice(number: int, side: str, labels: list[str], chosen: int) -> str:
    options = "".join(
        f'<option value="{i}"{" selected" if i == chosen else ""}>{escape(display_name(label))}</option>'
        for i, label in enumerate(labels)
    )
    name = f"{side.lower()}-{number}"
    return f'<label for="{name}">{side} <select id="{name}">{options}</select></label>'


def _version(picture: Picture, label: str, first: bool) -> str:
    data = base64.b64encode(png(dict(picture.versions)[label])).decode("ascii")
    name = display_name(label)
    alt = escape(f"{picture.name}, {name}")
    focus = 'tabindex="0" role="group" aria-roledescription="lens"' if first else 'aria-hidden="true"'
    return f"""<figure class="version"><figcaption>{escape(name)}</figcaption>
<div class="whole">
<img src="data:image/png;base64,{data}" width="{picture.width}" height="{picture.height}" alt="{alt}">
<span class="lens" {focus}></span></div>
<div class="crop" aria-hidden="true"></div></figure>"""


def _sizes(number: int, picture: Picture, chosen: int) -> str:
    least = min(picture.height, picture.width)
    chosen = min(chosen, least)
    sides = sorted({side for side in _SIDES if side <= least} | {chosen})
    choices = "".join(
        f'<label><input type="radio" name="side-{number}" value="{side}"{" checked" if side == chosen else ""}>'
        f"<span>{side}</span></label>"
        for side in sides
    )
    return f'<fieldset class="sizes" hidden><legend>Enlarged region, pixels across</legend>{choices}</fieldset>'
