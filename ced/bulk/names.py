"""What the outputs of photographs are called: as they are, in the same folders, without suffix."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from ced.core.encoding import FORMATS
from ced.data.sources import Photograph

_FIRST = (".jpg", ".jpeg")  # of several with one name, the one that has it without its suffix


def stems(photographs: Iterable[Photograph], alone: bool, known: dict[str, str]) -> Iterator[tuple[Photograph, str]]:
    """Each photograph and the path of its output within the folder, without the suffix; no two have the same.

    `x.jpg` and `x.jpeg` become `x` and `x.jpeg`. `alone`: there is one source, whose own name is left out. `known`: the
    stems of former runs by source, which they keep.
    """
    listed = list(photographs)
    taken = set(known.values())
    chosen: dict[str, str] = {}
    for place in (0, 1, 2):
        for photograph in listed:
            name = photograph.name
            if name in known or _place(name) != place:
                continue
            within = PurePosixPath(name)
            if alone and len(within.parts) > 1:
                within = PurePosixPath(*within.parts[1:])
            stem = next(text for text in _candidates(within) if text not in taken)
            taken.add(stem)
            chosen[name] = stem
    for photograph in listed:
        yield photograph, known.get(photograph.name) or chosen[photograph.name]


def _place(name: str) -> int:
    suffix = PurePosixPath(name).suffix.lower()
    return _FIRST.index(suffix) if suffix in _FIRST else len(_FIRST)


def _candidates(within: PurePosixPath) -> Iterator[str]:
    yield str(within.with_suffix(""))
    yield str(within)
    number = 2
    while True:
        yield f"{within}-{number}"
        number += 1


def possible(photograph: Photograph, stem: str, written_as: str = "") -> list[str]:
    """What an output may be called: by the format that is written ("" = png), or where it is left as it is, by its
    own."""
    own = PurePosixPath(photograph.name).suffix.lower()
    return [f"{stem}{suffix}" for suffix in dict.fromkeys((FORMATS[written_as or "png"].suffix, own))]
