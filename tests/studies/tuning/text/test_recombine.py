"""Children of prompts by their parts: nothing is invented, and the task and the place are never lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.randomness import stream
from studies.tuning.text import recombine
from studies.tuning.text.segments import instruction_rows

TASK = "Say whether a film review is positive or negative."
A = f"You are a critic. {TASK} Be brief.\n\nReview: {{input}}\nAnswer:"
B = "Is this review positive or negative?\n- Read it with care.\n- Answer with one word.\n\n<text>\n{input}\n</text>"
SHOTS = "Answer.\n\nQ: Nice.\nA: positive\n\nQ: Dull.\nA: negative\n\nQ: {input}\nA:"
PROMPTS = st.sampled_from([A, B, SHOTS, "{input}", "Sentiment?", ""])


@settings(deadline=None)
@given(PROMPTS, PROMPTS, st.integers(0, 50))
def test_children_are_made_of_their_parents_words(a: str, b: str, seed: int) -> None:
    rng = stream(seed, "x")
    for text, done in (
        recombine.exchange(a, b, TASK, rng),
        recombine.adopt(a, b, TASK, rng),
        recombine.reframe(a, b, TASK),
        recombine.drop(a, TASK, rng),
        recombine.move(a, TASK, rng),
    ):
        assert bool(text) == bool(done)
        assert set(text.split()) <= set(a.split()) | set(b.split())
        assert not text or ("{input}" in text or "{input}" not in a)


@settings(deadline=None)
@given(st.integers(0, 200))
def test_the_sentence_that_says_the_task_is_never_left_out_and_a_role_stays_first(seed: int) -> None:
    left, _ = recombine.drop(A, TASK, stream(seed, "x"))
    assert TASK in left
    moved, _ = recombine.move(A, TASK, stream(seed, "x"))
    assert moved == f"You are a critic. Be brief. {TASK}\n\nReview: {{input}}\nAnswer:"
    taken, _ = recombine.adopt(B, A, TASK, stream(seed, "x"))
    assert TASK not in taken
    assert "You are a critic." not in taken or taken.startswith("You are a critic.")


def test_a_sentence_takes_the_place_of_the_one_that_does_its_work() -> None:
    text, done = recombine.exchange(B, A, TASK, stream(0, "x"))
    assert text == B.replace("Is this review positive or negative?", TASK)
    assert done == f"Says it as another prompt does: {TASK}"


def test_points_of_a_list_are_moved_among_themselves_and_joined_by_new_ones() -> None:
    moved, _ = recombine.move(B, TASK, stream(0, "x"))
    assert "- Answer with one word.\n- Read it with care.\n" in moved
    added = [recombine.adopt(B, A.replace("You are a critic. ", ""), TASK, stream(seed, "x"))[0] for seed in range(20)]
    assert any("- Be brief.\n" in text for text in added)


@pytest.mark.parametrize(
    ("a", "b", "made"),
    [
        (A, B, f"You are a critic. {TASK} Be brief.\n\n<text>\n{{input}}\n</text>"),
        (B, A, B.split("\n\n")[0] + "\n\nReview: {input}\nAnswer:"),
        (A, "Sentiment?", ""),
        # What only its examples explain cannot do without them.
        (SHOTS, B, ""),
    ],
)
def test_a_prompt_in_another_s_frame(a: str, b: str, made: str) -> None:
    assert recombine.reframe(a, b, TASK)[0] == made


def test_what_says_what_to_do_is_neither_frame_nor_example_nor_cue() -> None:
    assert [len(instruction_rows(text)) for text in (A, B, SHOTS, "{input}", "{input}\n\nSay it.\nAnswer:")] == [
        3,
        3,
        1,
        0,
        1,
    ]
