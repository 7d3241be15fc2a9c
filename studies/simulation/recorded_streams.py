"""Streams of pairs to be labelled: from recorded votes and verdicts, or made up with known correlations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.files.formats import JudgmentRow, PairRow, check_judgments, read_judgments, read_pairs
from elicit.inference.posterior import Knowledge
from elicit.randomness import stream
from elicit.stats import sigmoid
from elicit.types import BadInputError, Item, ShownOrder, Verdict
from studies.items.features import gaps, knowledge_of
from studies.simulation.jobs import fingerprint

Preference = Literal["a", "b", "tie"]
Split = Literal["even", "odd", "all"]
LOUD = 2.0
"""Log-odds that stand for a verdict recorded without any: .88."""
HELD_OUT = 0.25
"""Share of the questions whose votes nobody sees: they check the utility model."""
COVERED = 0.5
"""Share of the pairs a judge must have judged to have a seat without being named."""
SYNTHETIC = {"synthetic": 0.0, "synthetic-liking": 0.5}
"""Name -> the share of the judges' common errors that lies along a direction of the features."""
VOTES = 21
SPREAD = 4.6
"""Of theta, in logits: two humans agree on .84 of the pairs."""
ERRORS = {"cheap": 0.88, "middle": 0.8, "dear": 0.72}
"""Sd of the judges' errors over that of theta: they are right on .77, .79 and .81."""
COMMON = 0.78
"""Share of the errors' variance that all three have in common: whether they are wrong correlates .6."""


@dataclass(frozen=True)
class RecordedPair:
    """Rows a and b of the pool, and everything recorded about the two."""

    a: int
    b: int
    question: str
    topic: str
    gaps: Mapping[str, float]
    verdicts: Mapping[str, Verdict]
    votes: tuple[Preference, ...]


@dataclass(frozen=True)
class RecordedStream:
    """A pool, what is known of its items, and the pairs of it that humans voted on. prices: of a verdict, by judge."""

    knowledge: Knowledge
    pairs: tuple[RecordedPair, ...]
    prices: Mapping[str, float]

    @property
    def content(self) -> str:
        """Hash of what is in it."""
        descriptions = [f"{p.a},{p.b},{p.question},{p.votes},{sorted(p.verdicts.items())}" for p in self.pairs]
        features = self.knowledge.features if self.knowledge.features is not None else np.zeros(0)
        return fingerprint(np.array(descriptions), features, np.array(sorted(self.prices.items()), dtype=str))


class RecordedQuery(NamedTuple):
    """A pair of the stream: what the human says who may be asked, and what the others say, whom nobody can ask.

    side: 1 where more of the others prefer a, -1 where more prefer b, 0 where as many. majority: what most of them say,
    None without a single one.
    """

    pair: RecordedPair
    answer: Preference
    side: int
    majority: Preference | None


class Stream(NamedTuple):
    """The pairs in the order they come, and the votes held out: (row, row, whether the first won)."""

    queries: tuple[RecordedQuery, ...]
    held_out: tuple[tuple[int, int, bool], ...]


def stream_of(recorded: RecordedStream, seed: int) -> Stream:
    """What every router sees under a seed.

    A quarter of the questions is held out whole. Of the rest those pairs are streamed that two humans or more voted on:
    one of them, drawn, is the human who can be asked, and the others are whom the label is checked against, whoever
    made it. So nobody's label is checked against the vote it was made of.
    """
    rng = stream(seed, "bench/routing")
    questions = sorted({pair.question for pair in recorded.pairs})
    held_out_questions = set(rng.permutation(questions)[: round(HELD_OUT * len(questions))].tolist())
    queries = []
    for place in rng.permutation(len(recorded.pairs)).tolist():
        pair = recorded.pairs[place]
        if pair.question in held_out_questions or len(pair.votes) < 2:
            continue
        human = int(rng.integers(len(pair.votes)))
        others = Counter(pair.votes[:human] + pair.votes[human + 1 :])
        first, *rest = others.most_common()
        majority = first[0] if not rest or first[1] > rest[0][1] else None
        queries.append(RecordedQuery(pair, pair.votes[human], int(np.sign(others["a"] - others["b"])), majority))
    out = [
        (pair.a, pair.b, vote == "a")
        for pair in recorded.pairs
        if pair.question in held_out_questions
        for vote in pair.votes
        if vote != "tie"
    ]
    if not queries or not out:
        raise BadInputError(
            "there are not enough human votes: a label is checked against the votes of others, so pairs need two votes "
            "or more, of several questions"
        )
    return Stream(tuple(queries), tuple(out))


