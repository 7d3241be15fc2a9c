"""Who answers a query: a human, a machine judge, or nobody. What a router sees and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

import msgspec
import numpy as np

from elicit.types import ChoiceOutcome, Outcome, ShownOrder, Verdict

SeatKind = Literal["human", "llm"]
ROUNDING = 1e-9
"""Of money: many small prices do not add up to the cent."""
REMEMBERED = 400
"""Scores a pace looks back on: what was worth asking long ago was judged by a fusion that knew less."""
ALIKE = 0.02
"""Scores that differ by a smaller share are alike: a drift of all would else starve or flood what comes late."""
SURE = 2.0
"""Log-odds ascribed to a judge that gives none."""
LOOSE = 0.1
"""Log-odds of the judges' mean below which they name no side."""

Moments = tuple[float, float]
"""Mean and variance of u_a - u_b, in logits."""


class Seat(NamedTuple):
    """Somebody who can be asked now.

    Attributes
    ----------
    name : str
    kind : {"human", "llm"}
    price : float
        What one answer costs, in the money of the budget.

    Examples
    --------
    >>> from elicit import Seat
    >>> min(Seat("ann", "human", 1.0), Seat("small", "llm", 0.002), key=lambda seat: seat.price).name
    'small'
    """

    name: str
    kind: SeatKind
    price: float


class Budget(NamedTuple):
    """What is left.

    Attributes
    ----------
    money : float
        In the unit of the seats' prices.
    queries : int
        Still to be labelled, this one among them.

    Examples
    --------
    >>> from elicit import Budget
    >>> left = Budget(money=12.0, queries=30)
    >>> left.money / left.queries
    0.4
    """

    money: float
    queries: int


