"""A report holds the pictures it speaks of, small, and asks nobody for them."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from studies.reporting.report_data import report_data, write_report
from studies.study import Study

TEXTS = {"with captions": "A caption that says {n}.", "without": ""}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_report_shows_the_pictures_of_items_and_of_decisive_pairs(tmp_path: Path, text: str) -> None:
    for n in range(5):
        Image.new("RGB", (900, 600), (50 * n, 90, 200)).save(tmp_path / f"{n}.png")
    items = [{"id": f"poster {n}", "image": str(tmp_path / f"{n}.png"), "text": text.format(n=n)} for n in range(5)]
    with Study.create(tmp_path / "study", items=items, embedder="none") as study:
        for _ in range(6):
            query = study.ask("me")
            assert query is not None
            study.tell(query, "a" if query.a > query.b else "b", "me")
        data = report_data(study)
        write_report(study, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    shown = dict(re.findall(r'<img class="picture" src="([^"]+)" alt="picture of (poster \d)">', page))
    assert set(shown.values()) == {f"poster {n}" for n in range(5)}
    best = data.recommendation
    assert best is not None
    for address, name in shown.items():
        kind, held = address.split(",")
        assert kind == "data:image/webp;base64"
        with Image.open(BytesIO(base64.b64decode(held))) as picture:
            assert picture.size == (480, 320)
            red = picture.convert("RGB").getpixel((240, 160))
            assert isinstance(red, tuple)
            assert red[0] == pytest.approx(50 * int(name[-1]), abs=6)
    assert re.search(rf'id="answer".*?alt="picture of {best.row.item}"', page, re.DOTALL)
    for vote in data.decisive:
        left, right = (re.escape(f'alt="picture of {item}"') for item in vote.items)
        assert re.search(rf'id="pairs".*?{left}.*?{right}', page, re.DOTALL)
    assert "(no text)" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert str(tmp_path) not in page.replace(str(tmp_path / "study"), "")


def test_a_picture_that_is_gone_or_damaged_leaves_the_report_whole(tmp_path: Path) -> None:
    for n in range(3):
        Image.new("RGB", (40, 30), (80 * n, 90, 200)).save(tmp_path / f"{n}.png")
    items = [{"id": f"poster {n}", "image": str(tmp_path / f"{n}.png")} for n in range(3)]
    with Study.create(tmp_path / "study", items=items, embedder="none") as study:
        gone, damaged, _ = (study.folder / item.image for item in study.state.items)
        gone.unlink()
        damaged.write_bytes(damaged.read_bytes()[:60])
        assert set(report_data(study).pictures) == {"poster 2"}