def read(
    pairs: Path, judgments: Path, questions: Split = "all", judges: Sequence[str] | None = None, price: float = 0.02
) -> RecordedStream:
    """The pairs humans voted on, out of two files (`adapters.files.formats`).

    questions: only every second one, in the order of their names. judges: the machine judges who have a seat; without,
    those who judged at least half of the pairs. price: of a verdict, a human's vote being 1. Columns used where they
    are there: question_id (else the prompt), category or subset, model_a and model_b, prev_prompt, and of a judgment
    inconsistent (a tie because its two orders disagreed).
    Raises BadInputError.
    """
    rows, votes = read_pairs(pairs), read_judgments(judgments)
    check_judgments(rows, votes, judgments)
    by_pair: dict[str, list[JudgmentRow]] = {}
    for vote in votes:
        by_pair.setdefault(vote.pair_id, []).append(vote)
    names = sorted({_question(row) for row in rows}, key=lambda name: (len(name), name))
    wanted = set(names if questions == "all" else names[questions == "odd" :: 2])
    chosen = [
        row
        for row in rows
        if _question(row) in wanted and any(j.judge_kind == "human" for j in by_pair.get(row.pair_id, []))
    ]
    if not chosen:
        raise BadInputError(f"{judgments} has no human votes on these pairs; routing is checked against humans")
    seats = _seats(chosen, by_pair, judges, judgments)
    items: dict[tuple[str, ...], Item] = {}
    recorded_pairs = []
    for row in chosen:
        a, b = _row_of(items, row, "a"), _row_of(items, row, "b")
        if a == b:
            continue
        texts = [row.response_a, row.response_b]
        pair_votes = by_pair[row.pair_id]
        recorded_pairs.append(
            RecordedPair(
                a,
                b,
                _question(row),
                str(row.meta.get("category", row.meta.get("subset", ""))),
                gaps(*texts),
                {
                    judge: verdict
                    for judge in seats
                    if (verdict := verdict_of([j for j in pair_votes if j.judge_id == judge]))
                },
                tuple(j.preference for j in pair_votes if j.judge_kind == "human"),
            )
        )
    return RecordedStream(
        knowledge_of(_same_features(list(items.values())), "default"),
        tuple(recorded_pairs),
        dict.fromkeys(seats, price),
    )


def verdict_of(rows: Sequence[JudgmentRow]) -> Verdict | None:
    """One judge's verdict on one pair, of the rows it left: LOUD for a, -LOUD for b, 0 for a tie, in the orders shown.

    A verdict merged over both orders stands for both. A tie marked inconsistent is two orders that disagree; which way
    is not recorded, so it tells nothing of a leaning to a place.
    """
    logits: dict[ShownOrder, float] = {}
    for row in rows:
        logit = {"a": LOUD, "b": -LOUD, "tie": 0.0}[row.preference]
        if row.order in ("ab", "ba"):
            logits[row.order] = logit
        elif row.meta.get("inconsistent"):
            logits |= {"ab": LOUD, "ba": -LOUD}
        else:
            logits |= {"ab": logit, "ba": logit}
    if not logits:
        return None
    return Verdict(logits=logits, tie=float(np.mean([logit == 0 for logit in logits.values()])))


