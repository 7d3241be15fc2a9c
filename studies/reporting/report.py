"""The report of a study: one HTML file that answers first and then shows why, readable without network or script.

Everything shown is a value of `ReportData`; nothing is read from disk, clock or network, so the same data give the
same bytes. Texts of items, names and notes are hostile input: the template engine passes every string it prints
through `harmless` and escapes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from markupsafe import Markup

from adapters import markup
from elicit import safe_text
from elicit.safe_text import full_stop, harmless, limit_in_percent, one_line, share_in_percent
from elicit.service.results import LabelShares, LeaderRow, PairLabel
from elicit.service.voting import PastVote
from elicit.types import EXPECTED, STRENGTHS, Goal
from studies.reporting.report_people import People, agreement_in_words

if TYPE_CHECKING:
    from studies.reporting.charts import Chart

IDLE, MOST_SITTINGS = timedelta(minutes=10), 40
"""A longer time without a vote ends a sitting; where that makes too many to draw, the time is doubled."""
DRAWN_ITEMS, DRAWN_CURVES, OPEN_ROWS, ORDER_ROWS, DRAWN_PAIRS = 20, 6, 30, 10, 12
LISTED_PAIRS, BINS = 200, 10
"""Pairs with their labels in the table, and bars of the histogram of labels."""
PEEK, ROW_PEEK, ANSWER_PEEK = 320, 100, 1200
"""Characters of a text (one line for 25) that stay visible when it is folded: in a pair, a table row, the answer."""
TABLE_BYTES = 700_000
"""What the texts of the leaderboard may take of the file; they are cut evenly to keep to it."""
LONGEST = 20_000
"""Characters after which any text but the recommended one is cut."""


class Recommendation(NamedTuple):
    """The recommended item's row with its text in full."""

    row: LeaderRow
    text: str


class Decisive(NamedTuple):
    """A vote that moved the result much. `gain`: see `ReportData.gain_unit`; `sentence`: what it changed; `items`: the
    ids of what stood left and right."""

    vote: PastVote
    gain: float
    sentence: str
    items: tuple[str, str] = ("", "")


class CalibrationBin(NamedTuple):
    """`n` decided votes for which the engine had predicted, just before, `predicted` on average; shares 0 to 1."""

    predicted: float
    observed: float
    n: int


class ReportData(msgspec.Struct, frozen=True, kw_only=True):
    """What a report shows. Utilities in logits, probabilities and shares from 0 to 1, times in ISO 8601."""

    title: str
    goal: Goal
    top: int = 0
    """How many items goal top looks for."""
    question: str
    created: str
    finished: str
    """When the study ended; empty: it is still open."""
    items: int
    retired: int = 0
    """Items that are not asked about any more."""
    votes: int
    """Live votes, skipped and tied ones included."""
    judges: dict[str, int]
    """Votes by judge; names are shown as given."""
    recommendation: Recommendation | None
    """None for goal label, and where nothing is acceptable yet."""
    leaders: tuple[LeaderRow, ...]
    """Items that are not retired, the recommended one first; none where pairs of items of their own are labelled."""
    expected: tuple[float, ...]
    """(votes + 1,) what the stop rule measures from vote 0 on, a share; `elicit.types.EXPECTED` names it."""
    p_best_curves: dict[str, tuple[float, ...]]
    """P(best) by item id of some leaders, from vote 0 on; a shorter curve ends at the last vote."""
    vote_times: tuple[str, ...]
    """One per vote; empty when unknown. A time without a zone is read as UTC."""
    decisive: tuple[Decisive, ...]
    left_votes: int
    decided_votes: int
    """Votes for one of the two sides."""
    counts: dict[str, int]
    """Votes by choice."""
    seconds_median: float | None
    votes_left: tuple[int, int, int] | None
    """Votes left until the stop rule is met or nothing more can be asked: low, middle and high end of an 80 % interval;
    None: not known yet."""
    stop: bool
    """The stop rule is met, or nothing more can be asked."""
    ended: str = ""
    """Why nothing more can be asked although the stop rule is not met."""
    why: str
    stop_regret: float = 0.05
    """The share that the stop rule asks for."""
    guessed: bool = False
    """No vote speaks for the recommendation: there is none, or none counts."""
    stop_confidence: float = 0.95
    """With which probability it asks for it; of goal best alone, where it does not look at the expectation."""
    gain_unit: str = "bits of information"
    calibration: tuple[CalibrationBin, ...] = ()
    """Bins of the predictions made one vote ahead."""
    labels: LabelShares | None = None
    pairs: tuple[PairLabel, ...] = ()
    """Of goal label: every pair."""
    pictures: dict[str, str] = {}
    """Small pictures by item id, as addresses that hold them (`data:`)."""
    people: People | None = None
    """Those who voted in person; None: nobody did."""
    notes: tuple[str, ...] = ()
    """More sentences for the answer, such as a comparison with random pairs."""
    replay_command: str
    versions: dict[str, str]
    seed: int
    spec: str
    """The study's specification, TOML."""


