"""From Markdown to lines ready to paint: rendered off the screen's thread, ahead of time, and kept.

A long answer takes tens of milliseconds to lay out, painting ready lines takes next to nothing. So everything
shown in a pane goes through `Renderer`, and the ballots that may come next are rendered while the person reads.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from io import StringIO
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.theme import Theme
from textual.strip import Strip

from adapters.markup import LONGEST, markdown_parser
from elicit.safe_text import harmless
from tui.difference import Line, difference, mark, plain_text

Page = tuple[Strip, ...]
"""Lines ready to paint."""

EMPTY = "(empty)"
_LONGEST_CODE = 8_000
"""Colouring longer code (characters) takes seconds."""
_CODE_BACKGROUND = "#20262f"

_THEME = Theme(
    {
        "markdown.h1": Style(color="#e6edf3", bold=True),
        "markdown.h2": Style(color="#e6edf3", bold=True),
        "markdown.h3": Style(color="#e6edf3", bold=True),
        "markdown.h4": Style(color="#e6edf3", bold=True),
        "markdown.h5": Style(color="#c9d1d9", bold=True),
        "markdown.h6": Style(color="#c9d1d9", italic=True),
        "markdown.code": Style(color="#e3c78a", bgcolor=_CODE_BACKGROUND),
        "markdown.block_quote": Style(color="#a9b4c0"),
        "markdown.item.bullet": Style(color="#7d8896"),
        "markdown.item.number": Style(color="#7d8896"),
        "markdown.list": Style(),
        "markdown.link": Style(color="#9ec1f5"),
        "markdown.link_url": Style(color="#9ec1f5"),
        "markdown.hr": Style(color="#4a5563"),
        "markdown.table.border": Style(color="#4a5563"),
        "markdown.table.header": Style(bold=True),
    },
    inherit=True,
)

_PARSER = markdown_parser()


class RenderJob(NamedTuple):
    """Two texts to lay out at a width, with or without their difference marked."""

    left: str
    right: str
    width: int
    diff: bool = True


class Spread(NamedTuple):
    """A job done: both pages. `alike` is None when no difference was asked for; else whether the texts have
    enough in common for marks to help (where they have not, nothing is marked)."""

    left: Page
    right: Page
    alike: bool | None


class _Code(CodeBlock):
    """A code block on a quiet ground; very long code is not coloured."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        lexer = self.lexer_name if len(code) <= _LONGEST_CODE else "text"
        syntax = Syntax(
            code, lexer, theme="github-dark", background_color=_CODE_BACKGROUND, word_wrap=True, padding=(0, 1)
        )
        # Bold is for what differs between two texts, not for keywords.
        for text, style, control in console.render(syntax, options):
            yield Segment(text, style + Style(bold=False) if style else style, control)


class _Heading(Heading):
    """A heading at the left edge, at every level."""

    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _Document(Markdown):
    """Markdown in which nothing disappears: tags are text, line ends are kept, links show where they lead."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, text: str) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = _PARSER.parse(text)


def lay_out(text: str, width: int) -> list[Line]:
    """The text as rendered lines no wider than `width`. Nothing in it is taken as markup but Markdown."""
    text = harmless(text).expandtabs(4)
    if not text.strip():
        return [[Segment(EMPTY, Style(color="#8d97a5", italic=True))]]
    if len(text) > LONGEST:
        return wrap(text, width)
    console = Console(
        file=StringIO(), width=width, theme=_THEME, force_terminal=True, color_system="truecolor", highlight=False
    )
    lines = console.render_lines(_Document(text), pad=False)
    while lines and not plain_text(lines[-1:]).strip():
        lines.pop()
    while lines and not plain_text(lines[:1]).strip():
        lines.pop(0)
    # Some Markdown renders to nothing, a link's definition for one; the voter still has to see it.
    return lines or wrap(text, width)


def wrap(text: str, width: int) -> list[Line]:
    """Plain lines, broken at blanks where there are any; fast for texts of any size."""
    lines: list[Line] = []
    for line in text.split("\n"):
        start = 0
        while start < len(line):
            piece = line[start : start + width]
            if cell_len(piece) > width:
                piece = chop_cells(piece, width)[0]
            blank = piece.rfind(" ")
            if start + len(piece) < len(line) and line[start + len(piece)] != " " and blank > 0:
                piece = piece[:blank]
            lines.append([Segment(piece)])
            start += len(piece)
            while start < len(line) and line[start] == " ":
                start += 1
        if not line:
            lines.append([Segment("")])
    return lines


def spread(job: RenderJob) -> Spread:
    """Lay out both texts of a job and mark what differs."""
    left, right = lay_out(job.left, job.width), lay_out(job.right, job.width)
    alike = None
    if job.diff:
        marks = difference(plain_text(left), plain_text(right))
        alike = marks.helpful
        if alike and job.left != job.right:
            left, right = mark(left, marks.left), mark(right, marks.right)
    return Spread(page(left), page(right), alike)


def page(lines: Iterable[Line]) -> Page:
    """Rendered lines in the form panes paint."""
    return tuple(Strip(line) for line in lines)


class Renderer:
    """Does jobs on other threads and keeps the last `keep` results; the same job is never done twice at once."""

    def __init__(self, keep: int = 64) -> None:
        self._keep = keep
        self._done: OrderedDict[RenderJob, Spread] = OrderedDict()
        self._doing: dict[RenderJob, asyncio.Task[Spread]] = {}

    def ready(self, job: RenderJob) -> Spread | None:
        """The result if it is there already."""
        if job in self._done:
            self._done.move_to_end(job)
        return self._done.get(job)

    async def spread(self, job: RenderJob) -> Spread:
        """The result, waited for without holding up the screen."""
        done = self.ready(job)
        if done is not None:
            return done
        if job not in self._doing:
            self._doing[job] = asyncio.create_task(self._do(job))
        # Shielded: one who stops waiting must not stop the work others wait for.
        return await asyncio.shield(self._doing[job])

    async def text(self, text: str, width: int) -> Page:
        """One text on its own, without marks."""
        return (await self.spread(RenderJob(text, "", width, diff=False))).left

    async def _do(self, job: RenderJob) -> Spread:
        try:
            done = await asyncio.to_thread(spread, job)
        finally:
            del self._doing[job]
        self._done[job] = done
        while len(self._done) > self._keep:
            self._done.popitem(last=False)
        return done
