"""The report: complete, self-contained, harmless whatever the texts, and the same bytes for the same data."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import random
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from elicit.safe_text import harmless
from elicit.service.results import LabelShares, LeaderRow, PairLabel
from elicit.service.voting import PastVote
from studies.reporting import charts, trace
from studies.reporting.report import (
    CalibrationBin,
    Decisive,
    Recommendation,
    ReportData,
    count,
    percent,
    render,
    sentence,
    vote_in_words,
    wilson,
)
from tui.words import shares

VOID = {"meta", "br", "hr", "img", "link", "input"}
OPENINGS = ("Classify the message.", "You are a careful editor.", "Answer in one word.", "Think step by step.")
DETAILS = (
    "Reply with exactly one label and nothing else.",
    "If you are unsure, choose the label that a tired support agent would choose.",
    "First list the facts in the message, then decide.\n\n- facts\n- tone\n- what is asked for",
    "Use plain words; no apology, no preamble.",
)
HOSTILE = "<script>alert(1)</script> & \" ' $x$ \u202egnp.exe \x1b[2J {{ 7*7 }} <!-- ]]> </svg></style></title>"


def text_of(i: int) -> str:
    return f"{OPENINGS[i % 4]} {DETAILS[i // 4 % 4]} Variant {i}."


def example(items: int = 150, votes: int = 60, **changes: Any) -> ReportData:
    """A study as it might have gone, from a fixed seed; utilities in logits."""
    rng = random.Random(7)
    utilities = sorted((rng.gauss(0, 1.6) for _ in range(items)), reverse=True)
    width = 2.2 / (1 + votes / 25)
    leaders = []
    for i, utility in enumerate(utilities):
        half = width * rng.uniform(0.7, 1.6)
        p_best = math.exp(-i * (0.2 + votes / 90)) * min(0.9, 0.2 + votes / 120)
        leaders.append(
            LeaderRow(
                i + 1,
                f"item-{i:04d}",
                text_of(i),
                utility,
                utility - half,
                utility + half,
                p_best,
                max(votes // 5 - i, 0),
            )
        )
    regret = tuple(math.exp(-n / 22) * rng.uniform(0.9, 1.05) for n in range(votes + 1))
    curves = {
        row.item: tuple(
            row.p_best * n / max(votes, 1) + (0.5 / (n + 4)) * rng.uniform(0.3, 1.0) for n in range(votes + 1)
        )
        for row in leaders[:8]
    }
    clock, times = datetime(2026, 3, 3, 9, 12, tzinfo=UTC), []
    for n in range(votes):
        pause = 14 * 3600 if n == votes // 2 and votes > 20 else 3000 if n == votes // 5 and votes > 20 else 0
        clock += timedelta(seconds=pause + rng.uniform(3, 25))
        times.append(clock.isoformat())
    left = round(votes * 0.47)
    pairs = [
        Decisive(
            PastVote(
                query=n,
                number=n,
                left=text_of(3 * n),
                right=text_of(5 * n + 1) + ("\n\n" + " ".join(DETAILS) * 2 if n % 2 else ""),
                context="My parcel says delivered but it is not here." if n == 3 else "",
                choice=("left", "right")[n % 2],
                strength=(1, 2, 3, None)[n % 4],
                judge="maya",
                seconds=3.0 + n,
                reasons=("clearer", "shorter") if n == 3 else (),
                note="The right one talks too much." if n == 3 else "",
                time=times[n - 1],
                why="The two were the likeliest best items, and the model gave the left one 48 %.",
            ),
            1.2 / n,
            f"P(best) of #{n} rose from {4 * n} % to {9 * n} %, and that of #{n + 4} fell",
        )
        for n in range(1, min(votes, 5))
    ]
    data = ReportData(
        title="Support triage prompt",
        goal="best",
        question="Which prompt would you rather ship?",
        created="2026-03-03T09:10:00+00:00",
        finished=times[-1] if times else "",
        items=items,
        votes=votes,
        judges={"maya": votes - votes // 3, "José 李": votes // 3} if votes else {},
        recommendation=Recommendation(leaders[0], leaders[0].text),
        leaders=tuple(leaders),
        expected=regret,
        p_best_curves=curves,
        vote_times=tuple(times),
        decisive=tuple(pairs),
        left_votes=left // 2,
        decided_votes=round(votes * 0.9),
        counts={"left": left, "right": votes - left, "tie": 0, "both_bad": 0, "skip": 0} if votes else {},
        seconds_median=6.4 if votes else None,
        votes_left=(9, 22, 41) if votes else None,
        stop=False,
        why="the expected regret is still above the threshold",
        calibration=tuple(
            CalibrationBin(p, min(1, p + rng.uniform(-0.1, 0.1)), 5 + 3 * i)
            for i, p in enumerate((0.1, 0.3, 0.5, 0.7, 0.9))
        )
        if votes
        else (),
        replay_command="elicit replay 'studies/support triage' --verify",
        versions={"elicit": "0.1.0", "torch": "2.13.0", "python": "3.11.7"},
        seed=7,
        spec='title = "Support triage prompt"\ngoal = "best"\n\n[engine]\nmodel = "default"\nselector = "default"\n',
    )
    return msgspec.structs.replace(data, **changes)


class Page(HTMLParser):
    """Parses a report, insisting on balanced tags, and keeps what the checks ask about."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.style = ""
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = "".join(self.words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert len({name for name, _ in attrs}) == len(attrs)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")


def check(html: str) -> Page:
    """The laws of any report: balanced, unique ids, links that lead somewhere on the page, nothing from outside."""
    page = Page(html)
    assert not page.tags & {"script", "iframe", "object", "embed", "img", "link", "base", "form", "foreignobject"}
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "srcset", "srcdoc", "action")
        assert "//" not in value, (tag, name, value)
        if name == "href":
            assert value[0] == "#"
            assert value[1:] in ids
        for target in re.findall(r"url\(([^)]*)\)", value):
            assert target[0] == "#"
            assert target[1:] in ids
        if name == "aria-labelledby":
            assert set(value.split()) <= set(ids)
        if name == "style":
            assert not re.search(r"#[0-9a-f]{3,}", value), "a fixed colour would not follow the page's"
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert harmless(html) == html
    assert len(html.encode()) < 2_000_000
    return page


