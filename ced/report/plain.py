"""Facts and columns as plain text, aligned."""

from collections.abc import Sequence

_UNITS = ("kB", "MB", "GB", "TB")


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


def grid(heading: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[int]) -> list[str]:
    """A heading and rows in columns; the columns numbered in `figures` are set to the right."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return [_line(line, widths, figures) for line in lines]


def _line(cells: Sequence[str], widths: Sequence[int], figures: Sequence[int]) -> str:
    set_ = (f"{cell:{'>' if n in figures else '<'}{widths[n]}}" for n, cell in enumerate(cells))
    return "  ".join(set_).rstrip()
