"""Pictures above the texts: in half blocks, by the terminal's own graphics, in words, and in the system's viewer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image
from rich.segment import Segment
from textual.widget import Widget
from textual_image.widget import TGPImage

from elicit.service.voting import Ballot, StudyService
from tests.adapters.pictures import other, png
from tests.tui.driving import SMALL, WIDE, Clock, Voter, shown, voting
from tests.tui.fake import ANSWER_A, FakeService
from tests.tui.test_plain import say
from tui.app import VoteApp
from tui.pane import TextPane
from tui.picture import GROUND, Picture, blocks, open_outside, open_picture
from tui.vote import VoteScreen


class Gallery(FakeService):
    """The same two pictures in every ballot, above a text or alone."""

    def __init__(self, left: Path | str, right: Path | str, text: str = "") -> None:
        super().__init__()
        self.left_image, self.right_image, self.text = str(left), str(right), text

    def _ballot(self, place: int) -> Ballot | None:
        ballot = super()._ballot(place)
        if ballot is None:
            return None
        images = {"left_image": self.left_image, "right_image": self.right_image}
        return replace(ballot, left=self.text, right=self.text, **images)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """A red PNG and a blue JPEG."""
    left, right = tmp_path / "1.png", tmp_path / "2.jpg"
    left.write_bytes(png((200, 40, 40), (60, 40)))
    right.write_bytes(other("JPEG"))
    return left, right


@pytest.fixture
def coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that says it has colours."""
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def drawn(voter: Voter, side: str) -> list[Segment]:
    """The half blocks of a side."""
    page = voter.view.query_one(f"#{side}-picture TextPane", TextPane).page
    return [segment for strip in page for segment in strip if segment.text == "▀"]


def told(voter: Voter, side: str) -> str:
    """What stands in a picture's place, on one line."""
    return " ".join(shown(voter.view.query_one(f"#{side}-picture TextPane", TextPane)).split())


@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    room=st.tuples(st.integers(1, 60), st.integers(1, 40)),
)
@settings(deadline=None, max_examples=60)
def test_half_blocks_fit_their_room_and_keep_the_proportions(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], room: tuple[int, int]
) -> None:
    file = tmp_path_factory.mktemp("art") / "a.png"
    file.write_bytes(png((1, 2, 3), size))
    page = blocks(str(file), *room)
    assert len(page) <= room[1]
    assert all(strip.cell_length <= room[0] for strip in page)
    across = max(sum(segment.text == "▀" for segment in strip) for strip in page)
    down = open_picture(str(file), (room[0], 2 * room[1])).height
    scale = min(1.0, room[0] / size[0], 2 * room[1] / size[1])
    assert abs(across - scale * size[0]) <= 1
    assert abs(down - scale * size[1]) <= 1


def test_half_blocks_have_the_pictures_colours(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 3), (10, 20, 30, 255))
    image.putpixel((1, 0), (255, 255, 255, 0))
    image.save(tmp_path / "a.png")
    rows = [[s.style for s in strip if s.text == "▀"] for strip in blocks(str(tmp_path / "a.png"), 2, 2)]
    ends = [[(s.color.triplet, s.bgcolor.triplet) for s in row if s and s.color and s.bgcolor] for row in rows]
    assert ends == [
        [((10, 20, 30), (10, 20, 30)), (GROUND, (10, 20, 30))],
        [((10, 20, 30), GROUND), ((10, 20, 30), GROUND)],
    ]


def test_a_photograph_taken_sideways_stands_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), (9, 9, 9))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(str(tmp_path / "a.jpg"), (100, 100)).size == (20, 40)


@pytest.mark.usefixtures("coloured")
@pytest.mark.parametrize("size", [WIDE, SMALL])
async def test_pictures_stand_above_the_texts(pictures: tuple[Path, Path], size: tuple[int, int]) -> None:
    async with voting(Gallery(*pictures, text=ANSWER_A * 3), size) as voter:
        await voter.until(lambda: bool(drawn(voter, "left")))
        style = drawn(voter, "left")[0].style
        assert style is not None
        assert style.color is not None
        assert style.color.triplet == (200, 40, 40)
        pair, above = voter.view.query_one("#pair"), voter.view.query_one("#pictures")
        assert above.region.bottom <= pair.region.y
        assert pair.size.height >= 5
        assert above.size.height >= pair.size.height
        title = str(voter.view.query_one("#left-picture").border_title)
        assert "LEFT" in title
        if size == SMALL:
            assert not voter.view.query_one("#right-picture").display
            await voter.press("tab")
            assert voter.view.query_one("#right-picture").display
        await voter.until(lambda: bool(drawn(voter, "right")))
        await voter.press("l")
        assert len(voter.screen._service.answers) == 1  # type: ignore[attr-defined]


