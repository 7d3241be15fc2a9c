"""Voting by lines, with answers from a list and from a pipe."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from elicit.types import BadInputError
from tests.tui.driving import Clock
from tests.tui.fake import PROMPT, SHORT, FakeService
from tui.keys import VOTES
from tui.plain.voting import PlainVoting


def say(service: FakeService, *lines: str, seconds: float = 1.0) -> str:
    """What a session with these lines prints."""
    clock = Clock()
    waiting = iter(lines)
    written: list[str] = []

    async def read() -> str | None:
        clock.now += seconds
        return next(waiting, None)

    asyncio.run(PlainVoting(service, read, written.append, clock).run())
    return "\n".join(written)


@pytest.mark.parametrize(
    ("line", "choice", "strength"),
    [
        ("left", "left", None),
        ("h", "left", None),
        (" Right ", "right", None),
        ("l", "right", None),
        ("1", "left", 3),
        ("6", "right", 2),
        ("4", "tie", None),
        ("=", "tie", None),
        ("tie", "tie", None),
        ("both bad", "both_bad", None),
        ("0", "both_bad", None),
        ("skip", "skip", None),
        ("s", "skip", None),
    ],
)
def test_votes(line: str, choice: str, strength: int | None) -> None:
    service = FakeService()
    said = say(service, line, "q", "left")
    assert [(a.choice, a.strength, a.seconds) for a in service.answers] == [(choice, strength, 1.0)]
    assert "Saved vote 1" in said
    assert "Pair 2." in said


def test_every_letter_of_the_screen_votes_here_too() -> None:
    service = FakeService([SHORT[:2]] * 20)
    say(service, *(key for key in VOTES if key != "equals_sign"))
    assert len(service.answers) == len(VOTES) - 1


def test_a_pair_is_read_in_full_and_harmlessly() -> None:
    said = say(FakeService([("\x1b[2Jone", " ")], context=PROMPT), "again")
    assert said.count("LEFT:\n␛[2Jone") == 2
    assert "RIGHT:\n(empty)" in said
    assert PROMPT in said
    assert "\x1b" not in said


def test_reasons_and_note() -> None:
    service = FakeService()
    say(service, "r 1 3", "n good one", "left", "reasons", "2", "note", "x", "note", "", "right", "r 9", "r ²", "tie")
    assert service.answers[0].reasons == ("clearer", "shorter")
    assert service.answers[0].note == "good one"
    assert service.answers[1].reasons == ("more correct",)
    assert [answer.note for answer in service.answers[1:]] == ["", ""]
    assert service.answers[2].reasons == ()
    assert "no list of reasons" in say(FakeService(reasons=()), "r")


def test_texts_that_end_as_sentences_get_no_second_full_stop() -> None:
    service = FakeService(title="Say whether it is odd.", reasons=("It is clearer.", "Why not?"))
    said = say(service, "r", "1 2", "n Well said.", "left", "reasons 1", "history", "overview", "q")
    for words in ("odd. Which", "not? Type", "clearer.", "said."):
        assert words in said
    assert not re.findall(r"[.!?]\.", said)


def test_undo() -> None:
    service = FakeService()
    said = say(service, "7", "undo", "u", "left")
    assert "Took back vote 1: RIGHT, far better." in said
    assert "no vote of yours" in said
    assert [answer.choice for answer in service.answers] == ["left"]


def test_differences_in_words() -> None:
    said = say(FakeService([("the cat sat here", "the dog sat here"), ("a", "a"), ("x y", "p q")]), *"dsdsd")
    assert "Only in LEFT: cat." in said
    assert "Only in RIGHT: dog." in said
    assert "the same words" in said
    assert "few words in common" in said


def test_what_can_be_asked() -> None:
    said = say(FakeService(stop_at=1), "?", "g", "p", "overview", "history", "2", "f3", "dance", "")
    for words in (
        "undo the last vote",
        "What makes an answer better",
        "no prompt",
        "1. item-0: The cat sat on the mat",
        "No votes yet",
        "Vote 1: LEFT, clearly better, 6.0 seconds",
        "There is no 'dance'",
    ):
        assert words in said
    assert said.count("You can stop here") == 1


def test_failures_lose_nothing() -> None:
    service = FakeService([SHORT[:2]])
    service.fail = BadInputError("the disk is full.")
    said = say(service, "left", "left", "left", "u", "right")
    assert "That did not work: the disk is full. Saved votes are safe." in said
    assert "All done." in said
    assert "no pair is open" in said
    assert [answer.choice for answer in service.answers] == ["right"]


def test_idle_time_does_not_count() -> None:
    service = FakeService()
    say(service, "left", seconds=1000)
    assert service.answers[0].seconds == 60


SCRIPT = """
import sys
from tests.tui.fake import FakeService
from elicit.types import BadInputError
from tui.plain.voting import run

async def start():
    if "fail" in sys.argv:
        raise BadInputError("no study here; make one")
    return FakeService()

sys.exit(run(start))
"""


def piped(*arguments: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.run(command, input=lines, capture_output=True, text=True, cwd=root, timeout=60, check=False)


def test_answers_can_be_piped() -> None:
    done = piped(lines="left\n6\nu\ntie\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Saved vote") == 3
    assert "2 votes in this session" in done.stdout


def test_a_start_that_fails_is_one_sentence() -> None:
    done = piped("fail")
    assert done.returncode == 2
    assert done.stderr == "elicit: no study here; make one\n"
