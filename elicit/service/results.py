"""What is believed of a study, as screens and the admin page draw it: how the items stand, and who answered what."""

from __future__ import annotations

from typing import Literal

import msgspec

from elicit.service.voting import Progress
from elicit.types import Goal


class LeaderRow(msgspec.Struct, frozen=True):
    """One item on the leaderboard; utilities in logits, the interval holds 90 %. Of an item that is judged blind at the
    moment only the place is told: `item` and `text` are empty, and the numbers are 0."""

    rank: int
    item: str
    text: str
    utility: float
    low: float
    high: float
    p_best: float
    votes: int
    p_top: float | None = None
    """Goal top: the probability of being one of the best so many."""
    p_above: float | None = None
    """Goal rank: the probability of being better than the next one; None for the last."""


class PairLabel(msgspec.Struct, frozen=True):
    """What one pair of a labelling study is labelled with now. a, b: the two texts as listed; label: the one that is
    preferred, or tie; probability: of this label; first: of the first being preferred, with half of that of a tie;
    source: votes, machines or model. Of a pair
    that is judged blind at the moment only the place is told: the texts are empty, and the numbers are 0."""

    pair: str
    a: str
    b: str
    label: str
    probability: float
    first: float
    votes: int
    source: str


class LabelShares(msgspec.Struct, frozen=True):
    """Pairs of a labelling study, by where their label is from and by the label."""

    by_votes: int
    by_machines: int
    by_model: int
    a: int
    tie: int
    b: int

    @property
    def pairs(self) -> int:
        """All of them."""
        return self.a + self.tie + self.b


class Overview(msgspec.Struct, frozen=True):
    """What the overview screen draws; the curves have one value per live vote, from vote 0 on."""

    progress: Progress
    leaders: tuple[LeaderRow, ...]
    """Items that are not retired, the recommended one first; none where pairs of items of their own are labelled."""
    regret: tuple[float, ...]
    """What the stop rule measures, from 0 to 1."""
    regret_name: str
    """What that is for the study's goal, in words (`elicit.types.EXPECTED`)."""
    p_best: tuple[float, ...]
    """P(best) of the item recommended at that time; empty where pairs are labelled."""
    left_share: float
    """Share of decided votes that went to the left pane."""
    seconds_median: float | None
    counts: dict[str, int]
    """Votes by choice."""
    goal: Goal = "best"
    top: int = 0
    """How many items goal top looks for."""
    retired: int = 0
    """Items that are not asked about any more."""
    expected: float | None = None
    """What the stop rule measures now."""
    labels: LabelShares | None = None
    """Goal label."""
    pairs: tuple[PairLabel, ...] = ()
    """Goal label: the first pairs, as listed."""


class Lean(msgspec.Struct, frozen=True):
    """What a machine judge favours beside quality: logits towards the answer that has one unit more, or (position)
    towards the one shown first, with a 95 % interval."""

    name: str
    value: float
    low: float
    high: float
    queries: int
    humans: int
    """Queries with people's votes to compare with; 0: the judge's own slope, which may be quality. Position needs
    none."""

    @property
    def sure(self) -> bool:
        """Whether the interval leaves no leaning out."""
        return not self.low <= 0 <= self.high


class JudgeRow(msgspec.Struct, frozen=True):
    """One machine judge. Money is in the unit of the prices."""

    judge: str
    verdicts: int
    failed: int
    """Times it was asked and gave no verdict."""
    cost: float
    flips: int
    swapped: int
    """Verdicts given in both orders; of these, `flips` that name another side in each."""
    same: int
    both: int
    """Queries on which it and a person named a side; of these, `same` the same."""
    leans: tuple[Lean, ...]


class RoutingDecision(msgspec.Struct, frozen=True):
    """One decision of the router. No text and no name of an item: nobody can tell which pair it was about."""

    to: Literal["people", "machines", "nobody"]
    chance: float
    """The probability with which this was decided."""
    reason: str
    """What it was decided on, in numbers."""
    audit: Literal["", "right", "wrong"] = ""
    """What a person's blind audit of the machines' label found; empty where there was none."""


class RoutingView(msgspec.Struct, frozen=True):
    """What the router's screen draws. Of pairs that are open or wait for people it tells nothing that a machine said:
    what judges lean to, flip and agree on, and the decisions, are told of the other pairs. An audit that was read
    counts, also where its pair is asked anew.

    Queries: `people` answered, `machines` labelled, `waiting` for people, `nobody` could answer.
    """

    router: str
    people: int
    machines: int
    waiting: int
    nobody: int
    audits_waiting: int
    """Machine labels that wait for a person's blind audit."""
    spent: float
    budget: float | None
    per_vote: float | None
    """What a live vote has cost, people's and machines' together; None before the first."""
    per_bit: float | None
    """What a bit has cost that the answers were expected to tell of people's opinion; None before the first."""
    judges: tuple[JudgeRow, ...]
    audits: int
    wrong: int
    """Audits read so far, and the labels among them that people contradicted."""
    epoch: int
    """Audits that a certificate takes; the next one is due when so many more are read since the last."""
    target: float
    """The share of accepted labels that may be wrong."""
    threshold: float | None
    """The least confidence that is accepted unseen; None: nothing is."""
    accepted: int
    """Machine labels that are accepted unseen now."""
    certificate: str
    """The certificate, or why there is none, in a sentence."""
    alarm: int | None
    """Audits of accepted labels after which the alarm went off."""
    warning: int | None
    decisions: tuple[RoutingDecision, ...]
    """The last ones, newest first."""

    @property
    def read(self) -> int:
        """Audits read towards the next certificate."""
        return self.audits % self.epoch
