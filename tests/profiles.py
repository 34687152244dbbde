"""Colour profiles, made by hand: of gray, of a wide RGB, and of a press whose dots grow."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

GAIN = 1.8  # exponent of the dot gain: far from Pillow's plain conversion, which has none
_GRID = 9


def gray(gamma: float = 1.8) -> bytes:
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _curve(gamma)})


def wide_rgb() -> bytes:
    """Primaries of Adobe RGB (1998), adapted to D50."""
    primaries = {b"rXYZ": (0.60974, 0.31111, 0.01947), b"gXYZ": (0.20528, 0.62567, 0.06087)}
    primaries[b"bXYZ"] = (0.14919, 0.06322, 0.74457)
    tags = {name: _xyz(*values) for name, values in primaries.items()}
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags | {name: _curve(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")})


def cmyk() -> bytes:
    """A table of 9 steps an ink: R = 255 ((1 - C) (1 - K)) ** GAIN, and alike."""
    steps = np.linspace(0, 1, _GRID)
    c, m, y, k = np.meshgrid(steps, steps, steps, steps, indexing="ij")
    inks = np.stack([c, m, y], axis=-1)
    rgb = np.rint(255 * ((1 - inks) * (1 - k[..., None])) ** GAIN).astype(np.uint8).reshape(1, -1, 3)
    lab = ImageCms.profileToProfile(
        Image.fromarray(rgb), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    table = np.array(lab)
    table[..., 1:] ^= 128  # Pillow's a and b are signed, the profile's are not
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, _GRID, 0)) + identity + 4 * ramp + table.tobytes() + 3 * ramp
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut, b"A2B1": lut})


def cmyk_of(rgb: np.ndarray) -> Image.Image:
    """An image in the inks of `cmyk`, without black. Shape: (H, W, 3) uint8."""
    inks = np.rint(255 * (1 - (rgb / 255) ** (1 / GAIN))).astype(np.uint8)
    return Image.fromarray(np.concatenate([inks, np.zeros_like(inks[..., :1])], axis=2), "CMYK")


def kept_in(data: bytes) -> tuple[str, bytes | None]:
    """The mode of an image file, and the profile in it."""
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, image.info.get("icc_profile")


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(0.9642, 1.0, 0.8249), **tags}
    directory, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        directory += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, kind, space, connection)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += _xyz(0.9642, 1.0, 0.8249)[8:]
    return header.ljust(128, b"\0") + directory + body


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma))
