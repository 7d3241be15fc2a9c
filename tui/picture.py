"""Pictures above the texts: drawn by the terminal where it can, else in half blocks of colour, else said in words."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from tui.header import QUIET
from tui.pane import TextPane
from tui.render import Page, page, wrap

if TYPE_CHECKING:
    from PIL.Image import Image

GROUND = (0x14, 0x18, 0x1E)
"""What shows through a transparent picture: the screens' background."""
_MOST_PIXELS = 50_000_000
_SHARPEST = (1600, 1600)
_QUIETLY = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)


def terminal_graphics() -> type[Widget] | None:
    """The widget for a terminal that draws pictures itself (Kitty's protocol, Sixel); None for others.

    It asks the terminal, which answers only as long as no app runs in it.
    """
    try:
        from textual_image import renderable, widget
    except (ImportError, ArithmeticError, OSError):  # not installed, or the terminal does not know its own size
        return None
    draws = (renderable.TGPImage, renderable.SixelImage)
    return widget.Image if issubclass(renderable.Image, draws) else None


class Picture(Container):
    """A picture as large as fits. graphics: the widget that draws, None for half blocks."""

    def __init__(self, graphics: type[Widget] | None, id: str) -> None:  # noqa: A002
        super().__init__(id=id, classes="picture")
        self._graphics = graphics
        self._file = ""

    def compose(self) -> ComposeResult:
        """What the terminal draws, and lines for where it does not."""
        if self._graphics is not None:
            yield self._graphics()
        lines = TextPane()
        lines.display = False  # until there is something to draw
        yield lines

    async def show(self, file: str) -> None:
        """Show another picture; an empty name: none."""
        self._file = file
        self.border_subtitle = "o opens both" if file else ""
        await self._draw()

    async def on_resize(self) -> None:
        """Fit the new size."""
        await self._draw()

    async def _draw(self) -> None:
        file, width, height = self._file, self.content_size.width, self.content_size.height
        if not width or not height:
            return  # not laid out yet; it will be told its size
        pane = self.query_one(TextPane)
        lines, image = words("There is no picture on this side.", width), None
        if file:
            coloured = self.app.console.color_system in ("truecolor", "256") and not self.app.no_color
            try:
                if self._graphics is not None:
                    image = await asyncio.to_thread(open_picture, file, _SHARPEST)
                elif coloured:
                    lines = await asyncio.to_thread(blocks, file, width, height)
                else:
                    lines = words("A picture is here that this terminal cannot show. o opens it.", width)
            except (OSError, ValueError, SyntaxError) as error:
                lines = words(f"The picture cannot be drawn ({error}). o opens it.", width)
            if file != self._file:
                return  # something newer is on its way
        for widget in self.children:
            widget.display = (widget is pane) == (image is None)
            if widget is not pane and image is not None:
                widget.image = image  # type: ignore[attr-defined]
        pane.show(lines)


@lru_cache(maxsize=32)
def blocks(file: str, width: int, height: int) -> Page:
    """The picture in at most so many cells, each two pixels: the upper and the lower half in a colour of its own.

    Raises OSError or ValueError where it cannot be read.
    """
    image = open_picture(file, (width, 2 * height))
    margin, top = (width - image.width) // 2, (height - (image.height + 1) // 2) // 2
    colours = [Color.from_rgb(*rgb) for rgb in zip(*[iter(image.tobytes())] * 3, strict=True)]
    colours += [Color.from_rgb(*GROUND)] * image.width  # below the last row of an odd number
    rows = [[Segment("")] for _ in range(top)]
    for start in range(0, image.width * image.height, 2 * image.width):
        upper, lower = colours[start:][: image.width], colours[start + image.width :][: image.width]
        halves = zip(upper, lower, strict=True)
        rows.append([Segment(" " * margin), *(Segment("▀", Style(color=up, bgcolor=down)) for up, down in halves)])
    return page(rows)


def open_picture(file: str, most: tuple[int, int]) -> Image:
    """The picture upright and in RGB, with at most so many pixels across and down; an animation's first.

    Raises OSError or ValueError where it cannot be read or would take too much memory.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"it has {image.width} × {image.height} pixels")
            image.draft("RGB", most)
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError("it has far too many pixels") from None
    scale = min(1.0, most[0] / upright.width, most[1] / upright.height)
    if scale < 1:
        width, height = (max(1, round(scale * length)) for length in upright.size)
        upright = upright.resize((width, height), Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", upright.size, (*GROUND, 255))
    return Image.alpha_composite(ground, upright).convert("RGB")


def words(text: str, width: int) -> Page:
    """A quiet sentence as lines."""
    quiet = Style.parse(QUIET)
    return page([[Segment(segment.text, quiet) for segment in line] for line in wrap(text, max(10, width))])


def open_outside(files: Sequence[str]) -> str:
    """Open pictures in the system's viewer, beside the terminal; gives a sentence that tells what was done."""
    where = " and ".join(files)
    if sys.platform == "win32":
        for file in files:
            os.startfile(file)
        return f"Opened {where}."
    program = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    has_display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if program is None or not has_display:
        return f"No viewer can be opened from here; look at {where}."
    for file in files:
        # Some viewers start another program and end, others stay: a thread of its own waits for either.
        look = partial(subprocess.run, [program, file], check=False, start_new_session=True, **_QUIETLY)
        threading.Thread(target=look, daemon=True).start()
    return f"Opened {where}."