def synthetic(
    seed: int, part: Split = "all", liking: float = 0.0, pairs: int = 1000, items: int = 300, dim: int = 8
) -> RecordedStream:
    """Pairs of a pool with known utilities, three judges right .77 to .81 of the time whose errors correlate .6, and
    VOTES votes a pair of humans of whom two agree .84 of the time.

    A pair's log-odds theta are the difference of utilities that are linear in the features but for a tenth. A judge's
    log-odds are theta and an error. liking: the share of what the errors have in common that lies along a direction of
    the features, as judges err along what they like, and so do models that learn from them. A question is 25 pairs.
    """
    rng = stream(seed, f"bench/routing/synthetic/{part}")
    x = rng.standard_normal((items, dim))
    u = x @ rng.standard_normal(dim) / np.sqrt(dim) + rng.standard_normal(items) * 0.33
    ends = np.array([rng.choice(items, 2, replace=False) for _ in range(pairs)])
    theta = SPREAD * _standardise(u[ends[:, 0]] - u[ends[:, 1]])
    votes = np.where(rng.random((pairs, VOTES)) < sigmoid(theta)[:, None], "a", "b")
    liked = x @ rng.standard_normal(dim)
    common = liking**0.5 * _standardise(liked[ends[:, 0]] - liked[ends[:, 1]])
    common += (1 - liking) ** 0.5 * rng.standard_normal(pairs)
    logits = {}
    for name, error in ERRORS.items():
        own = rng.standard_normal(pairs)
        logits[name] = theta + error * SPREAD * (COMMON**0.5 * _standardise(common) + (1 - COMMON) ** 0.5 * own)
    lean = dict(zip(logits, rng.normal(0, 0.5, 3), strict=True))
    recorded_pairs = tuple(
        RecordedPair(
            int(a),
            int(b),
            f"{seed}-{n // 25}",
            "",
            {},
            {name: _orders(float(logit[n]), lean[name], rng) for name, logit in logits.items()},
            tuple(votes[n].tolist()),
        )
        for n, (a, b) in enumerate(ends)
    )
    return RecordedStream(Knowledge(x, (dim,)), recorded_pairs, {"cheap": 0.005, "middle": 0.01, "dear": 0.02})


def _orders(logit: float, lean: float, rng: np.random.Generator) -> Verdict:
    noise = rng.normal(0, 0.5)
    return Verdict(logits={"ab": logit + lean + noise, "ba": logit - lean - noise})


def _standardise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x / x.std())


def _question(row: PairRow) -> str:
    return str(row.meta.get("question_id", row.prompt))


def _seats(
    rows: Sequence[PairRow], votes: Mapping[str, Sequence[JudgmentRow]], named: Sequence[str] | None, file: Path
) -> list[str]:
    """The judges who have a seat, by name."""
    counts = Counter(
        judge for row in rows for judge in {j.judge_id for j in votes[row.pair_id] if j.judge_kind == "llm"}
    )
    if unknown := sorted(set(named or ()) - set(counts)):
        raise BadInputError(
            f"{file} has no verdicts of judge {unknown[0]!r} on these pairs; known are: {', '.join(sorted(counts))}"
        )
    seats = sorted(named or [judge for judge, n in counts.items() if n >= COVERED * len(rows)])
    if not seats:
        raise BadInputError(f"no judge of {file} has judged half of these pairs; name some with --judges")
    return seats


def _row_of(items: dict[tuple[str, ...], Item], row: PairRow, side: str) -> int:
    """The pool's row of one response of a pair, put there if it is new."""
    text = row.response_a if side == "a" else row.response_b
    model = str(row.meta.get(f"model_{side}", ""))
    context = f"{row.prompt}\n{row.meta.get('prev_prompt', '')}\n{row.meta.get('turn', '')}"
    key = (context, model, text)
    if key not in items:
        features: dict[str, Any] = {f"model {model}": 1.0} if model else {}
        items[key] = Item(id=str(len(items)), text=text or " ", context=context, features=features)
    return int(items[key].id)


def _same_features(items: Sequence[Item]) -> list[Item]:
    """The items, each with every feature, 0 where it had none."""
    names = sorted({name for item in items for name in item.features})
    return [
        Item(item.id, item.text, context=item.context, features={n: item.features.get(n, 0.0) for n in names})
        for item in items
    ]
