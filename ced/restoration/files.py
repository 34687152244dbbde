"""A bad file in, a restored file out: the bytes of one file, without knowing where they come from or go to.

The command line, its processes, Ray's tasks and the page all call `restore_file`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ced.core import damage
from ced.core.encoding import FORMATS, SUFFIX_OF, check_side, encode
from ced.core.images import MAX_PIXELS, Rejected
from ced.core.metadata import NOTHING
from ced.decoding import Decoded, Decoder
from ced.errors import ConfigError
from ced.restoration.family import Family


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How restored files are written. Raises ConfigError."""

    format: str = ""  # one of encoding.FORMATS; "" means png
    output_quality: int | None = None  # 1..100, of a lossy format; None means encoding.QUALITY
    strip: bool = False  # leave all out that a file says beside its pixels, but its colour profile
    damaged: bool = False  # restore a JPEG that ends too early as far as it goes
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.format and self.format not in FORMATS:
            raise ConfigError(f"--format {self.format}: use {', '.join(FORMATS)}")
        if self.output_quality is None:
            return
        if not 1 <= self.output_quality <= 100:
            raise ConfigError(f"--output-quality {self.output_quality}: use a number from 1 to 100")
        if not FORMATS[self.format or "png"].lossy:
            lossy = ", ".join(name for name, each in FORMATS.items() if each.lossy)
            raise ConfigError(
                f"--output-quality {self.output_quality}: {self.format or 'png'} loses nothing; leave it out, or write "
                f"one of {lossy}"
            )


class RestoredFile(NamedTuple):
    """What became of a file."""

    data: bytes  # the new file; the input's where it was left as it is
    suffix: str  # of its name, such as ".png"
    quality: int | None  # factor that was found in it, of a JPEG
    left: str = ""  # why it was left as it is; "" where it was restored
    warning: str = ""  # what is wrong with the file, or could not be written, in clauses


def restore_file(data: bytes, family: Family, decoder: Decoder, writing: Writing) -> RestoredFile:
    """Restore one image file. Raises Rejected, FormatError."""
    photograph = _decoded(data, decoder, writing)
    if left := family.left_because(photograph):
        said = writing.strip and photograph.metadata != NOTHING
        warning = "; ".join(filter(None, (photograph.damage, "what it says beside its pixels is left too" * said)))
        return RestoredFile(data, SUFFIX_OF[photograph.format], photograph.quality, left, warning)
    format = writing.format or "png"
    check_side(photograph.pixels.shape, format)
    restorer = family.for_photograph(photograph)
    assert restorer is not None, "what is not left is restored"
    pixels = restorer.restore_pixels(photograph.pixels)
    metadata = NOTHING if writing.strip else photograph.metadata
    written, left_out = encode(
        pixels, photograph.alpha, photograph.icc_profile, metadata, format, writing.output_quality
    )
    warning = "; ".join(filter(None, (photograph.damage, photograph.lost, *left_out)))
    return RestoredFile(written, FORMATS[format].suffix, photograph.quality, "", warning)


def _decoded(data: bytes, decoder: Decoder, writing: Writing) -> Decoded:
    try:
        return decoder.decode(data, writing.max_pixels, damaged=writing.damaged)
    except Rejected as error:
        if writing.damaged or error.reason not in ("truncated", "damaged") or not damage.stream_of(data):
            raise
        rejected = error
    try:
        decoder.decode(data, writing.max_pixels, damaged=True)
    except Rejected:
        raise rejected from None
    raise Rejected(rejected.reason, f"{rejected.message}; --damaged restores what is there")
