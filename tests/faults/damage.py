"""Image files as an attacker, a bad disk or another program would have them: `damaged(seed, number)`.

Whole files of every format that Pillow writes; bytes changed anywhere; and changes that know the format: declared
sizes, lengths of segments and chunks, tables, numbers of components, restart intervals, offsets of EXIF and TIFF,
sizes of profiles, frames of animations; two formats in one file; formats that ced does not list under suffixes that
it does.
"""

import functools
import io
import random
import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms
from skimage import data

from ced.core.images import SUFFIXES

Mutation = Callable[[bytes, random.Random], bytes]

_SIZE = (64, 48)
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 1000, 32767, 32768, 65500, 65535)
_LARGE = (65536, 1 << 20, (1 << 24) + 1, 50_000_000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
_PROGRAMS = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n",
    "ps": b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, 40, 0, 0, 0, 0) + b"%!PS-Adobe EPSF\n{} loop\n",
    "wmf": b"\xd7\xcd\xc6\x9a\0\0" + bytes(80),
    "emf": b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(80),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 48, 64, 8, 3) + bytes(200),
    "fli": struct.pack("<IHHHHHH", 500, 0xAF11, 1, 64, 48, 8, 3) + bytes(500),
    "pcd": bytes(2048) + b"PCD_" + bytes(4000),
    "fits": b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "grib": b"GRIB" + bytes(100),
    "mpeg": b"\0\0\1\xb3" + bytes(100),
    "iptc": b"\x1c\x03\x3c\0\2\1\0" + bytes(60),
    "sun": struct.pack(">8I", 0x59A66A95, 64, 48, 24, 9216, 1, 0, 0) + bytes(9216),
    "qoi": b"qoif" + struct.pack(">II", 64, 48) + b"\3\0" + bytes(300),
    "xpm": b'/* XPM */\nstatic char *x[] = {\n"4 1 1 1",\n"a c #ff0000",\n"aaaa"\n};',
    "zip": b"PK\3\4" + bytes(60),
    "html": b"<html><img src=x></html>",
    "words": b"these are words\n" * 9,
}


def damaged(seed: int, number: int) -> tuple[str, bytes]:
    """File `number` of those of a seed: its name, unique and with one of ced's suffixes, and its bytes."""
    rng = random.Random(f"{seed}/{number}")
    names = sorted(corpus())
    kind = rng.choice(names)
    stream = corpus()[kind]
    what = rng.random()
    if what < 0.30:
        stream = _bytes(stream, rng)
    elif what < 0.80:
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            stream = _structure(kind)(stream, rng)
    elif what < 0.88:
        stream = _two_in_one(stream, corpus()[rng.choice(names)], rng)
    elif what < 0.94:
        stream = rng.choice(list(_PROGRAMS.values()))
        stream = _bytes(stream, rng) if rng.random() < 0.5 else stream
    suffixes = sorted(SUFFIXES)
    return f"{number:06d}-{kind}{rng.choice(suffixes)}", stream


