"""Drawn digits of 28 x 28, as of a pocket calculator written by hand, and PNG files of them."""
import struct
import zlib

import numpy as np

SIDE = 28
# Which of the seven strokes a digit has: top, upper left, upper right, middle, lower left, lower
# right, bottom.
_STROKES = ("1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010",
            "1111111", "1111011")
_ENDS = (((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 1), (1, 1)), ((1, 0), (1, 1)), ((1, 0), (2, 0)),
         ((1, 1), (2, 1)), ((2, 0), (2, 1)))


def _draw(digit, rng):
    """Strokes between corners that are not quite where they should be, with soft edges."""
    corners = rng.normal(0, 1.0, (3, 2, 2))
    top, left = rng.uniform(3, 7), rng.uniform(5, 11)
    height, width = rng.uniform(7, 9), rng.uniform(8, 11)
    slant, thickness = rng.uniform(-0.25, 0.25), rng.uniform(0.9, 1.8)
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.zeros((SIDE, SIDE))
    for on, ends in zip(_STROKES[digit], _ENDS):
        if on == "0":
            continue
        (y0, x0), (y1, x1) = (
            (top + row * height + corners[row, column, 0],
             left + column * width + corners[row, column, 1] - slant * row * height)
            for row, column in ends)
        along = ((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / ((y1 - y0) ** 2 + (x1 - x0) ** 2)
        along = np.clip(along, 0, 1)
        far = np.hypot(y - y0 - along * (y1 - y0), x - x0 - along * (x1 - x0))
        image = np.maximum(image, np.clip(thickness + 0.5 - far, 0, 1))
    return image


def digits(count, seed):
    """Images as bytes [count, 28, 28], and what they show."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    images = np.stack([_draw(label, rng) for label in labels])
    images = np.clip(images * rng.uniform(0.5, 1, (count, 1, 1)) + rng.normal(0, 0.15, images.shape), 0, 1)
    return (255 * images).astype(np.uint8), labels


def as_inputs(images):
    """float32 [count, 784] between 0 and 1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def one_hot(labels):
    return np.eye(10, dtype=np.float32)[labels]


def png_of(image):
    """A PNG file of 8-bit grey."""
    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def from_png(content):
    """Of what png_of writes: 8-bit grey, rows without a filter."""
    at, data, size = 8, b"", None
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", content[at + 8:at + 18])
            size = height, width
            if (depth, colour) != (8, 0):
                raise ValueError("not 8-bit grey")
        elif kind == b"IDAT":
            data += content[at + 8:at + 8 + length]
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(size[0], size[1] + 1)
    if rows[:, 0].any():
        raise ValueError("rows with filters")
    return rows[:, 1:]
