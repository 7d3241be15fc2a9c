"""Pictures of items: what may be one, what a study keeps of it, and that older items are what they were."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.files import images
from adapters.files.formats import read_items
from adapters.judges.pointwise import Pointwise
from elicit.types import BadInputError, Item
from studies.local.voting_host import VotingHost
from studies.study import Study
from tests.adapters.pictures import other, png, save


def table(folder: Path, *rows: dict[str, object]) -> Path:
    """A jsonl file of items in `folder`."""
    file = folder / "items.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@given(st.text(min_size=1), st.text(), st.dictionaries(st.text(), st.integers(-9, 9)))
def test_items_without_a_picture_keep_their_content_hash(text: str, context: str, meta: dict[str, int]) -> None:
    said = {"text": text} | ({"context": context} if context else {}) | ({"meta": meta} if meta else {})
    data = msgspec.json.encode(said, order="deterministic")
    item = Item("i", text, context=context, meta=meta)
    assert item.content_hash == hashlib.blake2b(data, digest_size=16).hexdigest()
    assert images.content_hash(item) == item.content_hash


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "webp"])
def test_a_picture_is_known_by_its_bytes_whatever_its_name(kind: str) -> None:
    data = png() if kind == "png" else other({"jpg": "JPEG"}.get(kind, kind))
    assert images.kind_of(data) == kind
    assert images.name_of(data).endswith(f".{kind}")


@given(st.binary(max_size=40))
def test_other_bytes_are_no_picture(data: bytes) -> None:
    known = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"RIFF")
    assert images.kind_of(data) == "" or data.startswith(known)


def test_a_study_keeps_its_own_copies_under_names_that_tell_nothing(tmp_path: Path) -> None:
    names = save(tmp_path / "art", 3)
    file = table(tmp_path, *({"id": name, "image": f"art/{name}"} for name in names))
    with Study.create(tmp_path / "study", items=read_items(file)) as study:
        for item, name in zip(study.state.items, names, strict=True):
            data = (tmp_path / "art" / name).read_bytes()
            assert item.image == f"images/{hashlib.sha256(data).hexdigest()[:32]}.png"
            kept = images.stored_picture(study.folder, item)
            assert kept is not None
            assert kept.read_bytes() == data
            assert item.shown_text == ""
        study.backup(tmp_path / "copy")
    for name in names:
        (tmp_path / "art" / name).unlink()
    with Study.open(tmp_path / "copy") as copy:
        assert all(images.stored_picture(copy.folder, item) for item in copy.state.items)
        query = copy.ask("me")
        assert query is not None
        copy.tell(query, "a", "me")


def test_ids_come_from_the_picture_and_not_from_where_it_lies(tmp_path: Path) -> None:
    found = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        names = save(tmp_path / place, 2)
        found.append([item.id for item in read_items(table(tmp_path / place, *({"image": name} for name in names)))])
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


def test_pictures_may_lie_anywhere_the_user_can_read(tmp_path: Path) -> None:
    names = save(tmp_path / "art", 3)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "link.png").symlink_to(tmp_path / "art" / names[2])
    rows = ({"image": f"../art/{names[0]}"}, {"image": str(tmp_path / "art" / names[1])}, {"image": "link.png"})
    with Study.create(tmp_path / "study", items=read_items(table(tmp_path / "lists", *rows))) as study:
        files = [images.stored_picture(study.folder, item) for item in study.state.items]
        assert all(file and file.is_relative_to(study.folder.absolute()) for file in files)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nowhere.png", "cannot be read (No such file or directory)"),
        ("", "it is missing, and so is payload"),
        ("notes.png", "not a PNG, JPEG, GIF or WebP picture"),
        ("vector.svg", "not a PNG, JPEG, GIF or WebP picture"),
        ("https://example.org/a.png", "would tell its owner"),
        ("//example.org/a.png", "would tell its owner"),
        ("data:image/png;base64,AAAA", "would tell its owner"),
        (".", "this is no file"),
        ("pipe", "this is no file"),
        ("a\0b", "cannot be read (not a path)"),
        ("huge.png", "larger than 20 MB"),
        (3, "expected text"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_place(tmp_path: Path, image: object, expected: str) -> None:
    (tmp_path / "notes.png").write_text("not a picture at all")
    (tmp_path / "vector.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "huge.png").write_bytes(png() + bytes(images.LARGEST))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "good.png").write_bytes(png())
    with pytest.raises(BadInputError) as caught:
        read_items(table(tmp_path, {"image": "good.png"}, {"image": image}))
    said = str(caught.value)
    assert expected in said
    assert "items.jsonl, line 2, field " in said
    assert "; " in said


def test_a_picture_that_goes_before_it_is_copied_leaves_no_study(tmp_path: Path) -> None:
    names = save(tmp_path / "art", 2)
    rows = read_items(table(tmp_path, *({"image": f"art/{name}"} for name in names)))
    (tmp_path / "art" / names[1]).unlink()
    with pytest.raises(BadInputError, match="cannot be read"):
        Study.create(tmp_path / "study", items=rows)
    assert not (tmp_path / "study").exists()


def test_a_log_cannot_name_files_outside_the_study(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    study = tmp_path / "study"
    (study / "images").mkdir(parents=True)
    (study / "images" / f"{'0' * 32}.png").symlink_to(tmp_path / "secret.png")
    for image in ("../secret.png", str(tmp_path / "secret.png"), f"images/{'0' * 32}.png", f"images/{'1' * 32}.png"):
        with pytest.raises(BadInputError, match="restore images/"):
            images.stored_picture(study, Item("i", image=image))


async def test_ballots_name_the_pictures_in_the_order_shown(tmp_path: Path) -> None:
    names = save(tmp_path / "art", 3)
    items = [{"id": name, "text": f"caption {name}", "image": str(tmp_path / "art" / name)} for name in names]
    with Study.create(tmp_path / "study", items=items) as study:
        ballot = (await VotingHost(study, "me").turn()).ballot
        assert ballot is not None
        for text, image in ((ballot.left, ballot.left_image), (ballot.right, ballot.right_image)):
            assert Path(image).read_bytes() == (tmp_path / "art" / text.removeprefix("caption ")).read_bytes()
            assert "secret" not in image.removeprefix(str(tmp_path))


def test_a_model_is_not_asked_about_what_it_is_not_shown(tmp_path: Path) -> None:
    judge = Pointwise(endpoint="http://127.0.0.1:1/v1", model="m")
    with pytest.raises(BadInputError, match="has a picture"):
        judge.begin("m", [Item("x", "a", image="images/1.png"), Item("y", "b")], [], tmp_path)
