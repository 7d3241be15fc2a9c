"""One ballot on the screen: the prompt above, both texts side by side; where that is too narrow one above the other, or
one at a time where they are too long for it."""

from __future__ import annotations

from typing import Literal

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from elicit.service.voting import Ballot
from tui.pane import CHROME, TextPane
from tui.picture import Picture
from tui.render import Renderer, RenderJob

NARROW = 100
"""Columns below which the texts do not stand side by side."""
_OTHER_LINES = 6
"""Of the screen, around the ballot: header, question, scale, two of status, keys."""

ScreenSide = Literal["left", "right"]
Zoom = Literal["both", "left", "right"]
_REFUSALS: tuple[tuple[ScreenSide, ...], ...] = ((), ("left",), ("right",), ("left", "right"))
_NEXT_ZOOM: dict[Zoom, Zoom] = {"both": "left", "left": "right", "right": "both"}


class BallotView(Vertical):
    """Shows ballots and knows how: difference on or off, zoomed or not, flipped or not."""

    def __init__(self, renderer: Renderer, graphics: type[Widget] | None = None, above: str = "Prompt") -> None:
        super().__init__(id="ballot")
        self._renderer = renderer
        self._graphics = graphics
        self._above = above
        self.ballot: Ballot | None = None
        self.diff = True
        self.alike: bool | None = None
        """Whether the texts have enough in common for marks; None while marks are off."""
        self.refused: tuple[ScreenSide, ...] = ()
        """The sides that are unacceptable."""
        self.zoom: Zoom = "both"
        self.stacked = False
        """Whether the texts stand one above the other."""
        self._front: ScreenSide = "left"

    def compose(self) -> ComposeResult:
        """The prompt, the pictures where there are any, and the two panes."""
        yield TextPane(id="prompt")
        with Horizontal(id="pictures"):
            yield Picture(self._graphics, "left-picture")
            yield Picture(self._graphics, "right-picture")
        with Horizontal(id="pair"):
            yield TextPane(id="left", classes="text")
            yield TextPane(id="right", classes="text")

    def on_mount(self) -> None:
        """Title what stays the same."""
        self.query_one("#prompt", TextPane).border_title = self._above
        for right in ("#right", "#right-picture"):
            self.query_one(right).styles.border_title_align = "right"

    @property
    def one_at_a_time(self) -> bool:
        """Whether only one text shows."""
        return self.zoom != "both" or (self._narrow and not self.stacked)

    @property
    def _narrow(self) -> bool:
        return self.app.size.width < NARROW

    @property
    def front(self) -> ScreenSide:
        """The text that shows when only one does."""
        return self._front if self.zoom == "both" else self.zoom

    def job(self, ballot: Ballot) -> RenderJob:
        """What has to be laid out to show a ballot the way things stand."""
        width = self.app.size.width
        share = width if self._narrow or self.zoom != "both" else width // 2
        return RenderJob(ballot.left, ballot.right, max(10, share - CHROME), self.diff)

    async def prepare(self, ballot: Ballot) -> None:
        """Lay out a ballot that may be shown soon."""
        await self._renderer.spread(self.job(ballot))
        if ballot.context:
            await self._renderer.text(ballot.context, self._prompt_width)

    async def show(self, ballot: Ballot, *, top: bool = True) -> None:
        """Put a ballot on the screen; `top=False` keeps the place the reader is at."""
        if top:
            self._front = "left"
        self.ballot = ballot
        job = self.job(ballot)
        done = self._renderer.ready(job) or await self._renderer.spread(job)
        prompt = await self._renderer.text(ballot.context, self._prompt_width) if ballot.context else ()
        if self.ballot is not ballot or self.job(ballot) != job:
            return  # something newer is on its way
        self.alike = done.alike
        panel = self.query_one("#prompt", TextPane)
        panel.display = bool(prompt)
        above = min(len(prompt), 3 if self.app.size.height < 30 else 7) + 2
        panel.styles.height = above
        panel.show(prompt)
        for side, page in (("left", done.left), ("right", done.right)):
            self.query_one(f"#{side}", TextPane).show(page, top=top)
        pictured = bool(ballot.left_image or ballot.right_image)
        pair = self.query_one("#pair")
        pair.display = not pictured or bool((ballot.left + ballot.right).strip())
        pair.styles.height = max(len(done.left), len(done.right)) + 2 if pictured else None
        room = self.app.size.height - _OTHER_LINES - (above if prompt else 0)
        heights = [max(1, len(page)) + 2 for page in (done.left, done.right)]
        self.stacked = self._narrow and self.zoom == "both" and not pictured and sum(heights) <= room
        pair.styles.layout = "vertical" if self.stacked else None
        for side, height in zip(("#left", "#right"), heights, strict=True):
            self.query_one(side).styles.height = height if self.stacked else None
        self.set_class(pictured, "pictured")
        self._arrange()
        if pictured:
            await self.query_one("#left-picture", Picture).show(ballot.left_image)
            await self.query_one("#right-picture", Picture).show(ballot.right_image)

    async def again(self) -> None:
        """Show the same ballot anew, after a change of size or mode."""
        if self.ballot is not None:
            await self.show(self.ballot, top=False)

    def refuse(self, side: ScreenSide | None) -> tuple[ScreenSide, ...]:
        """Call a side unacceptable, or no longer; None: the next of neither, left, right, both. Gives them."""
        at = _REFUSALS.index(self.refused)
        # In this order the two bits of a place are the two sides.
        self.refused = _REFUSALS[(at + 1) % 4 if side is None else at ^ (1 if side == "left" else 2)]
        self._arrange()
        return self.refused

    async def toggle_diff(self) -> None:
        """Mark the differing words, or stop marking them."""
        self.diff = not self.diff
        await self.again()

    async def next_zoom(self) -> None:
        """Both, left alone, right alone; where only one fits, the other one."""
        if self._narrow:
            self.flip()
            return
        self.zoom = _NEXT_ZOOM[self.zoom]
        await self.again()

    def flip(self) -> bool:
        """Show the other text, at the same place. False: both show already."""
        if not self.one_at_a_time:
            return False
        before = self.query_one(f"#{self.front}", TextPane).scroll_y
        self._front = "right" if self.front == "left" else "left"
        if self.zoom != "both":
            self.zoom = self._front
        self._arrange()
        self.query_one(f"#{self.front}", TextPane).move_to(before)
        return True

    def scroll(self, lines: int = 0, pages: int = 0, *, right_only: bool = False) -> None:
        """Scroll both texts, or the right one alone."""
        for pane in self.query(".text").results(TextPane):
            if right_only and pane.id != "right":
                continue
            if pages:
                pane.move_page(pages)
            else:
                pane.move(lines)

    def ends(self, *, bottom: bool) -> None:
        """Scroll both texts to their first or last line."""
        for pane in self.query(".text").results(TextPane):
            pane.move(len(pane.page) if bottom else -len(pane.page))

    @property
    def _prompt_width(self) -> int:
        return max(10, self.app.size.width - CHROME)

    def _arrange(self) -> None:
        single = self.one_at_a_time
        for side, title in (("left", "◀ LEFT"), ("right", "RIGHT ▶")):
            other = "RIGHT" if side == "left" else "LEFT"
            title += " ✖ unacceptable" if side in self.refused else ""
            for shown in (self.query_one(f"#{side}"), self.query_one(f"#{side}-picture")):
                shown.display = not single or self.front == side
                shown.border_title = f"{title} · Tab shows {other}" if single else title
