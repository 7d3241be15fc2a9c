"""Pictures of items: a user's own files, kept in the study's folder without what tells of their makers, and under names
that tell nothing but their content."""

from __future__ import annotations

import hashlib
import logging
import re
import stat
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from adapters.files.metadata import without_metadata
from elicit.types import BadInputError, Item

if TYPE_CHECKING:
    from PIL import Image

logger = logging.getLogger(__name__)

FOLDER = "images"
"""Where a study keeps them, beside its log."""
LARGEST = 20_000_000
"""Bytes of a picture at most."""
KINDS = "a PNG, JPEG, GIF or WebP picture"

FORMATS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "webp": "WEBP"}
ORIENTATION = 0x0112
"""The tag of EXIF that says how a picture is to be turned."""
MOST_PIXELS = 80_000_000
"""Of all frames together."""

SMALL = 480
"""Pixels of a picture's longer side in a report."""

_STARTS = {"png": (b"\x89PNG\r\n\x1a\n",), "jpg": (b"\xff\xd8\xff",), "gif": (b"GIF87a", b"GIF89a")}
_STORED = re.compile(rf"{FOLDER}/[0-9a-f]{{32}}\.(?:png|jpg|gif|webp)")
_names: dict[bytes, str] = {}
"""What pictures are called in a study, by the digest of the file they come from: to decode one takes its time."""
_ADDRESS = re.compile(r"\s*(?:(?:[a-z][a-z0-9+.-]*:)?//|data:)", re.IGNORECASE)


def kind_of(data: bytes) -> str:
    """The ending of a picture by its first bytes: png, jpg, gif or webp; empty for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((kind for kind, starts in _STARTS.items() if data.startswith(starts)), "")


def name_of(data: bytes) -> str:
    """The file's name in a study: the first 32 hex digits of its SHA-256, and its kind's ending.

    Raises BadInputError for what is no picture that every browser shows, or too large.
    """
    if len(data) > LARGEST:
        raise BadInputError(f"the picture is larger than {LARGEST // 10**6} MB; make it smaller")
    kind = kind_of(data)
    if not kind:
        raise BadInputError(f"this is not {KINDS}; convert it to one")
    return f"{hashlib.sha256(data).hexdigest()[:32]}.{kind}"


def named_in(folder: Path, image: str) -> Path:
    """The file that an item in a file of `folder` means by `image`; absolute.

    Raises BadInputError for an address of the web.
    """
    if _ADDRESS.match(image):
        raise BadInputError(
            "a picture on the web would tell its owner who looks at what; save it and give the file's name"
        )
    return (folder / image).absolute()


def read(file: Path) -> bytes:
    """The picture in a regular file, upright and without metadata: the bytes that a study keeps.

    Raises BadInputError where there is none, or it is no whole picture, or too large.
    """
    raw = _raw(file)
    data = strip_metadata(raw)
    _names[hashlib.sha256(raw).digest()] = name_of(data)
    return data


def _raw(file: Path) -> bytes:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInputError("this is no file; name a picture")
        if status.st_size > LARGEST:
            raise BadInputError(f"the picture is larger than {LARGEST // 10**6} MB; make it smaller")
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, BadInputError):
            raise
        why = getattr(error, "strerror", None) or "not a path"
        raise BadInputError(f"the picture cannot be read ({why}); check the path") from None
    name_of(data)
    return data


def strip_metadata(data: bytes) -> bytes:
    """The picture alone, decoded once to make sure that it can be shown: nothing of its camera, author or place, and
    nothing behind its end. One that was to be turned is encoded anew, turned; of others no pixel changes.

    Raises BadInputError for what is no whole picture.
    """
    from PIL import Image, UnidentifiedImageError

    kind = name_of(data).rpartition(".")[2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data), formats=[FORMATS[kind]]) as picture:
                if picture.getexif().get(ORIENTATION, 1) != 1:
                    data = _upright(picture, kind, data)
            data = without_metadata(data, kind)
            with Image.open(BytesIO(data), formats=[FORMATS[kind]]) as picture:
                frames = getattr(picture, "n_frames", 1)
                if frames * picture.width * picture.height > MOST_PIXELS:
                    raise BadInputError(f"the picture has more than {MOST_PIXELS // 10**6} megapixels; make it smaller")
                for frame in range(frames):
                    picture.seek(frame)
                    picture.load()
    except BadInputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadInputError(f"the picture has more than {MOST_PIXELS // 10**6} megapixels; make it smaller") from None
    except Exception as error:  # a decoder fails with whatever it trips over
        logger.info("a picture cannot be decoded", exc_info=True)
        readable = isinstance(error, OSError | ValueError | SyntaxError) and not isinstance(
            error, UnidentifiedImageError
        )
        why = str(error) if readable else "it cannot be decoded"
        raise BadInputError(f"the picture is damaged ({why}); save it again with a program that shows it") from None
    return data


def _upright(picture: Image.Image, kind: str, data: bytes) -> bytes:
    from PIL import ImageOps

    how: dict[str, Any] = {
        "jpg": {"quality": 95, "subsampling": 0},
        "webp": {"lossless": b"VP8L" in data, "quality": 95},
    }
    upright, output = ImageOps.exif_transpose(picture), BytesIO()
    upright.save(output, FORMATS[kind], icc_profile=picture.info.get("icc_profile"), **how.get(kind, {}))
    return output.getvalue()


def keep(items: list[Item], folder: Path) -> list[Item]:
    """Copy the items' pictures into `folder`, a study's, and name the copies in the items.

    Raises BadInputError with the item's id where a picture has gone.
    """
    kept = []
    for item in items:
        if not item.image:
            kept.append(item)
            continue
        try:
            data = read(named_in(Path(), item.image))
        except BadInputError as error:
            raise BadInputError(f"item {item.id!r}, image {item.image!r}: {error}") from None
        image = f"{FOLDER}/{name_of(data)}"
        (folder / FOLDER).mkdir(exist_ok=True)
        (folder / image).write_bytes(data)
        kept.append(replace(item, image=image))
    return kept


def stored_picture(folder: Path, item: Item) -> Path | None:
    """The file of an item's picture in the study in `folder`; None where it has none.

    Raises BadInputError where the study names a file that is none of its own, or that is not there.
    """
    if not item.image:
        return None
    file = folder / item.image
    if not _STORED.fullmatch(item.image) or file.is_symlink() or not file.is_file():
        raise BadInputError(f"{folder}: the picture of item {item.id!r} is missing; restore {FOLDER}/ from a backup")
    return file.absolute()


def small(file: Path) -> bytes:
    """A stored picture as a WebP that a report can hold, SMALL pixels on a side at the most; of frames the first.

    Raises BadInputError where it cannot be decoded any more.
    """
    from PIL import Image

    output = BytesIO()
    try:
        with Image.open(file) as picture:
            preview = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            preview.thumbnail((SMALL, SMALL))
            preview.save(output, "WEBP", quality=80, icc_profile=picture.info.get("icc_profile"))
    except Exception as error:  # a decoder fails with whatever it trips over
        logger.info("a picture cannot be decoded", exc_info=True)
        raise BadInputError(f"{file} is damaged ({error}); restore {FOLDER}/ from a backup") from None
    return output.getvalue()


def content_hash(item: Item) -> str:
    """`Item.content_hash` with the picture's content in the place of its path."""
    if not item.image:
        return item.content_hash
    file = Path(item.image)
    name = _names.get(hashlib.sha256(_raw(file)).digest()) or name_of(read(file))
    return replace(item, image=f"{FOLDER}/{name}").content_hash
