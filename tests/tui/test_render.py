"""Markdown as lines: nothing gets lost, nothing gets out of hand."""

from __future__ import annotations

import asyncio
import time
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.fake import ANSWER_A
from tui import render
from tui.difference import plain_text
from tui.render import EMPTY, Renderer, RenderJob, Spread, lay_out


def rendered(text: str, width: int = 60) -> str:
    return "\n".join(line.rstrip() for line in plain_text(lay_out(text, width)).split("\n"))


@pytest.mark.parametrize("text", ["", " ", "\n\t\n", "\r\n"])
def test_nothing_is_called_empty(text: str) -> None:
    assert rendered(text) == EMPTY


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo", "one\ntwo"),
        ("<b>tag</b> &amp; [bold]x[/bold] :smile:", "<b>tag</b> & [bold]x[/bold] :smile:"),
        ("<instructions>\nBe kind.\n</instructions>", "<instructions>\nBe kind.\n</instructions>"),
        ("[here](http://x.example/a)", "here (http://x.example/a)"),
        ("see ![alt](pic.png)!", "see ![alt](pic.png)!"),
        ("[a]: http://only.a.definition", "[a]: http://only.a.definition"),
        ("# Title\n\n- item", "Title\n\n • item"),
    ],
)
def test_nothing_disappears(text: str, shown: str) -> None:
    assert rendered(text) == shown


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(12, 90))
def test_no_line_is_wider_than_the_pane(text: str, width: int) -> None:
    lines = lay_out(text, width)
    assert lines
    for line in lines:
        assert cell_len(plain_text([line])) <= width


@settings(deadline=None)
@given(st.text("ab \n漢é-", min_size=1, max_size=200), st.integers(4, 30))
def test_wrapping_keeps_every_word(text: str, width: int) -> None:
    lines = render.wrap(text, width)
    assert "".join(plain_text(lines).split()) == "".join(text.split())
    assert all(cell_len(plain_text([line])) <= width for line in lines)


@pytest.mark.parametrize("piece", ["word ", "x", "*", "[", "![", "](", "a\n", "<", "_a ", "> ", "| a ", "あ", "```\n"])
def test_hostile_and_huge_texts_are_laid_out_in_time(piece: str) -> None:
    for size in (19_900, 100_000):
        begin = time.process_time()
        lay_out((piece * size)[:size], 55)
        assert time.process_time() - begin < 4.0


async def test_a_job_is_done_once_and_kept() -> None:
    renderer = Renderer(keep=2)
    jobs = [RenderJob(f"{ANSWER_A} {n}", ANSWER_A, 50) for n in range(3)]
    calls: list[RenderJob] = []

    def counted(job: RenderJob) -> Spread:
        calls.append(job)
        return real(job)

    real = render.spread
    with patch.object(render, "spread", counted):
        assert renderer.ready(jobs[0]) is None
        first, again = await asyncio.gather(renderer.spread(jobs[0]), renderer.spread(jobs[0]))
        assert first is again is renderer.ready(jobs[0])
        await renderer.spread(jobs[1])
        await renderer.spread(jobs[0])
        await renderer.spread(jobs[2])
    assert calls == jobs[:1] + jobs[1:]
    assert renderer.ready(jobs[1]) is None, "the one not used for longest goes first"
    assert renderer.ready(jobs[0]) is not None
