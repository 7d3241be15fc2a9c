"""Pictures that a study keeps: nothing of their makers is left, nothing that is seen is lost, and damage is refused."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from adapters.files import images
from adapters.files.formats import read_items
from elicit.types import BadInputError
from tests.adapters.files.test_images import table

SECRET = "Jane Author, SecretCam, 48.2 N"
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF"}
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WITH_EXIF = ("png", "jpg", "webp")


def pixels(seed: int, mode: str = "RGB", size: tuple[int, int] = (23, 14)) -> Image.Image:
    """A picture in which every pixel tells which way it lies."""
    shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode)


def told(kind: str, picture: Image.Image, orientation: int = 1, **more: Any) -> bytes:
    """A picture that says all it can of its maker."""
    exif = picture.getexif()
    exif[0x010F], exif[0x013B], exif[images.ORIENTATION] = SECRET, SECRET, orientation
    exif.get_ifd(0x8825)[29] = SECRET
    said: dict[str, Any] = {"exif": exif} if kind in WITH_EXIF else {}
    if kind == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Author", SECRET)
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        said["pnginfo"] = text
    else:
        said |= {"webp": {"xmp": XMP, "lossless": True}, "gif": {"comment": SECRET.encode()}}.get(
            kind, {"xmp": XMP, "comment": SECRET.encode()}
        )
    held = BytesIO()
    picture.save(held, FORMATS[kind], **said, **more)
    assert SECRET.encode() in held.getvalue()
    return held.getvalue() + SECRET.encode()


def seen(data: bytes) -> list[np.ndarray[Any, Any]]:
    """The frames of a picture, as they are shown."""
    with Image.open(BytesIO(data)) as picture:
        frames = []
        for frame in range(getattr(picture, "n_frames", 1)):
            picture.seek(frame)
            frames.append(np.asarray(picture.convert("RGBA")))
        return frames


@pytest.mark.parametrize("kind", FORMATS)
@given(st.integers(0, 99), st.sampled_from(["RGB", "RGBA", "L"]), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_nothing_is_told_and_every_pixel_stays(kind: str, seed: int, mode: str, width: int, height: int) -> None:
    mode = "RGB" if kind == "jpg" and mode == "RGBA" else mode
    data = told(kind, pixels(seed, mode, (width, height)))
    kept = images.strip_metadata(data)
    for secret in (SECRET.encode(), b"Jane", b"xmpmeta", b"Exif"):
        assert secret not in kept
    for before, after in zip(seen(data), seen(kept), strict=True):
        assert np.array_equal(before, after)
    assert images.kind_of(kept) == kind
    assert images.strip_metadata(kept) == kept


@pytest.mark.parametrize("kind", WITH_EXIF)
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_to_be_turned_is_kept_upright(kind: str, orientation: int) -> None:
    smooth = pixels(3, size=(3, 2)).resize((48, 32), Image.Resampling.BICUBIC)
    data = told(kind, smooth, orientation, **({"quality": 95} if kind == "jpg" else {}), icc_profile=PROFILE)
    kept = images.strip_metadata(data)
    with Image.open(BytesIO(data)) as before, Image.open(BytesIO(kept)) as after:
        upright = ImageOps.exif_transpose(before).convert("RGB")
        assert after.size == upright.size
        assert not after.getexif()
        assert after.info["icc_profile"] == PROFILE
        error = np.abs(np.asarray(upright, dtype=int) - np.asarray(after.convert("RGB"), dtype=int))
    assert error.max() <= (12 if kind == "jpg" else 0)
    assert SECRET.encode() not in kept


@pytest.mark.parametrize("kind", WITH_EXIF)
def test_colours_keep_their_profile(kind: str) -> None:
    with Image.open(BytesIO(images.strip_metadata(told(kind, pixels(1), icc_profile=PROFILE)))) as kept:
        assert kept.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("kind", ["png", "gif", "webp"])
def test_an_animation_keeps_moving(kind: str) -> None:
    frames = [pixels(seed) for seed in range(4)]
    data = told(kind, frames[0], save_all=True, append_images=frames[1:], duration=80, loop=3)
    kept = images.strip_metadata(data)
    assert SECRET.encode() not in kept
    before, after = seen(data), seen(kept)
    assert len(after) == 4
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert not any(np.array_equal(one, other) for one, other in pairwise(after))
    with Image.open(BytesIO(kept)) as picture:
        assert picture.info["loop"] == 3


def test_sixteen_bits_a_colour_stay(tmp_path: Path) -> None:
    deep = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100)
    held = BytesIO()
    deep.save(held, "PNG")
    with Image.open(BytesIO(images.strip_metadata(held.getvalue()))) as kept:
        assert np.array_equal(np.asarray(kept), np.asarray(deep))


@pytest.mark.parametrize("kind", FORMATS)
@given(st.floats(0.05, 0.8))
@settings(max_examples=20, deadline=None)
def test_a_picture_that_breaks_off_is_refused(kind: str, share: float) -> None:
    data = told(kind, pixels(5, size=(60, 50)), **({"quality": 90} if kind == "jpg" else {}))
    data = data[: data.rindex(SECRET.encode())]
    with pytest.raises(BadInputError, match=r"the picture is damaged \(.+\); save it again|not a PNG"):
        images.strip_metadata(data[: int(share * len(images.strip_metadata(data)))])


@pytest.mark.parametrize("kind", FORMATS)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_whatever_is_in_it_it_is_kept_or_refused(kind: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(told(kind, pixels(6)))
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    try:
        kept = images.strip_metadata(bytes(data))
    except BadInputError:
        return
    assert seen(kept)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GIF89a/*" + bytes(8) + b"*/=1;alert(1)//<script>alert(1)</script>", "the picture is damaged"),
        (told("png", pixels(1))[:60], "the picture is damaged"),
        (b"\xff\xd8\xff\xe0<html><script>", "the picture is damaged"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "the picture is damaged"),
    ],
)
def test_what_only_begins_like_a_picture_is_refused_with_its_row(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "good.png").write_bytes(told("png", pixels(2)))
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(BadInputError) as caught:
        read_items(table(tmp_path, {"image": "good.png"}, {"image": "bad.png"}))
    said = str(caught.value)
    assert why in said
    assert 'items.jsonl, line 2, field "image"' in said
    assert "bad.png" in said
    assert "object at" not in said


def test_a_picture_of_more_pixels_than_a_screen_can_show_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    with pytest.raises(BadInputError, match="more than 80 megapixels; make it smaller"):
        images.strip_metadata(bomb.getvalue())


def test_pictures_that_differ_in_their_metadata_alone_are_the_same_item(tmp_path: Path) -> None:
    plain = images.strip_metadata(told("png", pixels(2)))
    (tmp_path / "a.png").write_bytes(told("png", pixels(2)))
    (tmp_path / "b.png").write_bytes(plain)
    with pytest.raises(BadInputError, match="the same item as in"):
        read_items(table(tmp_path, {"image": "a.png"}, {"image": "b.png"}))