@pytest.mark.parametrize(("items", "votes"), [(2, 0), (2, 1), (3, 2), (150, 60), (2000, 1000)])
def test_sizes(items: int, votes: int) -> None:
    data = example(items, votes)
    page = check(render(data))
    judges = sum(n > 0 for n in data.judges.values())
    assert f"{count(votes, 'vote')} by {count(judges, 'judge')} on {count(items, 'item')}" in page.text
    assert ("Starting guess" in page.text) == (votes == 0)
    assert page.text.count("item-0001") == 1
    assert "elicit replay 'studies/support triage' --verify" in page.text


def test_answer_comes_first_and_whole() -> None:
    text = "First line\n\n" + "all of it, " * 5000 + "the end."
    data = example()
    row = data.leaders[0]
    page = check(render(msgspec.structs.replace(data, recommendation=Recommendation(row, text))))
    assert text in page.text
    order = [
        page.text.index(words) for words in ("the end.", "Utility is how", "P(best) is the", "Leaderboard\n", "TOML")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"stop": True, "why": "expected regret 3 % is under 5 %"},
            "You can stop voting. Expected regret 3 % is under 5 %.",
        ),
        ({"votes_left": None}, "Go on voting. How many more votes are needed is not known yet."),
        (
            {"stop": True, "ended": "the budget is spent", "why": "the budget is spent", "votes_left": (0, 0, 0)},
            "Nothing more can be asked, and the stop rule is not met. The budget is spent.",
        ),
        ({"votes_left": (1, 1, 4)}, "Go on: about 1 more vote. 80\xa0% interval 1 to 4."),
        ({"left_votes": 0, "decided_votes": 0}, "No decided votes yet."),
        ({"left_votes": 11, "decided_votes": 20}, "Too few to tell"),
        ({"left_votes": 52, "decided_votes": 100}, "No sign of a side habit; one of more than 12 points"),
        ({"left_votes": 80, "decided_votes": 100}, "more for the left side"),
        ({"left_votes": 20, "decided_votes": 100}, "more for the right side"),
        ({"recommendation": None}, "No recommendation yet"),
        ({"recommendation": None, "goal": "label"}, "No pair has a label yet"),
        ({"goal": "rank"}, "Top of the order"),
        ({}, "Expected simple regret is what taking the recommended item now would cost"),
        ({"goal": "top", "top": 3}, "Expected share of wrong top items is how much of the recommended top 3 does not"),
        ({"goal": "rank"}, "Expected share of misordered pairs is how many of all pairs of items stand in the wrong"),
        ({"notes": ("Random pairs would have needed 140 votes.",)}, "Random pairs would have needed 140 votes."),
        ({"vote_times": ("",) * 60}, "No vote has a known time."),
        ({"votes_left": (1, 1, 1)}, "Go on: 1 more vote. "),
        ({"guessed": True}, "Starting guess No vote counts for anything yet, so nothing speaks for this item but"),
        ({"goal": "rank", "stop_regret": 0.5}, "under the stop threshold of 50\xa0%, which it first reached after 1"),
        (
            {"goal": "rank", "expected": (0.5, 0.052)},
            "5.2\xa0%, from 50\xa0% before the first. It is above the stop thr",
        ),
        (
            {"expected": (1.0, 0.02)},
            "The stop rule asks for at most 5\xa0% with a probability of 95\xa0%, not on average",
        ),
        ({"calibration": ()}, ""),
        ({"leaders": (), "p_best_curves": {}, "expected": (), "decisive": ()}, "Replay"),
        ({"judges": {"maya": 60}}, "60 votes by 1 judge"),
    ],
)
def test_words(changes: dict[str, Any], words: str) -> None:
    text = " ".join(check(render(example(8, **changes))).text.split(" "))
    assert words in re.sub(r"[ \n]+", " ", text)