@functools.cache
def corpus() -> dict[str, bytes]:
    """A small photograph in every format that Pillow writes, and in the variants that decoders have code for."""
    rgb = Image.fromarray(data.coffee()).resize(_SIZE)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    exif.get_ifd(0x8769).update({0x9003: "2020:01:01 00:00:00", 0x927C: bytes(40)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    all_metadata = {"exif": exif, "icc_profile": profile}
    files: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, kind: str, frames: int = 1, **options: object) -> None:
        stream = io.BytesIO()
        if frames > 1:
            options |= {"save_all": True, "append_images": [image.rotate(90 * n) for n in range(1, frames)]}
        try:
            image.copy().save(stream, kind, **options)  # a copy: savers leave settings behind
        except (OSError, ValueError, KeyError, SystemError):  # not in this build of Pillow, or not of this mode
            return
        files[name] = stream.getvalue()

    add("jpeg", rgb, "JPEG", **all_metadata)
    add("jpeg-10", rgb, "JPEG", quality=10, subsampling=2)
    add("jpeg-444", rgb, "JPEG", subsampling=0, restart_marker_blocks=2, comment=b"a comment")
    add("jpeg-progressive", rgb, "JPEG", progressive=True, **all_metadata)
    add("jpeg-gray", rgb.convert("L"), "JPEG", restart_marker_rows=1)
    add("jpeg-cmyk", rgb.convert("CMYK"), "JPEG")
    add("mpo", rgb, "MPO", frames=3)
    add("png", rgb, "PNG", **all_metadata)
    add("png-animated", rgb, "PNG", frames=3, duration=[10, 20, 30])
    add("png-palette", rgb.quantize(17), "PNG", transparency=3)
    add("png-16", Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257), "PNG")
    for mode in ("1", "L", "LA", "RGBA"):
        add(f"png-{mode}", rgb.convert(mode), "PNG")
    add("webp", rgb, "WEBP", **all_metadata)
    add("webp-lossless", rgb.convert("RGBA"), "WEBP", lossless=True)
    add("webp-animated", rgb, "WEBP", frames=3)
    add("avif", rgb, "AVIF", **all_metadata)
    add("avif-animated", rgb, "AVIF", frames=3)
    add("gif", rgb, "GIF")
    add("gif-animated", rgb, "GIF", frames=3)
    compressions = ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma")
    for compression in compressions:
        add(f"tiff-{compression}", rgb, "TIFF", compression=compression, **all_metadata)
    for mode in ("1", "L", "P", "I;16", "F", "CMYK", "LAB", "RGBA"):
        image = Image.new(mode, _SIZE) if mode in ("I;16", "LAB") else rgb.convert(mode)
        add(f"tiff-{mode.replace(';', '')}", image, "TIFF")
    add("tiff-group4", rgb.convert("1"), "TIFF", compression="group4")
    add("tiff-frames", rgb, "TIFF", frames=3)
    add("jp2", rgb, "JPEG2000")
    add("jp2-tiles", rgb, "JPEG2000", tile_size=(32, 32), quality_mode="rates", quality_layers=[20, 5])
    add("tga", rgb, "TGA")
    add("tga-rle", rgb.convert("RGBA"), "TGA", compression="tga_rle")
    for mode in ("1", "L", "RGB", "I", "F"):
        add(f"ppm-{mode}", rgb.convert(mode), "PPM")
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        add(f"bmp-{mode}", rgb.convert(mode), "BMP")
    add("dib", rgb, "DIB")
    Image.init()
    for kind in sorted(Image.SAVE):  # those that ced does not list too
        add(f"other-{kind.lower()}", rgb.convert("1") if kind in ("MSP", "XBM") else rgb, kind)
    return files


def _structure(kind: str) -> Mutation:
    """What knows the format of a file of the corpus."""
    known: dict[str, tuple[Mutation, ...]] = {
        "jpeg": (_jpeg_frame, _jpeg_segment, _jpeg_segment, _jpeg_order, _tiff_numbers),
        "mpo": (_jpeg_segment, _tiff_numbers),
        "png": (_png_header, _png_chunk, _png_chunk, _png_order),
        "webp": (_riff, _large_number),
        "avif": (_boxes, _boxes, _large_number),
        "jp2": (_boxes, _jpeg_2000),
        "tiff": (_tiff_numbers, _tiff_numbers, _large_number),
    }
    mutations = known.get(kind.partition("-")[0], ())
    return lambda stream, rng: rng.choice((*mutations, _header_number))(stream, rng)


def _number(rng: random.Random, width: int) -> int:
    choices = [n for n in (*_NUMBERS, *_LARGE) if n < 1 << (8 * width)]
    return rng.choice(choices) if rng.random() < 0.8 else rng.randrange(1 << (8 * width))


def _put(stream: bytes, at: int, width: int, rng: random.Random, order: str = "") -> bytes:
    """Another number of some bytes at a place: an interesting one, or one that is near the former."""
    order = order or rng.choice(("big", "little"))
    if not 0 <= at <= len(stream) - width:
        return stream
    former = int.from_bytes(stream[at : at + width], order)  # type: ignore[arg-type]
    near = max(0, former + rng.choice((-2, -1, 1, 2, 8))) % (1 << (8 * width))
    value = near if rng.random() < 0.3 else _number(rng, width)
    return stream[:at] + value.to_bytes(width, order) + stream[at + width :]  # type: ignore[arg-type]


