"""What machine labels are worth: certificate, refusal, alarm, ceiling, honest win rates, and the exported labels."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.log.events import Asked, Created, Event, ItemsAdded, PairsAdded, Routed, Voted, Weighed
from elicit.log.state import State
from elicit.routing.certificate import plan
from elicit.types import BadInputError, ChoiceOutcome, Item, Query
from studies.reporting.exports import export
from studies.reporting.routing import first_wins, lines_of, routing_of
from studies.reporting.status import status_of
from studies.routing.audits import _out_of_reach, acceptance
from studies.spec import JudgeSpec, RoutingSpec, Spec
from studies.study import Study
from tests.studies.routed import better, go, judge, make, vote

ROUTING = {"router": "all_llm", "audits": 1.0, "budget": 1000.0, "alpha": 0.2, "epoch": 40}


def audited(folder: Path, n: int, told: Callable[[Study, int, int, int], str], **judges: Any) -> Study:
    """A study whose n machine labels are all audited by people who say what `told` says."""
    study = make(folder, [judge(folder, **judges)], n, ROUTING)
    go(study)
    answer(study, told)
    return study


def answer(study: Study, told: Callable[[Study, int, int, int], str]) -> None:
    for number in range(len(study.state.waiting)):
        query = study.ask("maya")
        assert query is not None
        study.tell(query, told(study, query.a, query.b, number), "maya")


def honestly(study: Study, a: int, b: int, number: int) -> str:
    return better(study, a, b)


def labels(study: Study, folder: Path) -> list[dict[str, Any]]:
    """The exported table."""
    export(study, str(folder / "labels.jsonl"), table="labels")
    return [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]


def test_right_audits_certify_after_the_epoch_and_not_before(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 60, ROUTING)
    go(study, 42)
    for seen in range(40):
        found = acceptance(study)
        assert found.certificate is None
        assert f"{seen} of 40 audits of epoch 1 are in" in found.why
        assert not found.accepts(1.0)
        vote(study)
    found = acceptance(study)
    assert (found.audits, found.wrong) == (40, 0)
    assert found.certificate is not None
    assert found.certificate.threshold is not None
    assert "are accepted: 0 of" in found.why
    go(study)
    rows = labels(study, tmp_path)
    machines = [row for row in rows if row["source"] == "machines"]
    assert len(machines) >= 10
    above = [row for row in machines if max(row["p_a"], row["p_tie"], row["p_b"]) >= found.certificate.threshold]
    assert above
    assert all(row["accepted"] for row in above)
    assert any(line.startswith("audits: 40 of 60 answered, 0 wrong. Labels with confidence") for line in _lines(study))
    study.close()


def _lines(study: Study) -> list[str]:
    assert json.loads(json.dumps(status_of(study)))["routing"]["audits"] == 40
    return lines_of(routing_of(study))


def test_a_bad_judge_is_refused_with_the_reason(tmp_path: Path) -> None:
    study = audited(tmp_path, 45, lambda s, a, b, k: better(s, a, b) if k % 2 else "tie", temper="first")
    found = acceptance(study)
    assert found.certificate is not None
    assert found.certificate.threshold is None
    assert "No label is accepted: among the most confident" in found.why
    assert "over the target of 20.0 %" in found.why
    assert not any(row["accepted"] for row in labels(study, tmp_path) if row["source"] == "machines")
    study.close()


def test_an_alarm_suspends_what_was_certified(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 78, ROUTING)
    go(study, 41)
    answer(study, honestly)
    assert acceptance(study).accepts(1.0)
    go(study)
    answer(study, lambda s, a, b, k: "b" if better(s, a, b) == "a" else "a")  # the world has turned
    found = acceptance(study)
    assert found.why.startswith("ALARM after ")
    assert "none is accepted until the next certificate" in found.why
    assert not found.accepts(1.0)
    study.close()


@pytest.mark.parametrize("every", [2, 3])
def test_where_people_disagree_too_often_no_certificate_is_promised(tmp_path: Path, every: int) -> None:
    study = audited(tmp_path, 45, honestly)
    for k, live in enumerate([live for live in study.state.votes if live.vote.judge == "maya"]):
        side = live.vote.outcome.choice
        # A second reader of the same pairs, who disagrees with the first on one of a few.
        study.tell(live.query, side if k % every else {"a": "b", "b": "a"}[side], "ben")
    found = acceptance(study)
    assert found.audits == 45
    assert "No label can be accepted: alpha 0.2 asks for 80.0 % agreement" in found.why
    assert not found.accepts(1.0)
    study.close()


def test_too_short_an_epoch_says_how_long_it_must_be(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 10, ROUTING | {"epoch": 5})
    go(study)
    answer(study, honestly)
    assert "5 audits cannot show a risk of 0.2 or less in epoch 1; plan at least" in acceptance(study).why
    study.close()


@pytest.mark.parametrize(
    ("n", "audits", "words"),
    [
        (
            40,
            0.1,
            "250 more are needed, and about 4 can come of the queries left (routing.audits = 0.1). A risk of 15 % ",
        ),
        (
            40,
            0.1,
            "takes at least 22 audits: set routing.epoch to 22 or more and routing.audits to at least 0.55 ",
        ),
        (12, 1.0, "A risk of 15 % takes at least 22 audits, so a study of more queries."),
    ],
)
def test_a_study_too_small_for_a_certificate_says_what_it_takes(
    tmp_path: Path, n: int, audits: float, words: str
) -> None:
    study = make(tmp_path, [judge(tmp_path)], n, {"router": "all_llm", "audits": audits, "budget": 1000.0})
    assert words in acceptance(study).why
    assert any("That cannot be reached" in line for line in lines_of(routing_of(study)))
    study.close()


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 0.4), st.floats(0.01, 0.2), st.floats(0, 1), st.integers(1, 60))
def test_the_advice_for_a_certificate_can_be_followed(alpha: float, delta: float, audits: float, n: int) -> None:
    """With what is advised set, nothing is out of reach, and so many audits can show the risk."""
    rules = RoutingSpec(router="all_llm", audits=audits, alpha=alpha, delta=delta)
    spec = Spec("s", goal="label", routing=rules)
    state = State().fold(Event(1, "", Created(1, "", {})))
    state.fold(Event(2, "", ItemsAdded(tuple(Item(f"i{k}", str(k)) for k in range(2 * n)))))
    state.fold(Event(3, "", PairsAdded(tuple((f"p{k}", 2 * k, 2 * k + 1) for k in range(n)))))
    said = _out_of_reach(spec, state, 0, rules.epoch)
    advice = re.search(r"epoch to (\d+) .* at least ([\d.]+) before", said)
    assert ("cannot be reached" in said) == (audits * n < rules.epoch)
    if advice:
        fewest, share = int(advice[1]), float(advice[2])
        assert share <= 1
        followed = msgspec.structs.replace(rules, epoch=fewest, audits=share)
        assert not _out_of_reach(msgspec.structs.replace(spec, routing=followed), state, 0, fewest)
        plan(np.linspace(0.5, 1, 50), fewest, alpha=alpha, delta=delta)
        with pytest.raises(BadInputError):
            plan(np.linspace(0.5, 1, 50), fewest - 1, alpha=alpha, delta=delta)


def test_an_undone_audit_counts_no_more(tmp_path: Path) -> None:
    study = audited(tmp_path, 40, honestly)
    assert acceptance(study).accepts(1.0)
    study.undo("maya")
    assert "39 of 40 audits of epoch 1 are in" in acceptance(study).why
    study.close()


def test_who_is_quarantined_tells_nothing_of_what_the_machines_are_worth(tmp_path: Path) -> None:
    study = audited(tmp_path, 20, honestly)
    before = routing_of(study)
    other = make(tmp_path / "other", [judge(tmp_path)], 20, ROUTING | {"router": "all_human"}, serving={"overlap": 2})
    for each in (study, other):
        if each is other:
            go(other)
            answer(other, honestly)
            answers = {"maya": first_wins(other.spec, other.state)}
            for _ in range(20):
                query = other.ask("ben")
                assert query is not None
                other.tell(query, "b" if honestly(other, query.a, query.b, 0) == "a" else "a", "ben")
            both = first_wins(other.spec, other.state)
            assert both is not None
            assert both.value == pytest.approx(0.5)  # of every pair one of them said that the first is better
        name = "maya" if each is study else "ben"
        each.weigh([Weighed(name, 0.0, "boss", "by hand")])
    found = routing_of(study)
    assert (before["audits"], found["audits"], found["audits_wrong"]) == (20, 0, 0)
    assert before["judges"][0]["both"] == 20
    assert found["judges"][0]["both"] == 0
    assert "a_wins" not in found
    assert first_wins(other.spec, other.state) == answers["maya"]
    study.close()
    other.close()


def test_exported_labels_are_probabilities_told_as_the_pair_is_listed(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, temper="first")], 12, {"person_price": 0.0})
    go(study)
    there = labels(study, tmp_path)
    assert {row["label"] for row in there} == {"a"}
    # The same log, every pair listed the other way round.
    study.state.pairs = [(pair_id, b, a) for pair_id, a, b in study.state.pairs]
    back = labels(study, tmp_path)
    for row, turned in zip(there, back, strict=True):
        assert row["p_a"] + row["p_tie"] + row["p_b"] == pytest.approx(1.0)
        assert (turned["p_a"], turned["p_tie"], turned["p_b"]) == (row["p_b"], row["p_tie"], row["p_a"])
        assert (turned["a"], turned["b"]) == (row["b"], row["a"])
        assert turned["label"] == "b"
        assert turned["terms"] == {name: -value for name, value in row["terms"].items()}
        assert row["terms"]["judges"] > 0
        assert row["source"] == "machines"
        assert row["probability"] == turned["probability"] == row["p_a"]
    study.close()


# -- how often the first response wins, over many studies -----------------------------------------------------


def simulated(seed: int, pairs: int, share: float, lots: float) -> tuple[Spec, State, float]:
    """The log of a routed study, in memory, and how often people would truly prefer the first response.

    The router asks people about what the judge is unsure of, and the judge is sure of the wrong side now and then and
    leans to the first.
    """
    rng = np.random.default_rng(seed)
    judges = (JudgeSpec("gpt", "simulated"),)
    spec = Spec("s", goal="label", routing=RoutingSpec(router="default", audits=lots), judges=judges)
    state = State()
    bodies: list[Any] = [Created(2, "3", {}), ItemsAdded(tuple(Item(f"i{k}", f"t{k}") for k in range(2 * pairs)))]
    turned = rng.random(pairs) < 0.5
    bodies.append(
        PairsAdded(tuple((f"p{k}", 2 * k + int(turned[k]), 2 * k + 1 - int(turned[k])) for k in range(pairs)))
    )
    p = 1 / (1 + np.exp(-rng.normal(0.3, 1.5, pairs)))  # of the smaller row
    said = rng.random(pairs) < p
    wins = float(np.mean(np.where(turned, ~said, said)))
    for k in range(pairs):
        bodies.append(Asked(Query(2 * k, 2 * k + 1), "router 0", 0))
        number = len(bodies)
        guess = float(1 / (1 + np.exp(-(np.log(p[k] / (1 - p[k])) + rng.normal(0.5, 1.0)))))
        chance = float(np.clip(share * 4 * guess * (1 - guess) * 1.5, 0.02, 0.98))
        numbers = {"p_a": 0.9 * guess, "p_tie": 0.1, "audit": lots}
        answer = Voted(number, ChoiceOutcome("a" if said[k] else "b"), "maya")
        if rng.random() < chance:
            bodies += [Routed(number, "people", chance, numbers), answer]
            continue
        label = {"a": 0.9 * guess, "tie": 0.1, "b": 0.9 * (1 - guess)}
        vote = Voted(number, ChoiceOutcome("a" if guess > 0.5 else "b"), "gpt", raw={"label": label})
        bodies += [Routed(number, "nobody", 1 - chance, numbers), vote]
        if rng.random() < lots:
            bodies += [Routed(number, "audit", lots), answer]
    for seq, body in enumerate(bodies, start=1):
        state.fold(Event(seq, "", body))
    return spec, state, wins


def covered(seeds: range, pairs: int = 150, share: float = 0.2, lots: float = 0.1) -> tuple[float, float, float]:
    """The share of studies whose 95 % interval holds the truth, the mean error, and the mean width."""
    hits, errors, widths = [], [], []
    for seed in seeds:
        spec, state, wins = simulated(seed, pairs, share, lots)
        estimate = first_wins(spec, state)
        assert estimate is not None
        low, high = estimate.interval()
        hits.append(low <= wins <= high)
        errors.append(estimate.value - wins)
        widths.append(high - low)
    return float(np.mean(hits)), float(np.mean(errors)), float(np.mean(widths))


def test_the_interval_of_the_first_response_holds_the_truth() -> None:
    coverage, error, _ = covered(range(200))
    assert coverage >= 0.9
    assert abs(error) < 0.02


def test_without_peoples_answers_there_is_no_estimate(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 12, {"person_price": 0.0})
    go(study)
    assert first_wins(study.spec, study.state) is None
    study.close()


def test_queries_that_still_wait_do_not_bend_the_estimate() -> None:
    spec, state, _ = simulated(3, 60, 0.4, 0.2)
    before = first_wins(spec, state)
    asked = state.seq + 1
    state.fold(Event(asked, "", Asked(Query(0, 1), "router 0", 0)))
    numbers = {"p_a": 0.1, "p_tie": 0.1, "audit": 0.2}
    state.fold(Event(asked + 1, "", Routed(asked, "people", 0.5, numbers)))
    assert first_wins(spec, state) == before