@dataclass(frozen=True)
class Case:
    """All that is known of one query while it is on its way to a label. Immutable: each answer gives a new one.

    Attributes
    ----------
    mean, variance : float
        Of u_a - u_b under the utility model, in logits and logits squared, before any answer to this query.
    gaps : mapping
        How much more of something a has than b; "length" is the difference of the logs of the characters.
    topic : str
        What the query is about.
    verdicts : mapping
        By machine judge.
    outcomes : mapping
        By human.
    earlier : mapping
        By human as well, but the router was told of them before.
    asked : tuple of str
        Everybody asked so far, in order; who is in none of the mappings could not answer.

    Examples
    --------
    >>> from elicit import Case, ChoiceOutcome, Verdict
    >>> case = Case(mean=0.4, variance=1.0)
    >>> case = case.heard("small", Verdict({"ab": 1.5, "ba": 0.5})).without("large")
    >>> case = case.answered(ChoiceOutcome("a"), "ann")
    >>> case.logit, case.asked
    (1.0, ('small', 'large', 'ann'))
    >>> case.unanswered.asked
    ('small', 'large')
    """

    mean: float = 0.0
    variance: float = 4.0
    gaps: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    topic: str = ""
    verdicts: Mapping[str, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    outcomes: Mapping[str, Outcome] = field(default_factory=lambda: MappingProxyType({}))
    earlier: Mapping[str, Outcome] = field(default_factory=lambda: MappingProxyType({}))
    asked: tuple[str, ...] = ()

    def heard(self, judge: str, verdict: Verdict) -> Case:
        """With one more verdict of a machine judge."""
        return replace(self, verdicts={**self.verdicts, judge: verdict}, asked=(*self.asked, judge))

    def answered(self, outcome: Outcome, human: str = "human") -> Case:
        """With one more answer of a human; who answers twice is two, "ann" and "ann (2)"."""
        name = human if human not in self.outcomes else f"{human} ({len(self.outcomes) + 1})"
        return replace(self, outcomes={**self.outcomes, name: outcome}, asked=(*self.asked, name))

    def without(self, name: str) -> Case:
        """With one more who was asked and could not answer."""
        return replace(self, asked=(*self.asked, name))

    @property
    def unanswered(self) -> Case:
        """The case before any human answered."""
        people = self.outcomes.keys() | self.earlier.keys()
        return replace(self, outcomes={}, earlier={}, asked=tuple(name for name in self.asked if name not in people))

    def foretold(self, mean: float, variance: float) -> Case:
        """With what the utility model has come to say of u_a - u_b, in logits and logits squared."""
        return replace(self, mean=mean, variance=variance)

    @property
    def logit(self) -> float:
        """The mean over the judges heard of their log-odds that a is preferred; 0 where none was heard."""
        return float(np.mean([v.logit for v in self.verdicts.values()])) if self.verdicts else 0.0

    @property
    def moderated(self) -> float:
        """The utility model's log-odds that a is preferred, its variance taken into account (MacKay 1992)."""
        return self.mean / float(np.sqrt(1 + np.pi * self.variance / 8))


def mirror_verdict(verdict: Verdict) -> Verdict:
    """The verdict with a and b exchanged: who was shown first keeps the place."""
    turned: dict[ShownOrder, ShownOrder] = {"ab": "ba", "ba": "ab"}
    return msgspec.structs.replace(
        verdict,
        logits={turned[order]: -logit for order, logit in verdict.logits.items()},
        aspects={name: (b, a) for name, (a, b) in verdict.aspects.items()},
    )


def cavity(before: Moments, after: Moments, now: Moments) -> Moments:
    """What the utility model says of a pair now, less what it has from that pair's own votes, which took it from
    `before` to `after`.

    The votes' site is the quotient of the two Gaussians, and is divided out of the third, as in expectation propagation
    (Minka 2001); where no Gaussian is left, what was said before stands.
    """
    precision = 1 / now[1] - (1 / after[1] - 1 / before[1])
    if precision <= 0.1 / before[1]:
        return before
    return (now[0] / now[1] - (after[0] / after[1] - before[0] / before[1])) / precision, 1 / precision


@dataclass(frozen=True)
class Decision:
    """Who is asked next.

    Attributes
    ----------
    judge : str or None
        A seat's name, or None for nobody.
    propensity : float
        The probability, in (0, 1], with which this was decided.
    numbers : mapping
        What it was decided on.
    reason : str
        The same for a reader.

    Examples
    --------
    >>> from elicit import Decision
    >>> Decision("ann", propensity=0.25, reason="the judges disagree").judge
    'ann'
    """

    judge: str | None
    propensity: float = 1.0
    numbers: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


class Probabilities(NamedTuple):
    """Of the three outcomes of a vote by a human: they sum to 1.

    Attributes
    ----------
    a, tie, b : float

    Examples
    --------
    >>> from elicit import Probabilities
    >>> p = Probabilities(a=0.5, tie=0.25, b=0.25)
    >>> max(p._fields, key=p._asdict().get), sum(p)
    ('a', 1.0)
    """

    a: float
    tie: float
    b: float


class Labelled(Protocol):
    """A label as far as every router can tell.

    Examples
    --------
    >>> from elicit import Case, ChoiceOutcome
    >>> from elicit.plugins import registry
    >>> router = registry.router("all_human")
    >>> label = router.label(Case().answered(ChoiceOutcome("b")))
    >>> label.logit < 0, max(label.probabilities) == label.probabilities.b
    (True, True)
    """

    @property
    def probabilities(self) -> Probabilities:
        """Of a vote by one more human."""
        ...

    @property
    def logit(self) -> float:
        """Log-odds of a against b, ties aside."""
        ...


class Router(Protocol):
    """Decides who answers, learns from the humans' answers, hands out labels. One file in `elicit/routers/`; its name
    is the file's name.

    A router learns by being told alone: a decision is a function of its options, of the cases it was told before, and
    of the arguments, so that looking ahead changes nothing. A class of one's own is named "path/to/file.py:Class". Held
    to `tests/elicit/routing/test_routers.py`.

    Examples
    --------
    >>> import numpy as np
    >>> from elicit import Budget, Case, Decision, Seat, Verdict, offer
    >>> from elicit.routers.all_llm import AllLlm
    >>> class Doubtful(AllLlm):
    ...     "Asks one judge, and a human where its two orders disagree."
    ...
    ...     def route(self, case, seats, budget, rng):
    ...         judges, human, _ = offer(case, seats, budget)
    ...         if not case.asked and judges:
    ...             return Decision(judges[0].name)
    ...         if human and any(verdict.flips for verdict in case.verdicts.values()):
    ...             return Decision(human.name, reason="the orders disagree")
    ...         return Decision(None)
    >>> seats, budget = [Seat("small", "llm", 0.01), Seat("ann", "human", 1.0)], Budget(5.0, 3)
    >>> router, rng = Doubtful(), np.random.default_rng(0)
    >>> router.route(Case(), seats, budget, rng).judge
    'small'
    >>> router.route(Case().heard("small", Verdict({"ab": 1.0, "ba": -2.0})), seats, budget, rng).judge
    'ann'
    """

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        """Whom to ask next about the case, until it is nobody.

        Parameters
        ----------
        case : Case
            What is known of it so far.
        seats : sequence of Seat
            Who is there; nobody is asked twice about a case, and nobody whose price is over the budget.
        budget : Budget
            What is left.
        rng : numpy.random.Generator
            A stream of the decision's own.

        Returns
        -------
        Decision
        """
        ...

    def tell(self, case: Case) -> None:
        """Learn from a case that is done: nobody is asked about it any more. Where one more human answers it after all,
        it is told again, with that answer alone in `outcomes` and those told before in `earlier`."""
        ...

    def label(self, case: Case) -> Labelled:
        """The label of a case, by all that was learnt so far."""
        ...


class Offer(NamedTuple):
    """Who can be asked about a case.

    Attributes
    ----------
    judges : list of Seat
        The machine judges not asked yet that can be paid, cheap ones first.
    human : Seat or None
        The cheapest human not asked yet that can be paid; None, too, where one has answered.
    share : float
        The share, up to 1, of the queries left that humans can be paid for.

    Examples
    --------
    >>> from elicit import Budget, Case, Seat, offer
    >>> offered = offer(Case(), [Seat("ann", "human", 1.0)], Budget(money=5.0, queries=20))
    >>> offered.human.name, round(offered.share, 6)
    ('ann', 0.25)
    """

    judges: list[Seat]
    human: Seat | None
    share: float


def offer(case: Case, seats: Sequence[Seat], budget: Budget) -> Offer:
    """Whom the budget allows to ask about the case.

    A human is paid only from what the judges of all queries left leave over, so that these are never without.

    Parameters
    ----------
    case : Case
        Who was asked about it already; where a human has answered, no other is offered.
    seats : sequence of Seat
        Who is there.
    budget : Budget
        What is left.

    Returns
    -------
    Offer

    Examples
    --------
    >>> from elicit import Budget, Case, Seat, offer
    >>> seats = [Seat("ann", "human", 1.0), Seat("large", "llm", 0.25), Seat("small", "llm", 0.05)]
    >>> [seat.name for seat in offer(Case(), seats, Budget(money=2.0, queries=3)).judges]
    ['small', 'large']
    >>> print(offer(Case(), seats, Budget(money=1.5, queries=3)).human)  # the judges need 0.90 of it
    None
    """
    ranked = sorted(seats, key=lambda seat: (seat.price, seat.name))
    unheard = [seat for seat in ranked if seat.kind == "llm" and seat.name not in case.asked]
    judges = [seat for seat in unheard if seat.price <= budget.money + ROUNDING]
    humans = [seat for seat in ranked if seat.kind == "human" and seat.name not in case.asked]
    if not humans or case.outcomes or humans[0].price > budget.money + ROUNDING:
        return Offer(judges, None, 0.0)
    every = sum(seat.price for seat in ranked if seat.kind == "llm")
    reserve = every * max(budget.queries - 1, 0) + sum(seat.price for seat in unheard)
    available = budget.money - reserve + ROUNDING
    if available < humans[0].price:
        return Offer(judges, None, 0.0)
    share = available / (humans[0].price * max(budget.queries, 1)) if humans[0].price > 0 else 1.0
    return Offer(judges, humans[0], min(share, 1.0))


class BudgetPacer:
    """Spends evenly on what scores highest: a dual price of money, found as a quantile of the scores seen so far.

    Of a stream of which a share can be afforded, those are taken whose score is among the highest share of the last
    REMEMBERED; scores that are alike are drawn for. This is the threshold policy of online knapsacks with the price
    re-estimated at every step (Agrawal, Wang and Ye 2014). explore: this part is drawn by lot instead, so that every
    query has a chance and what is learnt from the chosen ones holds for all.
    """

    START = 10
    """Scores before a quantile is trusted; until then all is drawn by lot."""

    def __init__(self, explore: float = 0.0) -> None:
        self.explore = explore
        self.scores: list[float] = []

    def price(self, share: float) -> float:
        """The lowest score that is worth taking when a share of the queries can be afforded."""
        if share >= 1 or len(self.scores) < self.START:
            return 0.0
        return float(np.quantile(self.scores[-REMEMBERED:], 1 - max(share, 0.0)))

    def chance(self, score: float, share: float) -> float:
        """The probability of taking a query of this score when a share of the queries can be afforded."""
        share = min(max(share, 0.0), 1.0)
        past = np.array(self.scores[-REMEMBERED:])
        if share in (0.0, 1.0) or len(past) < self.START:
            return share
        alike = np.abs(past - score) <= ALIKE * abs(score)
        above, equal = float((past[~alike] > score).sum()) / len(past), float(alike.mean())
        greedy = float(above < share) if not equal else min(max((share - above) / equal, 0.0), 1.0)
        return (1 - self.explore) * greedy + self.explore * share

    def record_score(self, score: float) -> None:
        """Remember the score of a query that is done, whoever answered it."""
        self.scores.append(score)


def joint(case: Case) -> ChoiceOutcome:
    """What the judges heard say together, taken at their word."""
    if np.mean([verdict.tie or 0.0 for verdict in case.verdicts.values()]) > 0.5 or abs(case.logit) < LOOSE:
        return ChoiceOutcome("tie")
    return ChoiceOutcome("a" if case.logit > 0 else "b")


def verdict_of(outcome: Outcome, shown: ShownOrder) -> Verdict:
    """The verdict of a judge that says no more than its choice, of two in the order shown."""
    logit = {"a": SURE, "b": -SURE}.get(outcome.choice, 0.0)
    return Verdict({shown: logit}, tie=float(outcome.choice == "tie"))
