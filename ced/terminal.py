"""Facts and columns as plain text, aligned."""

import io
from collections.abc import Sequence

_UNITS = ("kB", "MB", "GB", "TB")
_WIDEST = 100_000  # nothing is ever cut


def size(count: int) -> str:
    """A number of bytes as people read it: 980 B, 95.2 MB."""
    if count < 1000:
        return f"{count} B"
    value, unit = count / 1000, 0
    while round(value, 1) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}"


def facts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each fact, its name before it."""
    widest = max(len(name) for name, _ in pairs)
    return [f"{name:{widest}}  {text}" for name, text in pairs]


def grid(heading: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[int], least: int = 0) -> list[str]:
    """A heading and rows in columns, two spaces apart; those numbered in `figures` are set to the right, and `least`
    wide. A letter is as wide as the terminal shows it: a name like 日本 takes four columns."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    for number, name in enumerate(heading):
        right = number in figures
        table.add_column(
            Text(name), justify="right" if right else "left", no_wrap=True, min_width=least if right else None
        )
    for row in rows:
        table.add_row(*map(Text, row))
    stream = io.StringIO()
    Console(file=stream, width=_WIDEST, color_system=None, _environ={}).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]