@pytest.mark.usefixtures("coloured")
async def test_pictures_alone_have_all_the_room(pictures: tuple[Path, Path]) -> None:
    async with voting(Gallery(*pictures)) as voter:
        await voter.until(lambda: bool(drawn(voter, "left")))
        assert not voter.view.query_one("#pair").display
        voter.screen._service.left_image = ""  # type: ignore[attr-defined]
        await voter.press("l")
        await voter.until(lambda: "no picture on this side" in told(voter, "left"))
        assert drawn(voter, "right")
        voter.screen._service.right_image = ""  # type: ignore[attr-defined]
        await voter.press("l")
        assert not voter.view.query_one("#pictures").display
        assert voter.view.query_one("#pair").display


async def test_without_colour_it_is_said_that_there_is_one(
    pictures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with voting(Gallery(*pictures)) as voter:
        await voter.until(lambda: "that this terminal cannot show" in told(voter, "right"))


@pytest.mark.usefixtures("coloured")
@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n nothing more", png(size=(20_000, 20_000)), None], ids=["broken", "vast", "gone"]
)
async def test_a_picture_that_cannot_be_drawn_is_said(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.png"
    if content is not None:
        file.write_bytes(content)
    async with voting(Gallery(file, file)) as voter:
        await voter.until(lambda: "cannot be drawn" in told(voter, "left"))
        await voter.press("l")


async def test_a_terminal_with_graphics_draws_itself(
    pictures: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    graphics: type[Widget] = TGPImage
    clock = Clock()

    async def start() -> StudyService:
        return Gallery(*pictures)

    app = VoteApp(start, now=clock, graphics=graphics)
    async with app.run_test(size=WIDE) as pilot:
        voter = Voter(app, pilot, clock)
        await voter.until(lambda: any(isinstance(screen, VoteScreen) for screen in app.screen_stack))
        await voter.settled()
        widgets = list(voter.view.query(TGPImage))
        await voter.until(lambda: all(widget.image is not None and widget.display for widget in widgets))
        assert [widget.image.size for widget in widgets if isinstance(widget.image, Image.Image)] == [(60, 40), (8, 6)]
        assert not any(pane.display for pane in voter.view.query(f"{Picture.__name__} TextPane"))
        await asyncio.sleep(0.1)
    assert "\x1b_G" in capfd.readouterr().out


async def test_o_opens_both_beside_the_terminal(
    pictures: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = tmp_path / "bin" / "xdg-open"
    viewer.parent.mkdir()
    viewer.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/seen\n')
    viewer.chmod(0o755)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", f"{viewer.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":0")
    async with voting(Gallery(*pictures)) as voter:
        await voter.press("o")
        assert "Opened" in voter.status
        seen = tmp_path / "seen"
        await voter.until(lambda: seen.exists() and len(seen.read_text().splitlines()) == 2)
        assert set(seen.read_text().splitlines()) == {str(file) for file in pictures}
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        await voter.press("o")
        assert "No viewer can be opened" in voter.status
        assert str(pictures[0]) in voter.status
    async with voting(FakeService()) as voter:
        await voter.press("o")
        assert "no pictures" in voter.status


def test_no_viewer_is_said_with_where_the_pictures_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", "")
    assert open_outside(["/a/1.png", "/a/2.png"]) == "No viewer can be opened from here; look at /a/1.png and /a/2.png."


def test_lines_name_the_files(pictures: tuple[Path, Path]) -> None:
    said = say(Gallery(*pictures, text=""), "left")
    assert f"LEFT:\nPicture: {pictures[0]}" in said
    assert "(empty)" not in said
    assert f"RIGHT:\nPicture: {pictures[1]}\nbelow" in say(Gallery(*pictures, text="below"))