def test_label_study() -> None:
    labels = LabelShares(by_votes=60, by_machines=0, by_model=900, a=500, tie=1, b=459)
    chances = [0.95] * 300 + [0.05] * 300 + [0.5] * 299
    pairs = tuple(
        PairLabel(f"p{k}", f"one {k}", "other", "a", max(p, 1 - p), p, 0, "model") for k, p in enumerate(chances)
    )
    pairs += (PairLabel("tied", "one", "other", "tie", 0.95, 0.5, 0, "model"),)
    pairs += (PairLabel("last", HOSTILE, HOSTILE, "tie", 0.5, 0.5, 2, "votes"),)
    data = example(goal="label", recommendation=None, leaders=(), p_best_curves={}, labels=labels, pairs=pairs[::-1])
    page = check(render(data))
    text = re.sub(r"[ \n]+", " ", page.text)
    assert "60 votes by 2 judges on 960 pairs" in text
    assert "Of 960 pairs, 60 got a label by votes and 900 by the model's belief." in text
    assert "The first response is better in 500 pairs, the second in 459, and 1 is a tie." in text
    assert "The model is 80\xa0% sure or more of 601 of its 900 labels." in text
    assert "The first 200 of 901 pairs" in text
    assert ("svg", "aria-labelledby", "labels-wide-title labels-wide-text") in page.attributes
    assert "Recommended" not in text
    assert "Leaderboard" not in text


