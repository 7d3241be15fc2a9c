"""A pane: lines that are ready to paint, scrolled by whoever owns it."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.render import Page

CHROME = 5
"""Cells of a pane's width that are not text: border, padding, scrollbar."""


class TextPane(ScrollView, can_focus=False):
    """Shows a page. It takes no focus: the screen's keys scroll it, so that two panes can move together."""

    ALLOW_SELECT = False

    _page: Page = ()
    _ground = Style.null()

    @property
    def page(self) -> Page:
        """What it shows."""
        return self._page

    def show(self, page: Page, *, top: bool = True) -> None:
        """Show another page, from its top or (`top=False`) from where the reader is."""
        self._page = page
        self.virtual_size = Size(0, len(page))
        if top:
            self.scroll_to(y=0, animate=False, force=True)
        self._tell_place()
        self.refresh()

    def move(self, lines: int) -> None:
        """Scroll down by that many lines; negative: up."""
        self.scroll_to(y=self.scroll_y + lines, animate=False, force=True)

    def move_page(self, pages: int) -> None:
        """Scroll by what fits, less one line to keep the place."""
        self.move(pages * max(1, self._rows - 1))

    def move_to(self, line: float) -> None:
        """Scroll to a line, once the layout is known."""
        self.call_after_refresh(self.scroll_to, y=line, animate=False, force=True)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the screen."""
        # Asking for the style walks up the tree, which for every line would take half of a repaint.
        self._ground = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        line = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if line >= len(self._page):
            return Strip.blank(width, self._ground)
        return self._page[line].apply_style(self._ground).crop(0, width).extend_cell_length(width, self._ground)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keep the line count in the border true."""
        super().watch_scroll_y(old_value, new_value)
        self._tell_place()

    def on_resize(self) -> None:
        """Another height shows other lines."""
        self._tell_place()

    @property
    def _rows(self) -> int:
        return self.scrollable_content_region.height

    def _tell_place(self) -> None:
        total, rows = len(self._page), self._rows
        if rows <= 0 or total <= rows:
            self.border_subtitle = ""
            return
        first = min(round(self.scroll_y), total - rows)
        more = "↓" if first + rows < total else "■"
        self.border_subtitle = f"lines {first + 1}–{first + rows} of {total} {more}"


def lines_of(rows: list[list[Segment]]) -> Page:
    """Segments as a page."""
    return tuple(Strip(row) for row in rows)
