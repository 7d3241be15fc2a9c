"""What is read out of a model's reply."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.randomness import stream
from elicit.tuning.protocol import Proposal
from studies.tuning.drafting import critique, gather_drafts, likely_best, marked_text, sample_losses
from tests.studies.tuning.pools import LATER

PLAIN = st.text(st.characters(exclude_characters="<`", exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: any(sign.isalnum() for sign in text)
)


@given(PLAIN, PLAIN)
def test_what_stands_between_the_marks_is_read_whatever_stands_around(text: str, around: str) -> None:
    wanted = marked_text(f"<prompt>{text}</prompt>", "prompt")
    assert marked_text(f"{around}\n<prompt>\n{text}\n</prompt>\n{around}", "prompt") == wanted
    assert marked_text(f"<prompt>{around}</prompt> better: <prompt>{text}</prompt>", "prompt") == wanted


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("<prompt>a <prompt>b</prompt> c</prompt>", "b"),
        ("<PROMPT>\n```text\nSay it.\n```\n</Prompt>", "Say it."),
        ("Put it in <prompt>...</prompt>", ""),
        ("So:\n```\nSay it.\n```\nDone.", "Say it."),
        ("<prompt>Say it.", "Say it."),
        ("<prompt>Say it, and", ""),
        ("Say it.</prompt>", ""),
        ("Say it.", ""),
        ("<response>x</response>", ""),
    ],
)
def test_marks_of_all_kinds(reply: str, text: str) -> None:
    assert marked_text(reply, "prompt") == text


@pytest.mark.parametrize("piece", ["<prompt>", "</prompt>", "```\n", "<think>", "<prompt></prompt>", ". "])
def test_a_gigantic_reply_of_marks_holds_no_prompt(piece: str) -> None:
    assert marked_text(piece * 20_000, "prompt") == ""
    assert critique(piece * 20_000, "prompt") == ""


def test_the_critique_is_one_sentence_of_what_was_said_before() -> None:
    said = "**It lacks** the labels, e.g. Positive. And more.\n<prompt>Say it.</prompt>"
    assert critique(said, "prompt") == "It lacks the labels, e.g. Positive."
    assert critique("<prompt>Say it.</prompt> So.", "prompt") == ""
    assert critique("It is bad.", "prompt") == ""
    assert len(critique("x" * 5000 + "<prompt>y</prompt>", "prompt")) <= 300


async def test_drafts_keep_their_order_and_a_fault_of_ours_is_never_swallowed() -> None:
    async def draft(result: Proposal | Exception | None, wait: float) -> Proposal | None:
        await asyncio.sleep(wait)
        if isinstance(result, Exception):
            raise result
        return result

    a, b = Proposal("a"), Proposal("b")
    assert await gather_drafts([draft(a, 0.02), draft(None, 0), draft(OSError("x"), 0), draft(b, 0)]) == [a, b]
    assert await gather_drafts([]) == []
    with pytest.raises(OSError, match="x"):
        await gather_drafts([draft(OSError("x"), 0), draft(OSError("y"), 0)])
    with pytest.raises(KeyError):
        await gather_drafts([draft(a, 0), draft(KeyError("z"), 0), draft(OSError("x"), 0)])


def test_the_likely_best_is_mostly_the_best_and_sometimes_another() -> None:
    drawn = [likely_best(LATER.prompts, stream(seed, "x")) for seed in range(200)]
    counts = [sum(prompt is other for other in drawn) for prompt in LATER.prompts]
    assert counts == sorted(counts, reverse=True)
    assert 100 < counts[0] < 200
    assert likely_best((), stream(0, "x")) is None


def test_lost_votes_shown_are_new_ones_in_their_order() -> None:
    losses = list(LATER.losses) * 5
    shown = sample_losses(losses, 3, stream(0, "x"))
    assert len(shown) == 3
    assert all(loss in losses[:6] for loss in shown)
    assert sample_losses(losses[:2], 3, stream(0, "x")) == losses[:2]