class ReportText(NamedTuple):
    """A text from outside, made harmless."""

    peek: str
    """What stays visible when it is folded; empty: it is short enough to stand open."""
    full: str
    left_out: int
    """Characters that were cut off."""


class Section(NamedTuple):
    """One chart and what it shows; the page has the words on what is drawn, by `key`."""

    key: str
    title: str
    summary: str
    chart: Chart | None = None
    legend: tuple[tuple[str, str, str], ...] = ()
    """Of each line: its name in the drawing, the item's text, its dashes."""


def render(data: ReportData) -> str:
    """The report as one HTML file."""
    # Loaded here, so that whoever only fills in a ReportData does not pay for them.
    from jinja2 import Environment, StrictUndefined

    from studies.reporting import charts

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.finalize = lambda value: harmless(value) if type(value) is str else value
    environment.filters |= {
        "count": count,
        "percent": percent,
        "logits": logits,
        "moment": format_moment,
        "line": one_line,
    }
    environment.filters |= {"vote_in_words": vote_in_words, "sentence": sentence, "fold": _text, "markdown": _markdown}
    with charts.drawing():
        page = _page(data)
    return environment.from_string(files("studies.reporting").joinpath("report.html.jinja").read_text("utf-8")).render(
        page
    )


def _markdown(text: str) -> Markup:
    """The text's Markdown as HTML of harmless tags alone."""
    return Markup(markup.render(text))


