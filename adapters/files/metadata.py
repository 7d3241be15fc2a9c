"""Pictures without what tells of their makers: camera, author, place, comments, thumbnails, what hides behind the end.

Only the container is rewritten: what is seen, colour profiles and animation among it, stays to the bit.
Formats: PNG (W3C, third edition), JPEG (ITU-T T.81, JFIF 1.02), GIF89a, WebP (RFC 9649).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

SEEN_PNG = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP sBIT cICP mDCV cLLI acTL fcTL fdAT".split())
SEEN_WEBP = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
SEEN_JPEG = {0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
"""Of the application's segments, those that say what colours mean."""
LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
NOT_SEEN_WEBP = 0x08 | 0x04
"""The flags of VP8X that say there is EXIF and XMP."""
_MARKER = re.compile(rb"\xff(?![\x00\xd0-\xd7\xff])")


def without_metadata(data: bytes, kind: str) -> bytes:
    """The picture alone. kind: png, jpg, gif or webp. Raises ValueError where its container is broken."""
    try:
        return _KINDS[kind](data)
    except (IndexError, struct.error) as error:
        raise ValueError("it ends too early") from error


def _png(data: bytes) -> bytes:
    kept, at = [data[:8]], 8
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError("it ends too early")
        if name in SEEN_PNG:
            kept.append(data[at:end])
        if name == b"IEND":
            return b"".join(kept)
        at = end


def _jpeg(data: bytes) -> bytes:
    kept, at = [data[:2]], 2
    while True:
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if data[at] != 0xFF:
            raise ValueError("there is no segment where one should begin")
        marker = data[at + 1]
        if marker == 0xD9:
            return b"".join((*kept, b"\xff\xd9"))
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        body = data[at + 4 : end]
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            body = body[:12] + b"\0\0"  # without the thumbnail
            kept.append(b"\xff\xe0" + struct.pack(">H", len(body) + 2) + body)
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or body.startswith(SEEN_JPEG.get(marker, b"\0none")):
            kept.append(data[at:end])
        at = end
        if marker == 0xDA:
            mark = _MARKER.search(data, at)
            if mark is None:  # some cameras leave the end out; whether more is missing, its decoder tells
                return b"".join((*kept, data[at:]))
            kept.append(data[at : mark.start()])
            at = mark.start()


def _gif(data: bytes) -> bytes:
    def table(flags: int) -> int:
        return 3 << (1 + (flags & 7)) if flags & 0x80 else 0

    def blocks(at: int) -> int:
        """Where the row of blocks that begins here ends."""
        while data[at]:
            at += 1 + data[at]
        return at + 1

    at = 13 + table(data[10])
    kept = [data[:at]]
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            end = blocks(at + 11 + table(data[at + 9]))
            kept.append(data[at:end])
        elif data[at] == 0x21:
            end, label = blocks(at + 2), data[at + 1]
            if label == 0xF9:
                kept.append(data[at:end])
            elif label == 0xFF and data[at + 3 : at + 14] in LOOPS and data[at + 14 : at + 16] == b"\x03\x01":
                kept.append(data[at : at + 18] + b"\0")
        else:
            raise ValueError("there is no block where one should begin")
        at = end
    return b"".join((*kept, b"\x3b"))


def _webp(data: bytes) -> bytes:
    kept, at = [b"WEBP"], 12
    whole = 8 + struct.unpack_from("<I", data, 4)[0]
    while at < whole:
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        chunk = data[at:end]
        if len(chunk) < 8 + length:
            raise ValueError("it ends too early")
        if name == b"VP8X":
            chunk = chunk[:8] + bytes((chunk[8] & ~NOT_SEEN_WEBP,)) + chunk[9:]
        if name in SEEN_WEBP:
            kept.append(chunk.ljust(end - at, b"\0"))
        at = end
    body = b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


_KINDS: dict[str, Callable[[bytes], bytes]] = {"png": _png, "jpg": _jpeg, "gif": _gif, "webp": _webp}