def _bytes(stream: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut off, left out, doubled, zeroed, moved."""
    changed = bytearray(stream)
    some = slice(*sorted(rng.randrange(len(stream) + 1) for _ in range(2)))
    match rng.randrange(7):
        case 0:
            for _ in range(rng.choice((1, 2, 5, 20))):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case 1:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        case 2:
            del changed[rng.randrange(len(changed)) :]
        case 3:
            del changed[some]
        case 4:
            changed[some.start : some.start] = changed[some]
        case 5:
            changed[some] = bytes(some.stop - some.start)
        case 6:
            changed[some] = rng.randbytes(some.stop - some.start)
    return bytes(changed)


def _header_number(stream: bytes, rng: random.Random) -> bytes:
    return _put(stream, rng.randrange(min(len(stream), 256)), rng.choice((1, 2, 2, 4)), rng)


def _large_number(stream: bytes, rng: random.Random) -> bytes:
    return _put(stream, rng.randrange(len(stream)), 4, rng)


def _two_in_one(one: bytes, other: bytes, rng: random.Random) -> bytes:
    """Two formats in one file: one behind the other, the head of one on the other, one inside the other."""
    cut = rng.randrange(min(len(one), 200))
    return rng.choice((one + other, one[:cut] + other, one[:cut] + other[cut:], one[:cut] + other + one[cut:]))


def _segments(stream: bytes) -> list[tuple[int, int, int]]:
    """Of a JPEG's segments the marker, where it is, and the bytes with it; up to the first scan's header."""
    found, at = [], 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        length = 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        found.append((stream[at + 1], at, length))
        at += length
        if found[-1][0] == 0xDA:
            break
    return found


def _jpeg_frame(stream: bytes, rng: random.Random) -> bytes:
    """Precision, height, width, components, sampling factors, tables; or another kind of frame."""
    frames = [at for marker, at, _ in _segments(stream) if marker in range(0xC0, 0xC4)]
    if not frames:
        return stream
    at = frames[0]
    match rng.randrange(4):
        case 0:
            return _put(stream, at + 5, 2, rng, "big")
        case 1:
            return _put(stream, at + 7, 2, rng, "big")
        case 2:
            return stream[: at + 1] + bytes([rng.choice(range(0xC0, 0xD0))]) + stream[at + 2 :]
    return _put(stream, at + rng.choice((4, 9, *range(10, 19))), 1, rng)


def _jpeg_segment(stream: bytes, rng: random.Random) -> bytes:
    """The length of a segment, or a number within one: tables of both kinds, restart intervals, profiles, scans."""
    segments = _segments(stream)
    if not segments:
        return stream
    if rng.random() < 0.1:  # a restart interval of any length
        at = segments[-1][1]
        return stream[:at] + b"\xff\xdd\0\4" + _number(rng, 2).to_bytes(2, "big") + stream[at:]
    _, at, length = rng.choice(segments)
    if rng.random() < 0.3:
        return _put(stream, at + 2, 2, rng, "big")
    return _put(stream, at + 4 + rng.randrange(max(length - 4, 1)), rng.choice((1, 1, 2)), rng, "big")


def _jpeg_order(stream: bytes, rng: random.Random) -> bytes:
    """A segment left out, doubled, or elsewhere."""
    segments = _segments(stream)
    if not segments:
        return stream
    _, at, length = rng.choice(segments)
    part, rest = stream[at : at + length], stream[:at] + stream[at + length :]
    to = rng.choice([at for _, at, _ in segments])
    return rng.choice((rest, stream[:to] + part + stream[to:], rest[:to] + part + rest[to:]))


def _chunks(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Of a PNG's chunks the name and the content."""
    found, at = [], 8
    while at + 12 <= len(stream):
        length = int.from_bytes(stream[at : at + 4], "big")
        found.append((stream[at + 4 : at + 8], stream[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """With right checksums, so that what is inside is looked at."""
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png_header(stream: bytes, rng: random.Random) -> bytes:
    """Width, height, depth, colour type, interlacing; of a frame, its size and place."""
    chunks = _chunks(stream)
    places = [n for n, (name, _) in enumerate(chunks) if name in (b"IHDR", b"acTL", b"fcTL")]
    if not places:
        return stream
    n = rng.choice(places)
    name, body = chunks[n]
    at, width = rng.choice(((0, 4), (4, 4), (8, 1), (9, 1), (12, 1), (8, 4), (12, 4), (16, 4), (24, 2)))
    chunks[n] = name, _put(body, at, width, rng, "big")
    return _png(chunks)


def _png_chunk(stream: bytes, rng: random.Random) -> bytes:
    """A number in a chunk, or one more chunk: a palette, a profile, a text that is large once it is unpacked."""
    chunks = _chunks(stream)
    if not chunks:
        return stream
    n = rng.randrange(len(chunks))
    if rng.random() < 0.3:
        bomb = _packed(rng.choice((100, 1 << 20, 1 << 26)))
        extra = ((b"zTXt", b"k\0\0" + bomb), (b"iCCP", b"k\0\0" + bomb), (b"PLTE", rng.randbytes(rng.randrange(900))))
        extra += ((b"tRNS", rng.randbytes(rng.randrange(300))), (b"eXIf", rng.randbytes(60)), (b"IDAT", bomb))
        chunks.insert(rng.randrange(len(chunks)) + 1, rng.choice(extra))
    else:
        name, body = chunks[n]
        chunks[n] = name, _bytes(body, rng) if body else rng.randbytes(9)
    return _png(chunks)


@functools.cache
def _packed(size: int) -> bytes:
    return zlib.compress(bytes(size))


def _png_order(stream: bytes, rng: random.Random) -> bytes:
    chunks = _chunks(stream)
    if not chunks:
        return stream
    if rng.random() < 0.5:
        del chunks[rng.randrange(len(chunks))]
    else:
        chunks.insert(rng.randrange(len(chunks) + 1), rng.choice(chunks))
    return _png(chunks)


def _tiff_numbers(stream: bytes, rng: random.Random) -> bytes:
    """A number in a directory of TIFF, also of EXIF: how many entries, a tag, a type, a count, an offset, the next."""
    headers = [match.start() for match in re.finditer(rb"II\*\0|MM\0\*", stream)]
    if not headers:
        return stream
    start = rng.choice(headers)
    order = "little" if stream[start : start + 1] == b"I" else "big"
    at = start + int.from_bytes(stream[start + 4 : start + 8], order)  # type: ignore[arg-type]
    entries = int.from_bytes(stream[at : at + 2], order)  # type: ignore[arg-type]
    if rng.random() < 0.15:
        return _put(stream, rng.choice((start + 4, at, at + 2 + 12 * entries)), rng.choice((2, 4)), rng, order)
    entry = at + 2 + 12 * rng.randrange(max(entries, 1))
    offset, width = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    return _put(stream, entry + offset, width, rng, order)


def _riff(stream: bytes, rng: random.Random) -> bytes:
    """A chunk's size, or a number of the canvas or of a frame."""
    names = [match.start() for match in re.finditer(rb"RIFF|WEBP|VP8[ LX]|ANIM|ANMF|ALPH|ICCP|EXIF", stream)]
    if not names:
        return stream
    at = rng.choice(names)
    return _put(stream, at + rng.choice((4, 8, 12, 15, 18)), rng.choice((1, 3, 4)), rng, "little")


def _boxes(stream: bytes, rng: random.Random) -> bytes:
    """A box's size, or a number in one, of AVIF and JPEG 2000."""
    names = rb"ftyp|meta|hdlr|pitm|iloc|iinf|infe|iprp|ipco|ispe|pixi|av1C|colr|mdat|moov|trak|stsz|stco"
    names += rb"|jP  |jp2h|ihdr|jp2c"
    found = [match.start() for match in re.finditer(names, stream)]
    if not found:
        return stream
    return _put(
        stream, rng.choice(found) + rng.choice((-4, -4, 4, 8, 9, 10, 12, 14, 16)), rng.choice((1, 2, 4)), rng, "big"
    )


def _jpeg_2000(stream: bytes, rng: random.Random) -> bytes:
    """The size of the image and of its tiles, the components, and how they are coded."""
    at = stream.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return stream
    offset, width = rng.choice((*((8 + 4 * n, 4) for n in range(8)), (40, 2), (42, 1), (43, 1), (44, 1)))
    coding = stream.find(b"\xff\x52", at)
    places = [(at + offset, width), (coding + 4 + rng.randrange(10), 1)]
    where, width = rng.choice(places)
    return _put(stream, where, width, rng, "big")