def test_labels_that_no_vote_speaks_for_are_no_finding() -> None:
    """The likelier of equally likely labels is no result: neither the report nor the screen counts which it is."""
    labels = LabelShares(by_votes=0, by_machines=0, by_model=12, a=12, tie=0, b=0)
    text = check(render(example(goal="label", recommendation=None, leaders=(), p_best_curves={}, labels=labels))).text
    for told in (text, shares(labels)):
        assert "No vote speaks for these labels yet." in told
        assert "is better in" not in told


def test_what_a_vote_changed_is_told_by_the_sides_it_was_shown_on() -> None:
    assert trace.sentence(0.5, 0.58, swapped=False) == "The chance that the left one is better went from 50 % to 58 %."
    assert trace.sentence(0.51, 0.27, swapped=True) == "The chance that the left one is better went from 49 % to 73 %."


def everywhere(text: str) -> ReportData:
    """A small study in which every string from outside is this text."""
    data = example(items=3, votes=2)
    leaders = tuple(msgspec.structs.replace(row, text=text, item=f"{row.item}{text}") for row in data.leaders)
    vote = msgspec.structs.replace(
        data.decisive[0].vote, left=text, right=text * 9, context=text, judge=text, reasons=(text,), note=text, why=text
    )
    return msgspec.structs.replace(
        data,
        title=text,
        question=text,
        judges={text: 2},
        leaders=leaders,
        recommendation=Recommendation(leaders[0], text),
        p_best_curves={row.item: (0.3, 0.3, 0.4) for row in leaders},
        decisive=(Decisive(vote, 0.5, text),),
        why=text,
        notes=(text,),
        gain_unit=text,
        replay_command=text,
        versions={text: text},
        spec=text,
    )


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.text(max_size=60), st.text(alphabet="<>&\"'/!-[]$\\{}%#@0_^`\u202e\x1b\x00\u2028 \n", max_size=60)))
def test_hostile_texts_stay_text(text: str) -> None:
    page = check(render(everywhere(text)))
    # HTML drops a line end at the head of <pre>; nothing else may be lost.
    assert harmless(text).strip("\n") in page.text


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "</pre></code></details><img src=x onerror=alert(1)>",
        "]]></desc></title><script>1</script>",
        "$\\frac{1}{0}$ @0@ @1@",
        "מימין לשמאל 从左到右 🧪",
        " \n\t ",
        "",
    ],
)
def test_hostile_examples(text: str) -> None:
    page = check(render(everywhere(text)))
    assert harmless(text) in page.text
    assert "{{ 7*7 }}" in page.text or "7*7" not in text


def test_long_hostile_texts_keep_the_file_small() -> None:
    data = example(2000, 1000)
    leaders = tuple(
        msgspec.structs.replace(row, text=f"{row.rank} " + "\u202e<&\n" * 2000, item=f"{row.rank}<\u202e" * 200)
        for row in data.leaders
    )
    page = check(render(msgspec.structs.replace(data, leaders=leaders)))
    assert "Long texts are cut" in page.text
    assert "2000 ⟨U+202E⟩<&" in page.text


