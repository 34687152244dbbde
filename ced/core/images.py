"""Photograph files -> arrays, and a stable reason for each that cannot be used; arrays -> PNG.

All images of the outside are opened here (`opened`): by the formats that ced lists and no other, within its limits.
"""

import contextlib
import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

REASONS = ("unreadable", "empty", "not an image", "truncated", "too large", "too small") + (
    "damaged",
    "crashed",
    "too slow",
    "not a JPEG",  # these three of damaged files beside their originals
    "turned",
    "another size",
)

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".jpg_large", ".png", ".apng", ".webp", ".avif", ".avifs")
    + (".bmp", ".dib", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".icb", ".vda", ".vst")
    + (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx")
)
# Pillow's names of the formats with these suffixes: whatever a file is called, no other one is tried. Among Pillow's
# others are some that start programs (EPS: Ghostscript). TGA is last: its files have no mark of their own.
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PPM", "PNG", "AVIF", "JPEG2000", "TIFF", "WEBP", "TGA")

# The limits of one photograph, where no setting says otherwise (docs/reliability.md, "Files").
MAX_PIXELS = 200_000_000
MAX_SIDE = 65_500  # pixels; libjpeg's: evaluation makes a JPEG of every image
MAX_BYTES = 1 << 30  # of a file
SECONDS = 30.0  # for decoding it

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LONGEST = 200  # characters of a reason: some errors quote the file
_standard_error = threading.Lock()
_MOST_PROFILE = 16_000_000  # bytes: a JPEG has room for hardly more


class Rejected(Exception):
    """An image that is set aside: `reason` is one of REASONS, `message` says more."""

    def __init__(self, reason: str, message: str):
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, self.message)


