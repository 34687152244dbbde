"""A bad file in, a restored file out: the bytes of one file, without knowing where they come from or go to.

The command line, its processes, Ray's tasks and the page all call `restore_file`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ced.core.images import MAX_PIXELS
from ced.decoding import Decoder
from ced.restoration.family import Family


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How restored files are written."""

    format: str = ""  # png (also ""), jpeg, webp, tiff or avif
    output_quality: int | None = None  # of the formats that have one
    strip: bool = False  # leave EXIF, XMP, comments and the like out
    damaged: bool = False  # restore what there is of a damaged file
    max_pixels: int = MAX_PIXELS


class RestoredFile(NamedTuple):
    """What became of a file."""

    data: bytes  # the new file
    suffix: str  # of its name, such as ".png"
    quality: int | None  # factor that was found in it, of a JPEG
    left: str = ""  # why it was left as it is; "" where it was restored
    warning: str = ""  # what is missing of it, in one clause


def restore_file(data: bytes, family: Family, decoder: Decoder, writing: Writing) -> RestoredFile:
    """Restore one image file. Raises Rejected, FormatError."""
    photograph = decoder.decode(data, writing.max_pixels)
    left = "" if family.for_photograph(photograph) else f"quality factor {photograph.quality}"
    return RestoredFile(family.png(photograph), ".png", photograph.quality, left)
