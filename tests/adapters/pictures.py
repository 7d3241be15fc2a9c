"""Small pictures of every kind a study takes, made byte by byte or by Pillow."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image


def png(colour: tuple[int, int, int] = (200, 40, 40), size: tuple[int, int] = (8, 6)) -> bytes:
    """A PNG of one colour."""
    row = b"\x00" + bytes(colour) * size[0]
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * size[1])),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def other(kind: str) -> bytes:
    """A JPEG, GIF or WebP of one colour."""
    held = BytesIO()
    Image.new("RGB", (8, 6), (40, 40, 200)).save(held, kind)
    return held.getvalue()


def save(folder: Path, n: int) -> list[str]:
    """n different PNG files in `folder`, which is made; their names."""
    folder.mkdir(exist_ok=True)
    names = [f"secret-model-{place}.png" for place in range(n)]
    for place, name in enumerate(names):
        (folder / name).write_bytes(png((20 * place, 90, 255 - 20 * place)))
    return names