def decode_rgb(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The image in `data`, upright, as RGB. Shape: (H, W, 3) uint8. Raises Rejected."""
    return np.asarray(decode(data, max_pixels))


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in `data`, upright, in mode RGB. Raises Rejected."""
    with opened(data, max_pixels) as image:
        return to_rgb(upright(image))


def open_upright(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The decoded image (of an animation the first frame) with its EXIF orientation applied. Raises Rejected."""
    with opened(data, max_pixels) as image:
        return upright(image)


@contextlib.contextmanager
def opened(data: bytes, max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """The image in `data`, of one of `formats`, within the limits; its header is read, its pixels are not yet.

    Whatever is raised, here or where the image is used, is a Rejected, and nothing is printed by other libraries.
    """
    if not data:
        raise Rejected("empty", "the file has no bytes")
    try:
        with warnings.catch_warnings(), _pillows_limit(max_pixels), _silenced(data):
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=formats) as image:
                check_size(image.width, image.height, max_pixels)
                yield image
    except Rejected:
        raise
    except Image.DecompressionBombError as error:
        stated = re.search(r"\d+(?= pixels)", str(error))  # also of an image inside the image
        raise _too_large(stated[0] if stated else "too many", max_pixels) from error
    except UnidentifiedImageError as error:
        raise Rejected("not an image", "no known image format") from error
    except MemoryError as error:
        raise Rejected("too large", "not enough memory to decode it") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        reason = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise Rejected(reason, _plain(error)) from error


def upright(image: Image.Image) -> Image.Image:
    """An opened image, decoded, with its EXIF orientation applied."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image


def check_size(width: int, height: int, max_pixels: int, grid: int = 1) -> None:
    """Raises Rejected where an image, each side padded to a multiple of `grid`, is beyond the limits."""
    if (pixels := (width + -width % grid) * (height + -height % grid)) > max_pixels:
        raise _too_large(pixels, max_pixels)
    if max(width, height) > MAX_SIDE:
        raise Rejected("too large", f"{width}x{height} pixels, the limit of a side is {MAX_SIDE}")


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Luminance as the paper's protocol pins it: studio-range BT.601 luma, as MATLAB's `rgb2ycbcr`.

    round(16 + (65.481 R + 128.553 G + 24.966 B) / 255).

    Shape: (..., H, W, 3) uint8 in 0..255 -> (..., H, W) uint8 in 16..235.
    """
    if rgb.ndim < 3 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"luminance takes (..., H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
    # Weights in thousandths keep the sum exact in int32, so that .5 is rounded alike everywhere.
    red, green, blue = (rgb[..., c].astype(np.int32) for c in range(3))
    thousandths = 65481 * red + 128553 * green + 24966 * blue + 16 * 255_000
    return ((thousandths + 127_500) // 255_000).astype(np.uint8)


def luma_of(planes: np.ndarray) -> np.ndarray:
    """Luminance of stacked planes. Shape: (N, 1 or 3, H, W) uint8 -> (N, H, W) uint8."""
    return planes[:, 0] if planes.shape[1] == 1 else luminance(planes.transpose(0, 2, 3, 1))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: transparency over white, 16-bit gray scaled to 8 bits."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray((wide.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


class Plain(NamedTuple):
    """An image as restorers take it, whatever its file has."""

    pixels: np.ndarray  # (H, W) or (H, W, 3) uint8; gray wherever the channels are equal
    alpha: np.ndarray | None = None  # (H, W) uint8, None where nothing shines through
    icc_profile: bytes | None = None  # of RGB, or of gray where the file has one channel
    lost: str = ""  # what they have no more of the file, in a clause


def plain(image: Image.Image) -> Plain:
    """A decoded image as it is, without its transparency; 16-bit gray scaled to 8 bits, CMYK as sRGB.

    A profile of another kind of image than this one, or a broken one, is left out. RGB is not converted.
    """
    stated = image.info.get("icc_profile")
    profile = stated if isinstance(stated, bytes) and len(stated) <= _MOST_PROFILE else None
    if image.mode == "CMYK":
        converted = to_srgb(image, profile) if profile_kind(profile) == "CMYK" else None
        lost = "" if converted else "its CMYK is converted without a colour profile"
        return Plain(_gray_if_neutral(np.asarray(converted or image.convert("RGB"))), lost=lost)
    gray = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    profile = profile if profile_kind(profile) == ("GRAY" if gray else "RGB") else None
    unfit = stated and not profile and image.mode != "LAB"  # which Pillow converts by itself
    lost = "its colour profile is broken, or of another kind of image: left out" if unfit else ""
    if image.mode == "L" and not image.has_transparency_data:
        return Plain(np.asarray(image), None, profile, lost)
    if image.has_transparency_data and not image.mode.startswith("I"):
        layers = np.asarray(image.convert("RGBA"))
        alpha = np.ascontiguousarray(layers[..., 3]) if layers[..., 3].min() < 255 else None
        return Plain(_gray_if_neutral(np.ascontiguousarray(layers[..., :3])), alpha, profile, lost)
    return Plain(_gray_if_neutral(np.asarray(to_rgb(image))), None, profile, lost)


def profile_kind(profile: bytes | None) -> str:
    """The kind of image that a colour profile is for: RGB, GRAY, CMYK, ...; "" without one, or where it is broken."""
    try:
        return str(ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space).strip() if profile else ""
    except (OSError, TypeError, ValueError):
        return ""


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """An image of gray or CMYK through its profile to sRGB; None where the profile cannot be used.

    Relative colorimetric with black-point compensation: colours that sRGB has come out as they were measured, white
    paper white and the darkest ink black. What print has beyond sRGB is little, so nothing else is moved for it.
    """
    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile or b"")), ImageCms.createProfile("sRGB")
        intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        return ImageCms.profileToProfile(image, source, target, intent, "RGB", flags=flags)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def _gray_if_neutral(pixels: np.ndarray) -> np.ndarray:
    """One of three planes that are all the same. Shape: (H, W, 3) uint8 -> the same or (H, W)."""
    first = pixels[..., 0]
    for other in (1, 2):
        if not np.array_equal(first[:8], pixels[:8, ..., other]) or not np.array_equal(first, pixels[..., other]):
            return pixels
    return np.ascontiguousarray(first)


def png(image: np.ndarray | Image.Image, compress_level: int = 6, icc_profile: bytes | None = None) -> bytes:
    """A PNG: nothing is lost. Arrays are uint8 of shape (H, W) or (H, W, 3)."""
    stream = io.BytesIO()
    pillow = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    pillow.save(stream, "PNG", compress_level=compress_level, icc_profile=icc_profile)
    return stream.getvalue()


def _too_large(pixels: int | str, max_pixels: int) -> Rejected:
    return Rejected("too large", f"{pixels} pixels, the limit is {max_pixels}")


@contextlib.contextmanager
def _pillows_limit(max_pixels: int) -> Iterator[None]:
    """Pillow refuses what has more than twice its own limit: that is where `max_pixels` is, for now."""
    former, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, -(-max_pixels // 2)
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = former


@contextlib.contextmanager
def _silenced(data: bytes) -> Iterator[None]:
    """libtiff writes what it thinks of a file to the process's standard error by itself; meanwhile nobody else can."""
    if not data.startswith(_TIFF):
        yield
        return
    with _standard_error, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # there is no standard error
            former = os.dup(2)
            stack.callback(os.close, former)
            with open(os.devnull, "wb") as nothing:
                os.dup2(nothing.fileno(), 2)
            stack.callback(os.dup2, former, 2)
        yield


def _plain(error: Exception) -> str:
    """The error's text in one line, without memory addresses, which differ from run to run."""
    text = " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", str(error)).split())
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable[:_LONGEST] or type(error).__name__
