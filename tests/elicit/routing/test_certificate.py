"""Laws of the certificate: it is as seldom false as it says, and nothing is accepted on nothing."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.randomness import stream
from elicit.routing.certificate import audits_needed, ceiling, certify, plan
from elicit.safe_text import percent
from elicit.stats import clopper_pearson, spending
from elicit.types import BadInputError

ALPHA, DELTA = 0.15, 0.1

counts = st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


# -- the bound ---------------------------------------------------------------------------------------------------


@given(counts, st.floats(0.01, 0.3))
def test_the_bound_is_where_so_few_wrong_have_probability_delta(seen: tuple[int, int], delta: float) -> None:
    k, n = seen
    bound = clopper_pearson(k, n, delta)
    if k == n:
        assert bound == 1
    else:
        assert math.isclose(
            sum(math.comb(n, i) * bound**i * (1 - bound) ** (n - i) for i in range(k + 1)), delta, rel_tol=1e-6
        )


@given(counts, st.floats(0.02, 0.3))
def test_fewer_wrong_more_audits_and_a_larger_delta_lower_the_bound(seen: tuple[int, int], delta: float) -> None:
    k, n = seen
    bound = clopper_pearson(k, n, delta)
    assert bound >= k / n
    assert clopper_pearson(k, n + 1, delta) <= bound <= clopper_pearson(k, n, delta / 2)
    assert k == n or bound <= clopper_pearson(k + 1, n, delta)


@given(st.floats(1e-3, 0.5), st.integers(1, 40))
def test_all_epochs_together_spend_no_more_than_delta(delta: float, epochs: int) -> None:
    shares = [spending(delta, epoch) for epoch in range(1, epochs + 1)]
    assert sum(shares) < delta
    assert all(one > two for one, two in pairwise(shares))


@given(st.floats(0.01, 0.6), st.floats(0.01, 0.5), st.integers(1, 5), st.integers(0, 3))
def test_the_audits_needed_are_the_fewest_that_certify(alpha: float, delta: float, epoch: int, wrong: int) -> None:
    needed = audits_needed(alpha, delta, epoch=epoch, wrong=wrong)
    part = spending(delta, epoch)
    assert clopper_pearson(wrong, needed, part) <= alpha + 1e-9
    assert needed == wrong + 1 or clopper_pearson(wrong, needed - 1, part) > alpha - 1e-9
    confidence = np.linspace(0.5, 1, needed)
    if wrong == 0:
        fixed = plan(confidence, needed, alpha=alpha, delta=delta, epoch=epoch)
        assert certify(fixed, confidence, np.zeros(needed, bool)).coverage == 1
    if needed > 1 and wrong == 0:
        with pytest.raises(BadInputError, match=f"at least {needed}"):
            plan(confidence, needed - 1, alpha=alpha, delta=delta, epoch=epoch)


@pytest.mark.parametrize(("alpha", "delta"), [(0, 0.1), (1, 0.1), (0.1, 0), (0.1, 1)])
def test_audits_for_a_risk_that_is_none_are_refused(alpha: float, delta: float) -> None:
    with pytest.raises(BadInputError):
        audits_needed(alpha, delta)


def test_a_small_risk_asks_for_many_audits_and_is_told_at_once() -> None:
    assert audits_needed(1e-9, 0.05) == pytest.approx(3.49e9, rel=0.01)


# -- the certificate ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("worst", ["everywhere", "among the most confident", "just past the cut"])
def test_a_certificate_is_false_with_probability_delta_at_most(worst: str) -> None:
    rng, runs, false = stream(0, "violations"), 1500, 0
    grid = np.linspace(0, 1, 10_001)
    risk = {
        "everywhere": np.full(len(grid), ALPHA + 1e-6),
        "among the most confident": np.where(grid > 0.7, ALPHA + 1e-6, 0.05),
        "just past the cut": np.where(grid > 0.5, ALPHA + 1e-6 - 0.05, ALPHA + 0.1),
    }[worst]
    fixed = plan(grid, 120, alpha=ALPHA, delta=DELTA)
    for _ in range(runs):
        drawn = rng.integers(0, len(grid), fixed.audits)
        given_out = certify(fixed, grid[drawn], rng.random(fixed.audits) < risk[drawn])
        false += bool(given_out.threshold is not None and risk[given_out.accepts(grid)].mean() > ALPHA)
    assert false / runs <= fixed.delta + 3 * math.sqrt(fixed.delta / runs)


def test_a_good_judge_is_accepted_on_most_cases_and_a_useless_one_on_none() -> None:
    rng, kept = stream(0, "power"), []
    for _ in range(60):
        p_right = 1 / (1 + np.exp(-np.abs(rng.normal(0, 3, 2000))))
        fixed = plan(p_right[:1000], 250, alpha=ALPHA, delta=DELTA)
        audited = p_right[1000:1250]
        kept.append(certify(fixed, audited, rng.random(250) > audited).coverage)
        assert certify(fixed, audited, rng.random(250) < 0.5).threshold is None
    assert np.mean(kept) > 0.65


@given(st.lists(st.floats(0, 1), min_size=60, max_size=90), st.randoms(use_true_random=False))
def test_a_perfect_judge_is_accepted_everywhere_and_the_order_of_audits_does_not_matter(
    confidence: list[float], random: object
) -> None:
    n = len(confidence)
    fixed = plan(confidence, n, alpha=ALPHA, delta=DELTA)
    perfect = certify(fixed, confidence, np.zeros(n, bool))
    assert perfect.accepts(confidence).all()
    assert perfect.coverage == 1
    order = stream(0, "order", n).permutation(n)
    wrong = stream(0, "wrong", n).random(n) < 0.1
    assert certify(fixed, confidence, wrong) == certify(fixed, np.array(confidence)[order], wrong[order])


@given(st.lists(st.booleans(), min_size=40, max_size=40), st.integers(0, 39))
def test_one_more_wrong_never_helps(wrong: list[bool], place: int) -> None:
    confidence = np.arange(40) % 10 / 10
    fixed = plan(confidence, 40, alpha=0.3, delta=DELTA)
    worse = [*wrong[:place], True, *wrong[place + 1 :]]
    assert certify(fixed, confidence, worse).coverage <= certify(fixed, confidence, wrong).coverage


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(40, 400))
def test_cuts_fall_and_the_last_keeps_every_case(confidence: list[float], audits: int) -> None:
    fixed = plan(confidence, audits, alpha=ALPHA, delta=DELTA)
    assert all(one > two for one, two in pairwise(fixed.cuts))
    assert all(one < two for one, two in pairwise(fixed.coverages))
    assert fixed.cuts[-1] == min(confidence)
    assert fixed.coverages[-1] == 1


@pytest.mark.parametrize("read", [0, 1, 99])
def test_nothing_is_accepted_before_all_planned_audits_are_in(read: int) -> None:
    fixed = plan([0.5, 0.9], 100, alpha=ALPHA, delta=DELTA)
    waiting = certify(fixed, np.full(read, 0.9), np.zeros(read, bool))
    assert waiting.threshold is None
    assert not waiting.accepts([0.5, 1.0]).any()
    assert f"{read} of the 100 audits" in str(waiting)


def test_a_certificate_says_what_it_rests_on() -> None:
    fixed = plan(np.linspace(0.5, 1, 101), 100, alpha=ALPHA, delta=DELTA, epoch=2)
    confidence = np.linspace(0.5, 1, 100)
    given_out = certify(fixed, confidence, confidence < 0.7)
    assert given_out.threshold is not None
    assert given_out.bound <= ALPHA
    for part in (f"{given_out.wrong} of {given_out.kept} audits", f"{percent(given_out.coverage)} of cases", "epoch 2"):
        assert part in str(given_out)
    refused = certify(fixed, confidence, np.ones(100, bool))
    assert "No label is accepted" in str(refused)
    assert f"{refused.wrong} of {refused.kept} audits were wrong" in str(refused)


# -- the ceiling -------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.sampled_from([1, 3, 5, 9]))
def test_no_judge_exceeds_the_ceiling_however_hard_the_cases_are(shares: list[float], votes: int) -> None:
    p = np.array(shares)
    agreement = float((p**2 + (1 - p) ** 2).mean())
    ways = np.array([math.comb(votes, i) for i in range(votes + 1)])
    says_a = np.array([(ways * q ** np.arange(votes + 1) * (1 - q) ** np.arange(votes, -1, -1)) for q in p])
    majority = says_a[:, votes // 2 + 1 :].sum(1)
    assert np.maximum(majority, 1 - majority).mean() <= ceiling(max(0.5, agreement), votes) + 1e-9


@given(st.floats(0.5, 1), st.integers(0, 5))
def test_the_ceiling_rises_with_agreement_and_with_votes(agreement: float, half: int) -> None:
    votes = 2 * half + 1
    assert ceiling(agreement, votes) <= ceiling(agreement, votes + 2) + 1e-12
    assert ceiling(agreement, votes) <= ceiling((1 + agreement) / 2, votes) + 1e-12
    assert ceiling(1.0, votes) == 1
    assert math.isclose(ceiling(0.5, votes), 0.5)


def test_a_target_beyond_the_ceiling_is_refused_and_one_of_more_votes_is_not() -> None:
    confidence = np.linspace(0.5, 1, 100)
    with pytest.raises(BadInputError, match=r"two people agree on 82.7 % no judge can reach more than 90.4 %"):
        plan(confidence, 250, alpha=0.05, delta=DELTA, agreement=0.827)
    assert plan(confidence, 250, alpha=0.05, delta=DELTA, agreement=0.827, votes=3).cuts
    assert plan(confidence, 250, alpha=0.15, delta=DELTA, agreement=0.827).cuts


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"delta": 1.0}, "delta is 1.0"),
        ({"epoch": 0}, "epoch is 0"),
        ({"audits": 5}, "plan at least"),
        ({"confidence": []}, "no confidence"),
        ({"confidence": [0.5, math.nan]}, r"confidence\[1\] is nan"),
        ({"confidence": [[0.5]]}, "shape"),
        ({"agreement": 0.4}, "the agreement"),
        ({"agreement": 0.9, "votes": 2}, "an odd number"),
    ],
)
def test_what_cannot_be_planned_is_told_in_one_sentence(change: dict[str, object], words: str) -> None:
    given_in: dict[str, object] = {"confidence": [0.5, 0.9], "audits": 100, "alpha": ALPHA, "delta": DELTA} | change
    with pytest.raises(BadInputError, match=words):
        plan(given_in.pop("confidence"), given_in.pop("audits"), **given_in)  # type: ignore[arg-type]


def test_audits_that_do_not_fit_the_plan_are_told_in_one_sentence() -> None:
    fixed = plan([0.5, 0.9], 50, alpha=ALPHA, delta=DELTA)
    with pytest.raises(BadInputError, match="epoch 1 planned 50"):
        certify(fixed, np.ones(51), np.zeros(51, bool))
    with pytest.raises(BadInputError, match="a bool for each of 2"):
        certify(fixed, np.ones(2), [True])
