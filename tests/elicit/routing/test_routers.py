"""The contract of routers: every file in `elicit/routers/` is held to these laws."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.plugins import registry
from elicit.randomness import stream
from elicit.routing.case import Budget, BudgetPacer, Case, Decision, Router, Seat, cavity, offer
from elicit.types import BadInputError, Choice, ChoiceOutcome, Verdict

ROUTERS = registry.names("router")
HUMAN = Seat("human", "human", 1.0)
JUDGES = (Seat("cheap", "llm", 0.01), Seat("dear", "llm", 0.05))
Says = Callable[[float, np.random.Generator], float]


@dataclass
class Ran:
    """What came of a stream: cases and decisions in their order, money spent, share of labels on the right side."""

    router: Router
    cases: list[Case]
    decisions: list[list[Decision]]
    spent: float
    right: float
    humans: int


def honest(theta: float, rng: np.random.Generator) -> float:
    """A judge that is right more often than not."""
    return theta + 1.5 * float(rng.standard_normal())


def label_stream(
    name: str,
    seats: tuple[Seat, ...] = (HUMAN, *JUDGES),
    says: Says = honest,
    share: float = 0.3,
    queries: int = 60,
    seed: int = 0,
    down: Callable[[int, str], bool] = lambda n, judge: False,
    money: float | None = None,
) -> Ran:
    """A stream whose log-odds are 2 N(0, 1), of which the model knows a part, answered by whom the router asks."""
    router = registry.router(name)
    if money is None:
        money = queries * (share + sum(seat.price for seat in seats if seat.kind == "llm"))
    start, humans, cases, decisions = money, 0, list[Case](), list[list[Decision]]()
    thetas = 2 * stream(seed, "theta").standard_normal(queries)
    for n, theta in enumerate(thetas.tolist()):
        world, rng = stream(seed, "world", n), stream(seed, "route", n)
        case = Case(0.4 * theta + 0.5 * float(world.standard_normal()), 1.0, {"length": float(world.normal())}, "math")
        made: list[Decision] = []
        while True:
            decision = router.route(case, seats, Budget(money, queries - n), rng)
            made.append(decision)
            if decision.judge is None:
                break
            assert len(made) <= len(seats)
            seat = next(seat for seat in seats if seat.name == decision.judge)
            if down(n, seat.name):
                case = case.without(seat.name)
                continue
            money -= seat.price
            assert money >= -1e-6
            if seat.kind == "human":
                won: Choice = "a" if world.random() < 1 / (1 + np.exp(-theta)) else "b"
                case, humans = case.answered(ChoiceOutcome(won)), humans + 1
            else:
                logit, lean = says(theta, world), 0.2
                case = case.heard(seat.name, Verdict(logits={"ab": logit + lean, "ba": logit - lean}))
        router.tell(case)
        cases.append(case)
        decisions.append(made)
    labels = [router.label(case) for case in cases]
    right = np.mean([0.5 * (1 + np.sign(label.logit * theta)) for label, theta in zip(labels, thetas, strict=True)])
    return Ran(router, cases, decisions, start - money, float(right), humans)


@pytest.mark.parametrize("name", ROUTERS)
@settings(max_examples=8, deadline=None)
@given(st.floats(0, 1), st.integers(0, 99))
def test_the_budget_holds_and_every_decision_says_how_likely_it_was(name: str, share: float, seed: int) -> None:
    ran = label_stream(name, share=share, seed=seed, queries=30)
    assert ran.humans <= 30 * (share + 0.06) + 1e-6
    for made in ran.decisions:
        assert all(0 < decision.propensity <= 1 for decision in made)
        asked = [decision.judge for decision in made if decision.judge]
        assert len(set(asked)) == len(asked)
        assert all(np.isfinite(value) for decision in made for value in decision.numbers.values())


@pytest.mark.parametrize("name", ROUTERS)
def test_a_decision_is_a_function_of_the_stream(name: str) -> None:
    once, again, other = label_stream(name), label_stream(name), label_stream(name, seed=1)
    assert once.decisions == again.decisions
    assert [once.router.label(c).logit for c in once.cases] == [again.router.label(c).logit for c in again.cases]
    assert once.cases != other.cases


@pytest.mark.parametrize("name", ROUTERS)
def test_looking_ahead_changes_nothing(name: str) -> None:
    """A decision asked for twice is the same, and so are those after it."""
    ran, seats = label_stream(name), (HUMAN, *JUDGES)
    for n in range(40):
        case = Case(float(n % 7) - 3, 1.0)
        first = ran.router.route(case, seats, Budget(20.0, 40), stream(1, "route", n))
        assert ran.router.route(case, seats, Budget(20.0, 40), stream(1, "route", n)) == first


@pytest.mark.parametrize("name", ROUTERS)
def test_labels_are_distributions(name: str) -> None:
    ran = label_stream(name)
    for case in ran.cases:
        probabilities = ran.router.label(case).probabilities
        assert sum(probabilities) == pytest.approx(1)
        assert min(probabilities) >= 0


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize("seats", [(HUMAN,), (HUMAN, JUDGES[0]), JUDGES, ()], ids=["human", "one", "judges", "nobody"])
def test_whoever_is_there_is_enough(name: str, seats: tuple[Seat, ...]) -> None:
    ran = label_stream(name, seats)
    there = {seat.name for seat in seats}
    assert {decision.judge for made in ran.decisions for decision in made} <= there | {None}
    assert ran.right > (0.6 if JUDGES[0] in seats else 0.4)


@pytest.mark.parametrize("name", ROUTERS)
def test_no_money_asks_nobody_and_little_asks_no_human(name: str) -> None:
    assert label_stream(name, money=0.0).spent == 0
    assert label_stream(name, money=0.9).humans == 0


@pytest.mark.parametrize("name", ROUTERS)
def test_judges_that_are_down_stop_nothing(name: str) -> None:
    silent = label_stream(name, down=lambda n, judge: judge != "human")
    assert not any(case.verdicts for case in silent.cases)
    dying = label_stream(name, down=lambda n, judge: judge == "dear" and n >= 30)
    assert not any("dear" in case.verdicts for case in dying.cases[30:])
    assert dying.right > 0.6


@pytest.mark.parametrize("name", [name for name in ROUTERS if name != "all_llm"])
def test_humans_are_asked_as_often_as_they_can_be_paid(name: str) -> None:
    """Nobody leaves the money that was meant for humans on the table, where the judges leave something to ask."""
    unsure = label_stream(name, says=lambda theta, rng: 0.1 * float(rng.standard_normal()), share=0.3, queries=100)
    assert unsure.humans >= 25


@pytest.mark.parametrize("name", ["default", "random_fusion"])
def test_a_judge_that_is_always_wrong_does_no_harm_once_humans_have_said_so(name: str) -> None:
    ran = label_stream(name, says=lambda theta, rng: -3 * float(np.sign(theta)), share=0.3, queries=150)
    assert ran.right > 0.85
    assert label_stream("all_llm", says=lambda theta, rng: -3 * float(np.sign(theta))).right == 0


@pytest.mark.parametrize("name", ["default", "random_fusion"])
def test_a_judge_that_always_says_a_is_not_listened_to(name: str) -> None:
    ran = label_stream(name, says=lambda theta, rng: 3.0, share=0.3, queries=150)
    assert ran.right > label_stream("all_llm", says=lambda theta, rng: 3.0, queries=150).right + 0.1


def test_the_default_asks_humans_where_the_model_and_the_judge_contradict_each_other() -> None:
    """Of equally sure judges, the contradicted one is checked first."""
    router = registry.router("default", {"explore": 0.01})
    asked = {"clash": 0, "agree": 0}
    for n in range(200):
        kind, side = ("clash" if n % 2 else "agree"), 1 if stream(0, "side", n).random() < 0.5 else -1
        mean = -2.0 * side if kind == "clash" else 2.0 * side
        case = Case(mean, 0.5, verdicts={"one": Verdict(logits={"ab": 2.0 * side, "ba": 2.0 * side})})
        decision = router.route(case, (HUMAN,), Budget(0.3 * (200 - n), 200 - n), stream(0, "route", n))
        asked[kind] += decision.judge == "human"
        router.tell(case)
    assert asked["clash"] > 4 * asked["agree"]


def test_the_default_for_the_model_asks_where_the_utilities_are_unknown() -> None:
    router = registry.router("default", {"objective": "model", "explore": 0.01})
    asked = {4.0: 0, 0.1: 0}
    for n in range(200):
        variance = 4.0 if n % 2 else 0.1
        decision = router.route(Case(0.0, variance), (HUMAN,), Budget(0.3 * (200 - n), 200 - n), stream(0, "route", n))
        asked[variance] += decision.judge == "human"
        router.tell(Case(0.0, variance))
    assert asked[4.0] > 4 * asked[0.1]


def test_a_decision_is_readable() -> None:
    verdict = Verdict(logits={"ab": 2.0, "ba": -1.8})
    decision = registry.router("default").route(
        Case(-1.0, 1.0, verdicts={"one": verdict}), (HUMAN,), Budget(10.0, 20), stream(0, "route")
    )
    assert "one says 52 %" in decision.reason
    assert "one changes sides with the order" in decision.reason
    assert "past votes say the contrary" in decision.reason
    assert "a bit" in decision.reason


@pytest.mark.parametrize(
    ("name", "options"),
    [("default", {"objective": "both"}), ("default", {"explore": 0.0}), ("cse", {"risk": 1.5}), ("scope", {"x": 1})],
)
def test_wrong_options_are_told(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        registry.router(name, options)


@given(st.lists(st.floats(0, 1), min_size=30, max_size=80), st.floats(0.05, 0.95))
def test_a_pace_takes_the_share_it_is_given_and_the_highest_scores(scores: list[float], share: float) -> None:
    pace = BudgetPacer()
    for score in scores:
        pace.record_score(score)
    steps = [pace.chance(score, share) for score in (-1.0, 2.0)]
    assert steps == [0.0, 1.0]
    assert min(scores) <= pace.price(share)


def test_scores_that_are_all_alike_are_drawn_for() -> None:
    pace = BudgetPacer()
    for _ in range(50):
        assert pace.chance(1.0, 0.3) == pytest.approx(0.3)
        pace.record_score(1.0)


@given(st.floats(0, 20), st.integers(1, 50))
def test_humans_are_paid_from_what_the_judges_leave(money: float, queries: int) -> None:
    judges, human, share = offer(Case(), (HUMAN, *JUDGES), Budget(money, queries))
    assert all(seat.price <= money + 1e-6 for seat in judges)
    if human:
        assert money - human.price >= 0.06 * queries - 1e-6
    assert 0 <= share <= 1


@given(st.floats(-3, 3), st.floats(0.1, 9), st.floats(-3, 3), st.floats(0.1, 0.9))
def test_taking_off_what_a_vote_said_gives_back_what_was_before(m: float, v: float, moved: float, kept: float) -> None:
    after = (m + moved, kept * v)
    mean, variance = cavity((m, v), after, after)
    assert (mean, variance) == pytest.approx((m, v), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("verdicts", [1, 2_000, 50_000])
def test_cse_finds_its_threshold_among_any_number_of_verdicts(verdicts: int) -> None:
    from elicit.routers.cse import Cse

    found = Cse(risk=0.2, level=0.1).threshold([(0.9, k % 10 == 0) for k in range(verdicts)])
    assert found == (0.9 if verdicts > 1 else 2.0)


@pytest.mark.parametrize("drift", [-2e-4, 0.0, 2e-4])
def test_a_drift_of_all_scores_neither_starves_nor_floods_what_comes_late(drift: float) -> None:
    pace = BudgetPacer()
    for n in range(100):
        if n >= BudgetPacer.START:
            assert pace.chance(0.4 * (1 + drift) ** n, 0.3) == pytest.approx(0.3)
        pace.record_score(0.4 * (1 + drift) ** n)