def _page(data: ReportData) -> dict[str, Any]:
    """Everything the template needs. Charts are drawn here."""
    listed = data.pairs[:LISTED_PAIRS]
    cap = _cap([*(row.text for row in data.leaders), *(text for pair in listed for text in (pair.a, pair.b))])
    rows = [(row, _text(row.text or row.item, cap, ROW_PEEK)) for row in data.leaders]
    best, text = data.recommendation or (None, "")
    top = [_labels(data), _utilities(data), _p_best(data), _expected_values(data), _times(data)]
    after = [_balance(data), _calibration(data)]
    return {
        "data": data,
        "answer": _text(text or best.item, None, ANSWER_PEEK) if best else None,
        "recommended": best,
        "expected": data.expected[-1] if data.expected else None,
        "expected_told": _format_expected(data, data.expected[-1]) if data.expected else "",
        "expected_name": EXPECTED[data.goal],
        "threshold": _threshold(data),
        "counts": {choice.replace("_", " "): votes for choice, votes in data.counts.items()},
        "order": rows[: {"rank": ORDER_ROWS, "top": data.top}.get(data.goal, 0)],
        "top": [section for section in top if section],
        "after": [section for section in after if section],
        "pairs": [tuple(pair) for pair in data.decisive[:DRAWN_PAIRS]],
        "open_rows": rows[:OPEN_ROWS],
        "more_rows": rows[OPEN_ROWS:],
        "cut": any(text.left_out for _, text in rows),
        "agreed": agreement_in_words(data.people) if data.people else "",
        "live": data.items - data.retired,
        "labelled": [(pair, _text(pair.a, cap, ROW_PEEK), _text(pair.b, cap, ROW_PEEK)) for pair in listed],
    }


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % by default; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    # The ends are exact at 0 and 1; rounding must not put them a hair inside.
    return (0.0 if successes == 0 else middle - half, 1.0 if successes == trials else middle + half)


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 vote`, `2,000 votes`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """A share in per cent that no line ends within."""
    return _space_percent(safe_text.percent(share))


def logits(utility: float) -> str:
    """A utility with its sign, two decimals."""
    return f"{utility:+.2f}".replace("-", "−")


def format_moment(time: str) -> str:
    """An ISO time as a person writes it, in UTC."""
    when = _utc(time)
    return f"{when.day} {when:%b %Y, %H:%M} UTC"


def sentence(text: str) -> str:
    """The text with a capital at its head and a full stop at its end."""
    line = one_line(text, "")
    return full_stop(line[:1].upper() + line[1:])


def vote_in_words(vote: PastVote) -> str:
    """A vote in words: `left, clearly better`."""
    if vote.choice in ("left", "right"):
        return vote.choice + (f", {STRENGTHS[vote.strength]} better" if vote.strength in STRENGTHS else "")
    return vote.choice.replace("_", " ")


def _utc(time: str) -> datetime:
    when = datetime.fromisoformat(time)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _text(text: str, cap: int | None = LONGEST, peek: int = PEEK) -> ReportText:
    shown = harmless(text[:cap]).strip("\n") if text.strip() else ""
    head = "\n".join(shown.split("\n")[: peek // 25])[:peek]
    # Cut at a word's end, where there is one near.
    head = re.sub(r"\s\S{0,20}$", "", head) + "…" if head != shown else ""
    return ReportText(head, shown, max(0, len(text) - (cap or len(text))))


def _cap(texts: Sequence[str]) -> int:
    """The length in characters at which the leaderboard's texts, escaped, keep to their share of the file."""
    from markupsafe import escape

    cap = LONGEST
    # Lengths first: escaping is slow and only makes texts longer.
    while sum(min(len(text), cap) for text in texts) > TABLE_BYTES and cap > 40:
        cap = cap * 2 // 3
    while sum(len(escape(harmless(text[:cap])).encode()) for text in texts) > TABLE_BYTES and cap > 40:
        cap = cap * 2 // 3
    return cap


def _name(row: LeaderRow) -> str:
    return f"#{row.rank} {one_line(row.text or row.item)}"


def _utilities(data: ReportData) -> Section | None:
    if not data.leaders:
        return None
    from studies.reporting import charts

    leaders = data.leaders[:DRAWN_ITEMS]
    best = leaders[0]
    rivals = sum(row.high >= best.low for row in data.leaders[1:])
    span = f"{logits(best.low)} to {logits(best.high)}"
    summary = f"#{best.rank} is estimated at {logits(best.utility)} logits (90\u00a0% interval {span}). "
    if rivals:
        others = count(len(data.leaders) - 1, "other item")
        summary += f"That interval is overlapped by {count(rivals, 'interval')} of {others}. "
    elif len(data.leaders) > 1:
        summary += "No other interval overlaps it. "
    if left_out := len(data.leaders) - len(leaders):
        summary += f"Drawn are the top {len(leaders)}; {count(left_out, 'item')} left out, all in the leaderboard."
    whiskers = [charts.Whisker(_name(row), row.low, row.utility, row.high, percent(row.p_best)) for row in leaders]
    title = "Utilities"
    return Section("utilities", title, summary, charts.utilities(whiskers, title, summary))


def _after_votes(votes: int) -> str:
    return f"After {count(votes, 'vote')}" if votes else "Before the first vote"


def _p_best(data: ReportData) -> Section | None:
    if not data.p_best_curves:
        return None
    from studies.reporting import charts

    rows = {row.item: row for row in data.leaders}
    curves = [(rows[item], values) for item, values in data.p_best_curves.items() if item in rows and values]
    curves = sorted(curves, key=lambda curve: (-curve[1][-1], curve[0].rank))[:DRAWN_CURVES]
    title = "P(best) over votes"
    ends = [f"#{row.rank} {percent(values[-1])}" for row, values in curves]
    summary = f"{_after_votes(data.votes)}: {', '.join(ends) or 'not known'}."
    if max((len(values) for _, values in curves), default=0) < 2:
        return Section("pbest", title, summary)
    chart = charts.p_best([(f"#{row.rank}", values) for row, values in curves], title, summary)
    texts = [(f"#{row.rank}", _text(one_line(row.text or row.item))) for row, _ in curves]
    legend = [(name, text.peek or text.full, charts.DASHES[i]) for i, (name, text) in enumerate(texts)]
    return Section("pbest", title, summary, chart, tuple(legend))


def _threshold(data: ReportData) -> str:
    """What the stop rule asks for, in words for a margin."""
    limit = _space_percent(limit_in_percent(data.stop_regret))
    if data.goal != "best":
        return f"stop threshold {limit}"
    return f"the stop rule: at most {limit} with probability {_space_percent(limit_in_percent(data.stop_confidence))}"


def _format_expected(data: ReportData, value: float) -> str:
    """What is expected, so that it shows on which side of a threshold it is; of goal best there is none."""
    if data.goal == "best" or not 0.005 <= value < 0.995:
        return percent(value)
    return _space_percent(share_in_percent(value, data.stop_regret))


def _space_percent(share: str) -> str:
    return share.replace(" %", "\u00a0%")


def _expected_values(data: ReportData) -> Section | None:
    values = data.expected
    if not values:
        return None
    from studies.reporting import charts

    title = f"{EXPECTED[data.goal]} over votes"
    met = next((i for i, value in enumerate(values) if value <= data.stop_regret), None)
    summary = f"{_after_votes(len(values) - 1)}: {_format_expected(data, values[-1])}"
    summary += f", from {percent(values[0])} before the first. " if len(values) > 1 else ". "
    limit = _space_percent(limit_in_percent(data.stop_regret))
    threshold = f"the stop threshold of {limit}"
    if data.goal == "best":
        sure = _space_percent(limit_in_percent(data.stop_confidence))
        summary += f"The stop rule asks for at most {limit} with a probability of {sure}, not on average."
    elif values[-1] <= data.stop_regret:
        summary += f"It is under {threshold}, which it first reached after {count(met or 0, 'vote')}."
    else:
        summary += f"It is above {threshold}" + (f", which it had reached after {count(met, 'vote')}." if met else ".")
    name = "regret asked for" if data.goal == "best" else "stop threshold"
    chart = charts.draw_expected(values, data.stop_regret, title, summary, name) if len(values) > 1 else None
    return Section("expected", title, summary, chart)


def _times(data: ReportData) -> Section:
    from studies.reporting import charts

    title = "Votes over time"
    times = [_utc(time) for time in data.vote_times if time]
    if not times:
        return Section("times", title, "No vote has a known time." if data.votes else "No votes yet.")
    gap = IDLE
    while len(runs := charts.sittings(times, gap)) > MOST_SITTINGS:
        gap *= 2
    active = sum((run[-1] - run[0] for run in runs), timedelta())
    idle = runs[-1][-1] - runs[0][0] - active
    summary = f"{count(len(times), 'vote')} in {count(len(runs), 'sitting')}"
    summary += f", {charts.duration(active)} of voting" if active else ""
    gone = f", {charts.duration(idle)} of breaks (more than {charts.duration(gap)} without a vote)"
    summary += f"{gone if idle else ''}."
    if data.seconds_median is not None:
        summary += f" The median vote took {data.seconds_median:.1f}\u00a0s."
    if unknown := len(data.vote_times) - len(times):
        summary += f" {count(unknown, 'vote')} without a known time left out."
    chart = charts.votes_over_time(runs, title, summary) if len(times) > 1 else None
    return Section("times", title, summary, chart)


def _balance(data: ReportData) -> Section:
    title = "Left and right"
    left, n = data.left_votes, data.decided_votes
    if n == 0:
        return Section("balance", title, "No decided votes yet.")
    from studies.reporting import charts

    low, high = wilson(left, n)
    summary = f"Of {count(n, 'decided vote')}, {left:,} went left: {percent(left / n)} "
    summary += f"(95\u00a0% Wilson interval {percent(low)} to {percent(high)}). "
    if low > 0.5 or high < 0.5:
        side = "left" if low > 0.5 else "right"
        summary += f"That is more for the {side} side than chance explains: a side habit is likely."
    elif n < 30:
        summary += "Too few to tell a habit from chance."
    else:
        reach = math.ceil(100 * max(high - 0.5, 0.5 - low))
        summary += f"No sign of a side habit; one of more than {reach} points can be ruled out."
    return Section("balance", title, summary, charts.balance(left / n, low, high, title, summary))


def _calibration(data: ReportData) -> Section | None:
    bins = [entry for entry in data.calibration if entry[2] > 0]
    if not bins:
        return None
    from studies.reporting import charts

    title = "Calibration"
    spans = [(p, frequency, *wilson(round(frequency * n), n), n) for p, frequency, n in bins]
    total = sum(n for *_, n in bins)
    error = sum(n * abs(p - frequency) for p, frequency, n in bins) / total
    inside = sum(low <= p <= high for p, _, low, high, _ in spans)
    summary = (
        f"{count(total, 'prediction')} in {count(len(bins), 'group')}; the interval holds the prediction in "
        f"{'all' if inside == len(bins) else inside or 'none'} of them. Expected calibration error "
        f"{100 * error:.0f} points" + (", much of which may be chance with so few votes." if total < 100 else ".")
    )
    return Section("calibration", title, summary, charts.calibration(spans, title, summary))


def _labels(data: ReportData) -> Section | None:
    chances = [pair.first for pair in data.pairs if pair.source == "model"]
    if not chances:
        return None
    from studies.reporting import charts

    bins = [sum(min(int(chance * BINS), BINS - 1) == place for chance in chances) for place in range(BINS)]
    title = "Certainty of the labels"
    sure = sum(pair.probability >= 0.8 for pair in data.pairs if pair.source == "model")
    summary = f"The model is 80\u00a0% sure or more of {sure:,} of its {count(len(chances), 'label')}."
    return Section("labels", title, summary, charts.histogram(bins, title, summary))
