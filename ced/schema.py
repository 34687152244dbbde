"""Parquet schemas. Planes are binary columns: list columns of uint8 are stored as 32-bit integers."""

import pyarrow as pa

VERSION = "1"

METADATA = {"ced.schema": VERSION}

EXAMPLES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # photograph, and crop where cropped
        pa.field("source", pa.string(), nullable=False),  # the photograph
        pa.field("flip", pa.bool_(), nullable=False),
        pa.field("quality", pa.uint8(), nullable=False),
        pa.field("height", pa.uint16(), nullable=False),
        pa.field("width", pa.uint16(), nullable=False),
        pa.field("target", pa.binary(), nullable=False),  # uint8, C x H x W
        pa.field("input", pa.binary(), nullable=False),  # uint8, C x H x W, decoded from jpeg
        pa.field("jpeg", pa.binary(), nullable=False),  # the stream itself
    ],
    metadata=METADATA,
)

# One row for each example, in the same order, in the part of the same name. The first four columns are its key.
LABELS = pa.schema(
    [
        *(EXAMPLES.field(name) for name in ("image_id", "flip", "height", "width")),
        pa.field("labels", pa.binary(), nullable=False),  # uint8, 16 x H/4 x W/4
    ],
    metadata=METADATA,
)

QUARANTINE = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # one of ced.core.images.REASONS
        pa.field("message", pa.string(), nullable=False),
    ],
    metadata=METADATA,
)


def per_image(*columns: pa.Field) -> pa.Schema:
    """One row an image, quality factor and method, with `columns` of what was measured or seen.

    They are null or empty where the method failed, and `reason` says why.
    """
    return pa.schema(
        [
            pa.field("dataset", pa.string(), nullable=False),
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("method", pa.string(), nullable=False),
            pa.field("quality", pa.uint8(), nullable=False),  # 0 for the original, and for damaged files as found
            pa.field("colour", pa.string(), nullable=False),
            pa.field("height", pa.uint32(), nullable=False),
            pa.field("width", pa.uint32(), nullable=False),
            *columns,
            pa.field("reason", pa.string(), nullable=False),  # "" where the method did its work
            pa.field("message", pa.string(), nullable=False),
        ],
        metadata=METADATA,
    )


_BOXES = pa.list_(pa.list_(pa.float32(), 4))  # x1, y1, x2, y2: 0-based and half open, in pixels
_CLASSES = pa.list_(pa.string())  # one of ced.vision.objects.CLASSES for each box

VISION = per_image(
    pa.field("boxes", _BOXES, nullable=False),  # what the detector found, the surest first
    pa.field("scores", pa.list_(pa.float32()), nullable=False),
    pa.field("classes", _CLASSES, nullable=False),
    pa.field("true_boxes", _BOXES, nullable=False),  # what is labelled
    pa.field("true_classes", _CLASSES, nullable=False),
    pa.field("true_difficult", pa.list_(pa.bool_()), nullable=False),
    pa.field("confusion", pa.binary()),  # int64, 21 true x 21 predicted classes: pixels; null where it failed
)

# What became of each file that `ced restore` was given, in restored.parquet.
RESTORED = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),  # its name and those of its folders
        pa.field("stamp", pa.string(), nullable=False),  # changes when the source's bytes may have
        pa.field("digest", pa.string(), nullable=False),  # SHA-256 of the source; "" where it could not be read
        pa.field("size", pa.int64(), nullable=False),  # bytes of the source
        pa.field("quality", pa.uint8()),  # factor that was found in it; null where it is no JPEG
        pa.field("restorer", pa.string(), nullable=False),  # name and digest
        pa.field("settings", pa.string(), nullable=False),  # a digest of all that the output depends on but the source
        pa.field("seconds", pa.float32(), nullable=False),
        pa.field("done", pa.string(), nullable=False),  # restored, left, or set aside
        pa.field("reason", pa.string(), nullable=False),  # why it was left or set aside
        pa.field("warning", pa.string(), nullable=False),  # what is missing of it
        pa.field("output", pa.string(), nullable=False),  # the new file within the folder; "" where it was set aside
        pa.field("output_size", pa.int64(), nullable=False),
        pa.field("output_digest", pa.string(), nullable=False),  # SHA-256
    ],
    metadata=METADATA,
)
