"""Restored pixels -> an image file, with the colour profile and the metadata that they came with."""

import io
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base

from ced.core.images import MAX_PIXELS, Rejected, profile_kind, to_srgb
from ced.core.metadata import EXIF_HEADER, NOTHING, Metadata, photographic
from ced.errors import ConfigError

QUALITY = 95  # of the lossy ones: little is lost once more
_SEGMENT = 65_533  # bytes of one part of a JPEG's header
_XMP_HEADER = 29  # bytes of it that are not XMP
_TIFF_XMP = 700


@dataclass(frozen=True)
class Format:
    """A format of restored files: Pillow's name, the names of its files, and how they are written.

    Colour is not subsampled where it can be chosen: three quarters of the chroma that was restored would be lost. TIFF
    is not compressed: Pillow writes the directories of EXIF and GPS into no other.
    """

    pillow: str
    suffix: str
    lossy: bool
    alpha: bool = True
    gray: bool = True  # else it is written as RGB
    side: int = 65_500  # pixels
    options: dict[str, Any] = field(default_factory=dict)


FORMATS = {
    "png": Format("PNG", ".png", lossy=False, options={"compress_level": 6}),
    "jpeg": Format("JPEG", ".jpg", lossy=True, alpha=False, options={"subsampling": "4:4:4"}),
    "webp": Format("WEBP", ".webp", lossy=True, gray=False, side=16_383, options={"exact": True}),
    "tiff": Format("TIFF", ".tif", lossy=False, options={"compression": "raw"}),
    "avif": Format("AVIF", ".avif", lossy=True, gray=False, options={"subsampling": "4:4:4"}),
}


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How restored files are written. Raises ConfigError."""

    format: str = ""  # one of FORMATS; "" means png
    output_quality: int | None = None  # 1..100, of a lossy format; None means QUALITY
    strip: bool = False  # leave all out that a file says beside its pixels, but its colour profile
    damaged: bool = False  # restore a JPEG that ends too early as far as it goes
    always: bool = False  # in this format, also pixels that are left as they are; else their file stays as it is
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.format and self.format not in FORMATS:
            raise ConfigError(f"--format {self.format}: use {', '.join(FORMATS)}")
        if self.output_quality is None:
            return
        if not 1 <= self.output_quality <= 100:
            raise ConfigError(f"--output-quality {self.output_quality}: use a number from 1 to 100")
        if self.format and not FORMATS[self.format].lossy:
            lossy = ", ".join(name for name, each in FORMATS.items() if each.lossy)
            raise ConfigError(
                f"--output-quality {self.output_quality}: {self.format} loses nothing; leave it out, or use {lossy}"
            )


def check_side(shape: tuple[int, ...], format: str) -> None:
    """Raises Rejected where the format has no room for an image of a shape, (H, W, ...)."""
    if max(shape[:2]) > FORMATS[format].side:
        size = f"{shape[1]}x{shape[0]} pixels"
        raise Rejected("too large", f"{size}, a side of {format.upper()} has {FORMATS[format].side} at most")


def encode(
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
    icc_profile: bytes | None = None,
    metadata: Metadata = NOTHING,
    format: str = "png",
    quality: int | None = None,
) -> tuple[bytes, list[str]]:
    """The file of an image, and what it could not take along, each in a clause.

    `quality` is for the lossy formats, 1..100, by default QUALITY. Gray with a profile of RGB is written as three equal
    channels, and so is all gray where the format has none; its own profile is applied then.
    Shape: (H, W) or (H, W, 3) uint8, `alpha` (H, W) uint8.
    """
    kind, left_out = FORMATS[format], []
    image, icc_profile = _coloured(Image.fromarray(pixels), icc_profile, kind)
    if alpha is not None and kind.alpha:
        image.putalpha(Image.fromarray(alpha))
    elif alpha is not None:
        white = Image.new(image.mode, image.size, "white")
        white.paste(image, mask=Image.fromarray(alpha))
        image = white
        left_out.append(f"{format.upper()} has no transparency: it lies over white")
    options = kind.options | ({"quality": QUALITY if quality is None else quality} if kind.lossy else {})
    options["icc_profile"] = icc_profile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about metadata
        try:
            data = _saved(image, kind, options | _options(metadata, kind, left_out))
        except Exception:  # Pillow raises nearly anything for metadata that it cannot write
            if metadata == NOTHING:
                raise
            left_out = [*left_out, f"{format.upper()} cannot hold its metadata"]
            data = _saved(image, kind, options)
    return data, left_out


def _saved(image: Image.Image, kind: Format, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind.pillow, **options)
    return stream.getvalue()


def _coloured(image: Image.Image, profile: bytes | None, kind: Format) -> tuple[Image.Image, bytes | None]:
    """An image, gray only where the format and the profile are for gray, and its profile."""
    if image.mode == "L" and profile_kind(profile) == "RGB":
        return image.convert("RGB"), profile
    if image.mode == "L" and not kind.gray:
        return (profile and to_srgb(image, profile)) or image.convert("RGB"), None
    return image, profile


def _options(metadata: Metadata, kind: Format, left_out: list[str]) -> dict[str, Any]:
    """Pillow's options for metadata; what has no room is named in `left_out`. WebP and AVIF have no comment, and no
    resolution but EXIF's."""
    said = {"exif": metadata.exif and EXIF_HEADER + metadata.exif, "xmp": metadata.xmp, "comment": metadata.comment}
    if kind.pillow == "JPEG":
        for name, room in {"exif": _SEGMENT, "xmp": _SEGMENT - _XMP_HEADER, "comment": _SEGMENT}.items():
            if len(said[name]) > room:
                left_out.append(f"JPEG has no room for its {name}")
                said[name] = b""
    options: dict[str, Any] = {name: value for name, value in said.items() if value}
    if kind.pillow == "PNG":
        options["pnginfo"] = _texts(metadata)
    if kind.pillow == "TIFF":
        options["exif"] = _tags(metadata).tobytes()
    return options | ({"dpi": metadata.dpi} if metadata.dpi else {})


def _texts(metadata: Metadata) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for key, value in (("XML:com.adobe.xmp", metadata.xmp), ("Comment", metadata.comment)):
        if value:
            texts.add_itxt(key, _text(value))
    return texts


def _tags(metadata: Metadata) -> Image.Exif:
    """A TIFF file's tags are EXIF's: those of the photograph, and none about how a file stores its pixels."""
    exif = Image.Exif()
    exif.load(metadata.exif)
    tags = photographic(exif)
    if metadata.comment and Base.ImageDescription not in tags:
        tags[Base.ImageDescription] = _text(metadata.comment)
    if metadata.xmp:
        tags[_TIFF_XMP] = metadata.xmp
    return tags


def _text(value: bytes) -> str:
    """What is text in UTF-8, else in Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