def test_same_data_same_bytes() -> None:
    import matplotlib

    once = render(example())
    with matplotlib.rc_context({"axes.facecolor": "red", "lines.linewidth": 9, "font.size": 30, "axes.grid": True}):
        assert render(example()) == once
    script = (
        "import sys, importlib.util as u, hashlib; s = u.spec_from_file_location('t', sys.argv[1]);"
        "m = u.module_from_spec(s); s.loader.exec_module(m);"
        "print(hashlib.sha256(m.render(m.example()).encode()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "2", "PYTHONPATH": os.pathsep.join(sys.path), "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", script, __file__], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(once.encode()).hexdigest()


def test_filling_in_a_report_loads_no_charts() -> None:
    heavy = "{'matplotlib', 'jinja2', 'numpy', 'torch'}"
    script = f"import sys, studies.reporting.report; print(sorted({heavy} & set(sys.modules)))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_round_trip() -> None:
    """The data can be kept as JSON."""
    data = example(3, 2)
    assert msgspec.json.decode(msgspec.json.encode(data), type=ReportData) == data


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(c * 2 for c in color[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_aa_in_light_and_dark() -> None:
    style = Page(render(example(2, 0))).style
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]+)", block)) for block in style.split(":root {")[1:3])
    assert len(light) == len(dark) == 15
    for scheme in (light, dark):
        for ground in ("paper", "card", "tint", "band"):
            for text in ("ink", "muted", "accent", "warn", *(f"c{i}" for i in range(1, 7))):
                if ground in ("tint", "band") and text[0] in "cw":
                    continue  # never drawn there
                high, low = sorted((luminance(scheme[ground]), luminance(scheme[text])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (ground, text)


def test_wilson() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(case: tuple[int, int]) -> None:
    k, n = case
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low))


def test_small_words() -> None:
    assert [count(n, "vote") for n in (0, 1, 2000)] == ["0 votes", "1 vote", "2,000 votes"]
    assert [percent(p) for p in (0, 0.001, 0.35, 0.999, 1)] == ["0\xa0%", "<1\xa0%", "35\xa0%", ">99\xa0%", "100\xa0%"]
    assert [sentence(text) for text in ("", "so it is", "Done!")] == ["", "So it is.", "Done!"]
    vote = example().decisive[0].vote
    assert vote_in_words(vote) == "right, clearly better"
    assert vote_in_words(msgspec.structs.replace(vote, choice="both_bad", strength=None)) == "both bad"


def test_sittings_fold_breaks_and_bound_the_drawing() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    daily = tuple((start + timedelta(days=i, seconds=i % 7)).isoformat() for i in range(1000))
    html = render(example(3, 2, vote_times=daily))
    assert "1,000 votes in 1 sitting, 999 d of voting." in check(html).text
    mixed = [*daily[:1], *((start + timedelta(days=9, minutes=i)).isoformat() for i in range(30))]
    text = check(render(example(3, 2, vote_times=tuple(mixed)))).text
    assert "31 votes in 2 sittings, 29 min of voting, 9 d of breaks (more than 10 min without a vote)." in text
    assert "9 d idle" in text
    assert "clock time (UTC)" in text


def test_every_chart_has_two_widths_a_title_and_a_description() -> None:
    page = check(render(example()))
    keys = ["balance", "calibration", "expected", "pbest", "times", "utilities"]
    named = sorted(value for tag, name, value in page.attributes if tag == "svg" and name == "aria-labelledby")
    assert named == sorted(f"{k}-{w}-title {k}-{w}-text" for k in keys for w in ("narrow", "wide"))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 40)), min_size=1, max_size=12),
    st.integers(1, 3_000_000),
)
def test_no_two_labels_of_an_axis_touch(sittings: list[tuple[int, int]], scale: int) -> None:
    """Measured in the browser's place by matplotlib's own, wider, letters; whatever times and numbers are drawn."""
    start, runs = datetime(2026, 1, 1, tzinfo=UTC), []
    for pause, votes in sittings:
        start += timedelta(seconds=pause + 700)
        runs.append([start + timedelta(seconds=20 * n) for n in range(votes)])
        start = runs[-1][-1]
    figures: list[Figure] = []

    class Kept(Figure):
        def savefig(self, *arguments: Any, **named: Any) -> None:
            figures.append(self)
            super().savefig(*arguments, **named)

    with charts.drawing(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "Figure", Kept)
        charts.votes_over_time(runs, "Votes over time", "A summary.")
        charts.utilities([charts.Whisker("a", -scale, 0.0, scale, "50 %")], "Utilities", "A summary.")
    for figure in figures:
        renderer = FigureCanvasAgg(figure).get_renderer()
        for ax in figure.axes:
            for axis in (ax.xaxis, ax.yaxis):
                labels = [label for label in axis.get_ticklabels() if label.get_visible() and label.get_text()]
                boxes = [label.get_window_extent(renderer) for label in labels]
                assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
