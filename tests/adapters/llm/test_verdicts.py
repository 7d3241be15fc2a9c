"""The grammar of verdicts: forms by sides, by what is said against them, and by where they are cut."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.llm.answers import chances
from adapters.llm.chat import Reply, ReplyToken
from adapters.llm.verdicts import ParseError, label_of, read_verdict

SIDES = [("A", "B"), ("B", "A"), ("1", "2"), ("2", "1"), ("Left", "Right"), ("model_x", "model_y")]
SCORES = ("1", "2", "3", "4", "5")

# Each is a verdict for X over Y.
CHOOSING = [
    "X",
    " X\n",
    "**X**",
    "(X)",
    "[[X]]",
    "`X`",
    '"X"',
    "_X_",
    "# X",
    "- X",
    "X.",
    "X!",
    "<b>X</b>",
    "Response X",
    "Assistant X",
    "Option X.",
    "Verdict: X",
    "**Verdict:** X",
    "**Verdict**: **X**",
    "Final verdict: X",
    "Final verdict:\n\nX",
    "## Verdict\n\nX",
    "verdict = X",
    "Verdict → X",
    "Answer: X",
    "Final answer: **X**",
    "The answer is X.",
    "\\boxed{X}",
    "The final answer is $\\boxed{\\text{X}}$.",
    "Winner: X",
    "Winner: Response X",
    "The winner is Response X.",
    "winner: X\nloser: Y",
    "My choice is X",
    "I choose X.",
    "I prefer Response X over Response Y.",
    "I would pick X because it is clear.",
    "Better: X",
    "The better response is X.",
    "The better one: X",
    "preferred_response: X",
    "Chosen: X. Rejected: Y",
    "Rejected: Y",
    "<answer>X</answer>",
    "<verdict>\nX\n</verdict>",
    '{"winner": "X"}',
    '{"winner": "response_X"}',
    '```json\n{"winner": "X"}\n```',
    'Here it is: {"verdict": "X",} I hope {this} helps.',
    '{"reasoning": "Y says\nmore, but is wrong. Verdict later.", "answer": "X"}',
    '{"finalAnswer": "Response X"}',
    '{"worse": "Y"}',
    "{'winner': 'X'}",
    "X is better",
    "X is better.",
    "Response X is clearly better than Response Y.",
    "Overall, X is the better response.",
    "X is superior to Y",
    "X wins!",
    "X beats Y.",
    "X > Y",
    "[[X>>Y]]",
    "Y < X",
    "Response Y is worse than Response X.",
    "Y is the weaker response.",
    "Y loses to X.",
    "The worse response is Y.",
    "Y is wrong, so X",
    "Y is wrong, so X is better.",
    "Response Y is incorrect. X",
    "Response Y is off topic.\n\nX",
    "Y misses the point. Response X answers it.\n\nX",
    "Y rambles and X does not.\n\nVerdict: X",
    "### Response X\nClear.\n### Response Y\nWrong.\n\nFinal answer: X",
    "X\n\nIt is clear and right.",
    "X because it is clearer",
    "X: since it answers the question.",
    "X\n\nResponse X is right. Response Y is wrong.",
    "So, X",
    "In conclusion, X.",
    "I think X is better.",
    "<think>Y is better. Verdict: Y</think>X",
    "Y is better? No: X.",
    "In the end, X is better.",
    "For these reasons, X wins.",
    "Ultimately, X is better.",
    "Based on accuracy, X is better.",
    "Both are fine, but X is better.",
    "X is better, I think.",
    "X is better, as it is clear.",
    "X is the clear winner.",
    "Conclusion: X is better.",
    "Final verdict: **Response X** is better.",
    "Selected: X",
    "Label: X",
    '{"answer": {"winner": "X"}}',
    '{"winner": "X", "tie": false, "correct": true}',
    "X ≻ Y",
    "«X»",
    "> X",
    "X<|im_end|>",
    "\\boxed{\\textbf{X}}",
    "Winner: 🏆 X",
]

# Each blames X, denies or supposes that it is better, or leaves it open: it may be a verdict for Y, and none for X.
BLAMING = [
    "X is worse than Y.",
    "X is worse",
    "Response X is the weaker one",
    "X is incorrect",
    "X is wrong, so Y",
    "X is wrong.\n\nY",
    "X, the first, is wrong",
    "X: wrong. Y: right.",
    "X: incorrect",
    "X - off topic",
    "X. It is wrong.",
    "X\n\nIt rambles.",
    "X\nThis one ignores the question.",
    "### Response X\nIt is off topic.",
    "**Response X**\n- makes an error",
    "X, which misses the point",
    "X because it is wrong",
    "X would be wrong",
    "Not X",
    "Not X.",
    "not X but Y",
    "Definitely not X",
    "Anything but X",
    "X is not better",
    "X is not better than Y.",
    "X isn't better.",
    "It is not true that X is better.",
    "I doubt it, X is better.",
    "If you like jokes, X is better.",
    "Some say X is better.",
    "X is better? No.",
    "Is X better? No: Y.",
    "Which is worse? X",
    "Which one is wrong?\n\nX",
    "Worse: X",
    "The worse one is X",
    "The response to reject: X",
    "Reject: X",
    "Loser: X",
    "Avoid X",
    "X should not be chosen.",
    "I would not choose X",
    "I choose X as the worst.",
    "I choose X, the worst.",
    "My pick for the worst: X",
    "Everybody would say X, but Y",
    "X is better, but Y is right",
    "X is better. However, Y is right.",
    "X is better. Wait, no.",
    "Verdict: X? No.",
    "Verdict: not X",
    "Verdict: X is worse",
    "Verdict: X. It is the worst.",
    "Verdict: X\nVerdict: Y",
    "Verdict: X. Actually, Y.",
    "X is better.\n\nVerdict: Y",
    "X or Y",
    "X/Y",
    "X and Y",
    "X, Y",
    "X\nY",
    "Both X and Y",
    "Neither X nor Y",
    "~~X~~ Y",
    "❌ X",
    "👎 X",
    "X < Y",
    "X = Y",
    "The errors are in: X",
    "It contains errors. X",
    "Bad, X",
    "X is best avoided",
    "X wins nothing",
    "X loses",
    "I wanted to say X. Then I saw that it is wrong.",
    '{"loser": "X"}',
    '{"winner": "X", "verdict": "worse"}',
    '{"winner": "X", "winner": "Y"}',
    '{"winner": "X", "reason": "X is wrong."}',
    '{"winner": "X", "reason": "Y is better."}',
    '{"winner": "not X"}',
    '{"winner": "X"} {"winner": "Y"}',
    "<think>X is better",
    "I am sorry, I cannot compare X and Y.",
    "As an AI, X",
    "On the surface, X is better.",
    "At first glance, X is better.",
    "In terms of style, X is better. In terms of substance, Y is.",
    "For style, X wins. For content, Y is far ahead.",
    "In theory, the winner is X",
    "Stylistically, X is better. Factually, Y is.",
    "Nobody doubted it, X is better.",
    "X is better, some say.",
    "X wins, said nobody.",
    "X is better, according to the user.",
    "X is better, on paper.",
    "X is better, until you read it.",
    "X is better, as long as nobody checks.",
    "X is better, I thought. Y though.",
    "X is better. That is what the author says.",
    "X is better. False.",
    "X is better. The opposite is true.",
    "X wins. I take it back.",
    "Winner: X. Just joking.",
    "Winner: X. Edit: the winner is Y",
    "I choose X, the worst.\n\n**Response X**",
    "X is better, but Y is right.\n\n**Response X**",
    "No X",
    "- [ ] X\n- [x] Y",
    "( ) X",
    "[x] Y\n[ ] X",
    "1. Y 2. X",
    "1. Y\n2. X",
    '{"winner": "X", "is_wrong": true}',
    '{"better": "X", "correct": false}',
]


def put(form: str, x: str, y: str) -> str:
    return re.sub(r"(?<![a-z])[XY](?![a-z])", lambda found: x if found[0] == "X" else y, form)


def verdict(text: str, labels: tuple[str, ...], after: str = "") -> str | None:
    """The label that a text is read as; None where it is a failure."""
    try:
        weights = read_verdict_of(text, labels, after)
    except ParseError:
        return None
    return labels[weights.index(max(weights))]


def read_verdict_of(text: str, labels: tuple[str, ...], after: str = "", *, cut: bool = False) -> tuple[float, ...]:
    return chances([Reply(text, cut=cut)], labels, after)


@pytest.mark.parametrize(("x", "y"), SIDES)
@pytest.mark.parametrize("form", CHOOSING)
def test_plain_verdicts_are_read(form: str, x: str, y: str) -> None:
    assert verdict(put(form, x, y), (min(x, y), max(x, y))) == x


@pytest.mark.parametrize(("x", "y"), SIDES)
@pytest.mark.parametrize("form", BLAMING)
def test_what_blames_a_response_is_no_verdict_for_it(form: str, x: str, y: str) -> None:
    assert verdict(put(form, x, y), (min(x, y), max(x, y))) in (y, None)


DENYING = [
    "It is not true that {}",
    "I doubt that {}",
    "Nobody would say: {}",
    "False: {}",
    "Unless I err, {}",
    "If it were shorter: {}",
    'The author claims "{}"',
]


@pytest.mark.parametrize("denial", DENYING)
@pytest.mark.parametrize("form", ["X is better", "X", "X wins", "I prefer X", "the winner is X", "X > Y", "Verdict: X"])
def test_what_is_denied_or_only_supposed_is_no_verdict(denial: str, form: str) -> None:
    for x, y in (("A", "B"), ("B", "A")):
        assert verdict(put(denial.format(form), x, y), ("A", "B")) in (y, None)


@pytest.mark.parametrize("form", [*CHOOSING, *BLAMING])
def test_a_reply_that_was_cut_is_a_failure_wherever_it_was_cut(form: str) -> None:
    text = put(form, "A", "B")
    for end in range(1, len(text) + 1):
        with pytest.raises(ParseError, match=r"cut at max_tokens; raise it"):
            read_verdict_of(text[:end], ("A", "B"), cut=True)


def test_one_token_that_was_asked_for_is_whole() -> None:
    reply = Reply("A", (ReplyToken("A", 0, {"A": -0.1, "B": -2.4}),), cut=True)
    assert chances([reply], ("A", "B"))[0] > 0.8


WORDS = [
    *("A", "B", "A.", "B.", "Response", "is", "not", "no", "better", "worse", "best", "wrong", "right", "than", "so"),
    *(
        "because",
        "but",
        "Verdict:",
        "Winner:",
        "Answer:",
        "I",
        "prefer",
        "choose",
        ",",
        "\n",
        "?",
        ":",
        "the",
        "it",
        "or",
    ),
    *("if", "However", "good", "errors", ">", "<", '{"winner": "A"}', '{"loser": "A"}'),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_exchanging_the_sides_in_a_reply_exchanges_the_verdict(words: list[str]) -> None:
    text = " ".join(words)
    other = re.sub(r"\b[AB]\b", lambda found: "B" if found[0] == "A" else "A", text)
    said, swapped = verdict(text, ("A", "B")), verdict(other, ("A", "B"))
    assert (said, swapped) in ((None, None), ("A", "B"), ("B", "A"))


@settings(deadline=None)
@given(st.sampled_from(CHOOSING), st.sampled_from(BLAMING), st.sampled_from(["\n\n", ". "]))
def test_a_verdict_beside_blame_of_the_same_response_is_never_the_blamed_one_alone(
    choosing: str, blaming: str, between: str
) -> None:
    # First for the one, then against it: only a verdict of its own (with a mark) may still stand.
    told = verdict(put(f"{blaming}{between}{choosing}", "A", "B"), ("A", "B"))
    assert told in ("A", "B", None)
    blamed = verdict(put(f"{blaming}{between}{blaming}", "A", "B"), ("A", "B"))
    assert blamed in ("B", None)


YES = ["Yes", "yes.", "YES!", "**Yes**", "Yes, it is good.", "Answer: Yes", "Verdict: **yes**", '{"answer": "yes"}',
       "No errors here, so yes", "No issues found.\n\nYes", "Yes\n\nThe response is clear and right.", "So: yes",
       "Definitely yes", "It is right, therefore yes."]  # fmt: skip
NO = ["No", "no.", "NO!", "**No**", "No, it is bad.", "Answer: No", "Verdict: **no**", '{"answer": "no"}',
      "It has errors, so no", "It is wrong.\n\nNo", "No\n\nThe response is off topic.", "So: no", "Definitely no",
      "No, it is not good."]  # fmt: skip
NEITHER = ["Yes and no", "Yes/No", "No errors.", "No problem: yes", "Yes, but it is wrong", "No, it is a good response",
           "No, there are no errors", "Is this bad? Yes", "Answer: Yes. Just joking.",
           '{"answer": "no", "reason": "no errors"}', '{"answer": "yes", "reason": "It is wrong."}',
           "There are errors. Yes", "I would not say yes", "Not yes",
           "Does it have errors? No", "It is good. No", "Yes, it would not be chosen", "No objections", "Maybe yes",
           "Yes or no?"]  # fmt: skip


def test_yes_and_no_are_read_where_what_is_said_beside_them_agrees() -> None:
    for labels in (("Yes", "No"), ("No", "Yes")):
        assert {text: verdict(text, labels) for text in YES} == dict.fromkeys(YES, "Yes")
        assert {text: verdict(text, labels) for text in NO} == dict.fromkeys(NO, "No")
        assert {text: verdict(text, labels) for text in NEITHER} == dict.fromkeys(NEITHER)


GRADING = ["4", "4.", "**4**", "4/5", "4 out of 5", "Score: 4", "**Score**: 4", "**Score:** 4", "score: 4", "SCORE: 4",
           "Score = 4", "Score is 4", "Score: 4/5", "Score: **4**/5", "Score: 4 out of 5", "Score: 4 (good)",
           "Score: 4 - good", "Score: 4.0", "Score (1-5): 4", "Overall score: 4", "The score is 4.", "Rating: 4",
           "Score:\n4", "Clear and right.\n\n4", "Clear.\n**Score**: 4\n", "Score: 4\n\nIt has a small error.",
           "Score: 1 would be unfair.\nScore: 4", "Accuracy: 3\nScore: 4", '{"score": 4}',
           '{"feedback": "no", "score": "4"}',
           "I would give it a 4.", "Score: \\boxed{4}", "<score>4</score>"]  # fmt: skip
UNGRADED = ["", "Score:", "Score: 9", "Score: 0", "Score: -1", "Score: 4/10", "Score: 40%", "Score: 3-4",
            "Score: 4 or 5",
            "Score: 4, but 3 would be fairer", "Score: 4\nScore: 9", "Score: 1 would be unfair.", "Between 3 and 4",
            "Score: four?", "Score: 4?", "Score: 4,5", "Score: 4. I revise it to 3.",
            "Score: 4. Correction: 3", "3 or 4", "1. Clear\n2. Right", "Score: 1e0", "Score: 4th",
            "Score: 1 to 5"]  # fmt: skip


@pytest.mark.parametrize("after", ["Score:", ""])
def test_grades_are_read(after: str) -> None:
    assert {text: verdict(text, SCORES, after) for text in GRADING} == dict.fromkeys(GRADING, "4")
    read = {text: verdict(text, SCORES, after) for text in UNGRADED if after or "\n" not in text}
    assert read == dict.fromkeys(read)


@settings(deadline=None)
@given(st.floats(1, 5))
def test_a_score_between_two_is_shared_by_them(score: float) -> None:
    shown = f"{score:.2f}"
    stated = read_verdict(f"Score: {shown}", SCORES, "Score:")
    assert sum(k * weight for k, weight in enumerate(stated.weights, 1)) == pytest.approx(float(shown))
    assert sum(stated.weights) == pytest.approx(1)
    assert sum(weight > 0 for weight in stated.weights) <= 2


def test_a_tie_is_read_only_where_it_may_be_said() -> None:
    for text in ("tie", "Tie.", "It's a tie.", "Verdict: tie", '{"winner": "tie"}'):
        assert verdict(text, ("A", "B", "tie")) == "tie"
        assert verdict(text, ("A", "B")) is None
    assert verdict("[[C]]", ("A", "B", "C")) == "C"


@settings(deadline=None)
@given(
    st.text(max_size=80), st.sampled_from(["", "Score:", "###"]), st.sampled_from([("A", "B"), ("Yes", "No"), SCORES])
)
def test_any_text_is_a_verdict_or_a_named_failure(text: str, after: str, labels: tuple[str, ...]) -> None:
    try:
        weights, place = read_verdict(text, labels, after)
    except ParseError as error:
        weights, place = (1.0,), None if 0 < len(str(error)) < 200 else -1
    assert sum(weights) == pytest.approx(1)
    assert place is None or text[place:][:1].casefold() in {label[:1].casefold() for label in labels}


LONG = ["A ", "A, ", "A\n", "A. B. ", "{", '{"a":', '\\"', "<", "the ", "(", ":", "so ", "A is better than ",
        "A is better, ", "[ ", "( ", "Verdict: ", "A is better. B is wrong. ", '{"winner": "A"} ',
        "Is it A? "]  # fmt: skip


@pytest.mark.parametrize("part", LONG)
def test_a_long_text_takes_time_by_its_length(part: str) -> None:
    short, long = (seconds_to_read(part * (size // len(part))) for size in (10_000, 100_000))
    assert long < 40 * max(short, 0.02)  # ten times as long; a hundred times if it were by the square


def seconds_to_read(text: str) -> float:
    start = time.process_time()
    verdict(text, ("A", "B"))
    return time.process_time() - start


def test_a_text_longer_than_any_verdict_is_not_read() -> None:
    with pytest.raises(ParseError, match="longer than any verdict"):
        read_verdict("A" + " " * 10**6, ("A", "B"))


def test_a_label_is_known_however_it_is_spelled() -> None:
    named = {
        name: label_of(name, ("A", "B")) for name in ("A", "b", "response_a", "Response B", "reasoning", "a b", "")
    }
    assert named == {"A": 0, "b": 1, "response_a": 0, "Response B": 1, "reasoning": None, "a b": None, "": None}
