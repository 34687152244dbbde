"""A bad file in, a restored file out: the bytes of one file, without knowing where they come from or go to.

The command line, its processes, Ray's tasks and the page all call `restore_file`.
"""

from typing import NamedTuple

from ced.core import damage, jpeg
from ced.core.encoding import FORMATS, Writing, check_side, encode
from ced.core.images import Rejected
from ced.core.metadata import NOTHING
from ced.decoding import Decoded, Decoder
from ced.restoration.family import Family


class RestoredFile(NamedTuple):
    """What became of a file."""

    data: bytes  # the new file; the input's where it was left as it is, unless another format was asked for
    suffix: str  # of the new file's name, such as ".png"; "" where it is the input's bytes, and keeps its name
    quality: int | None  # factor that was found: by its pixels where they show a stronger compression than its header
    left: str = ""  # why it was left as it is; "" where it was restored
    warning: str = ""  # what is wrong with the file, not as its header says, or could not be written, in clauses


def restore_file(data: bytes, family: Family, decoder: Decoder, writing: Writing) -> RestoredFile:
    """Restore one image file. Raises Rejected, FormatError."""
    photograph = _decoded(data, decoder, writing)
    choice = family.choose(photograph)
    format = writing.format or "png"
    own = "JPEG" if photograph.format in jpeg.NAMES else photograph.format
    if choice.left and not (writing.always and FORMATS[format].pillow != own):
        said = writing.strip and photograph.metadata != NOTHING
        warning = "; ".join(filter(None, (photograph.damage, "what it says beside its pixels is left too" * said)))
        return RestoredFile(data, "", choice.quality, choice.left, warning)
    check_side(photograph.pixels.shape, format)
    pixels = choice.pixels(photograph)
    metadata = NOTHING if writing.strip else photograph.metadata
    written, left_out = encode(
        pixels, photograph.alpha, photograph.icc_profile, metadata, format, writing.output_quality
    )
    warning = "; ".join(filter(None, (photograph.damage, choice.history, photograph.lost, *left_out)))
    return RestoredFile(written, FORMATS[format].suffix, choice.quality, choice.left, warning)


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
