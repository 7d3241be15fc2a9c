"""What may join: within the rules, and new in the eyes of a person."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.tuning.protocol import Proposal, Rules
from studies.demo.measure import POOL
from studies.tuning.admission import admissible, same


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Say what the film is about.", "Say what this film is about:"),
        ("Say what the film is about.", "Please say what the movie is about."),
        ("Give the answer in one word.\n\n{input}", "Give your answer in one word. {input}"),
        ("Answer with 'yes' or 'no'.", 'answer with "yes" or "no"'),
    ],
)
def test_differences_without_meaning_make_no_new_prompt(a: str, b: str) -> None:
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Give the antonym of a word.", "Give the synonym of a word."),
        ("Answer with one word.", "Answer with two words."),
        ("Translate English to German.", "Translate German to English."),
        ("Say if it is acceptable.", "Say if it is unacceptable."),
        ("Answer and explain.", "Do not answer and explain."),
        ("Think before you answer.", "Think after you answer."),
        ("Say 1 of 3.", "Say 3 of 1."),
        ("{question} {input}", "{input} {question}"),
        ("{input}", "{text}"),
        ("Is it good? {input}", "Q: Is it good? {input} A:"),
        ("{input}", "{input} ->"),
    ],
)
def test_one_word_that_matters_or_another_order_does(a: str, b: str) -> None:
    filler = " ".join(f"Sentence {n} says the same in both." for n in range(30))
    assert not same(a, b)
    # In a long prompt too, where the mean of the words' vectors hardly moves.
    assert not same(f"{filler} {a}", f"{filler} {b}")


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_saying_the_same_is_mutual_and_true_of_a_text_itself(a: str, b: str) -> None:
    assert same(a, a)
    assert same(a, b) == same(b, a)


PROPOSED = st.lists(
    st.sampled_from(
        ["", "  ", "Say it.", "Say  it.", "Say this!", "Name it.", "Name it, sir.", "Never mind.", "x" * 99]
    )
    | st.text(max_size=20),
    max_size=12,
)


@settings(deadline=None)
@given(PROPOSED, PROPOSED)
def test_every_proposal_is_kept_or_counted_and_what_is_kept_is_sound(proposed: list[str], known: list[str]) -> None:
    rules = Rules(forbid=("sir",), longest=50)
    kept, dropped = admissible([Proposal(text) for text in proposed], known, rules)
    assert len(kept) + sum(dropped.values()) == len(proposed)
    texts = [proposal.text for proposal in kept]
    assert all(any(sign.isalnum() for sign in text) and not rules.broken(text) for text in texts)
    assert not any(same(a, b) for a, b in itertools.combinations(texts, 2))
    assert not any(same(text, other) for text in texts for other in known)
    # What was kept is sound still, and nothing of it would join twice.
    assert admissible(kept, known, rules) == (kept, {})
    assert admissible(kept, texts, rules)[0] == []


def test_reasons_say_what_happened() -> None:
    rules = Rules(keep=("{input}",), forbid=("obviously",), longest=30)
    texts = [
        "",
        "... {input}",
        "Say it.",
        "Obviously {input}",
        "z" * 31,
        "y" * 40,
        "Go {input}",
        "Go  {input}",
        "Go: the {input}!",
    ]
    kept, dropped = admissible([Proposal(text) for text in texts], [], rules)
    assert [proposal.text for proposal in kept] == ["Go {input}"]
    assert dropped == {
        "it has no words": 2,
        "it lacks '{input}'": 1,
        "it has 'obviously'": 1,
        "it is longer than 30 characters": 2,
        "it is there already": 1,
        "one that says the same is there already": 1,
    }


@pytest.mark.parametrize("text", ["Say it. " * 9, "Review: {input}\nAnswer:\n" * 5, "{input}\n" + "Yes.\nNo.\n" * 4])
def test_what_does_not_find_an_end_is_dropped(text: str) -> None:
    assert admissible([Proposal(text)], [], Rules()) == ([], {"it repeats itself": 1})


def test_no_two_prompts_of_the_demo_merge_though_many_have_nearly_the_same_vector() -> None:
    """They differ in two slots at least, and the closest pairs by vector lie half as far apart as any two."""
    from adapters.embedder import embed

    rows = [json.loads(line) for line in POOL.read_text(encoding="utf-8").splitlines()]
    texts = [row["prompt"] for row in rows]
    accuracy = np.array([row["accuracy"] for row in rows])
    kept, _ = admissible([Proposal(text) for text in texts], [], Rules())
    assert len(kept) == len(texts)
    vectors = embed(texts)
    a, b = np.triu_indices(len(texts), 1)
    close = (vectors @ vectors.T)[a, b] > 0.95
    assert close.sum() > 10
    assert np.abs(accuracy[a] - accuracy[b])[close].mean() > 0.1
