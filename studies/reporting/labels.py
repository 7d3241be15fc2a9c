"""The labels of a study's listed pairs, by people's answers, the machine judges, and the utility model.

A label is the likeliest of the three answers that one more person could give, and `probability` is that answer's. Of a
routed pair the router tells them. Else they are what the utility model said before anybody answered the pair, moved by
the answers as far as people are found to agree where several answered the same pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elicit.inference.noise import Noise
from elicit.routing.dispersion import DECIDED, TIE, Dispersion
from elicit.routing.fusion import outcomes
from studies.decisions import labelling_votes

if TYPE_CHECKING:
    from elicit.log.state import LiveVote
    from studies.routing.audits import Acceptance, MachineLabel
    from studies.study import Study

Floats = NDArray[np.float64]
RowPair = tuple[int, int]

SURE = 1e-9
"""The model's probabilities keep this distance from 0 and 1."""


def pair_labels(study: Study) -> list[dict[str, Any]]:
    """Every listed pair with its label and where it is from: people's answers, the machines' fused label, or the
    model's belief where nobody was asked.

    `label` is the largest of `p_a`, `p_tie` and `p_b`, the chances of one more person's answer, and `probability` is
    its chance. Of routed pairs `terms` is what made them, in logits, and `accepted` says whether a label without people
    is covered by the certificate.
    """
    from studies.routing.audits import acceptance, label_record, machine_labels
    from studies.routing.record import RoutingRecord

    state, votes = study.state, labelling_votes(study.spec, study.state)
    cast: dict[RowPair, int] = {}
    for live in votes:
        cast[live.vote.pair] = cast.get(live.vote.pair, 0) + 1
    listed = list(state.listed_pairs())
    model = dict(zip(listed, by_model(study, listed, votes).tolist(), strict=True))
    router_labels = RoutingRecord(study, {}).labels() if state.routed else {}
    fused = {state.asked[number].query.pair: label_record(label) for number, label in router_labels.items()}
    unseen = {state.asked[n].query.pair: label for n, label in machine_labels(study).items()}
    accepted = acceptance(study) if state.routed else None
    rows = []
    for pair_id, a, b in state.pairs:
        pair = (min(a, b), max(a, b))
        routed = fused.get(pair)
        triple = model[pair] if routed is None else [routed["a"], routed["tie"], routed["b"]]
        p = dict(zip(DECIDED, triple if a < b else triple[::-1], strict=True))
        label = max(DECIDED, key=p.__getitem__)
        row: dict[str, Any] = {
            "pair_id": pair_id,
            "a": state.items[a].id,
            "b": state.items[b].id,
            "label": label,
            "probability": p[label],
            "p_a": p["a"],
            "p_tie": p["tie"],
            "p_b": p["b"],
            "votes": cast.get(pair, 0),
            "source": "votes" if pair in cast else "model",
        }
        if state.routed:
            row |= _provenance(row, routed, unseen.get(pair), accepted, turned=a > b)
        rows.append(row)
    return rows


def _provenance(
    row: dict[str, Any],
    fused: dict[str, Any] | None,
    unseen: MachineLabel | None,
    accepted: Acceptance | None,
    turned: bool,
) -> dict[str, Any]:
    """What routing adds to a pair's row; queries speak of the smaller row as a."""
    voted = row["source"] == "votes"
    if fused is None:
        return {"terms": {}, "accepted": voted}
    sign = -1.0 if turned else 1.0
    record: dict[str, Any] = {
        "terms": {name: sign * value for name, value in fused["terms"].items()},
        "accepted": voted,
    }
    if not voted and unseen is not None:
        # The certificate speaks of the label that was audited, which what was learnt since may have turned.
        stands = fused[unseen.choice] == row["probability"]
        covered = accepted is not None and accepted.accepts(unseen.confidence)
        record |= {"source": "machines", "accepted": stands and covered}
    return record


def by_model(study: Study, pairs: Sequence[RowPair], votes: Sequence[LiveVote]) -> Floats:
    """(N, 3) P(a), P(tie) and P(b) of one more person's answer on pairs of rows, the smaller first, without the
    router."""
    place = {pair: n for n, pair in enumerate(pairs)}
    counts = np.zeros((len(pairs), 3))
    rows, before, answers = list[int](), list[Floats](), list[int]()
    first: dict[int, dict[str, float]] = {}
    for live in votes:
        row = place.get(live.vote.pair)
        if row is None:
            continue
        choice = live.vote.outcome_of_pair.choice
        answer = DECIDED.index(choice) if choice in DECIDED else TIE  # both bad: neither is better
        first.setdefault(row, study.state.asked[live.query].query.why)
        rows.append(row)
        before.append(counts[row].copy())
        answers.append(answer)
        counts[row, answer] += 1
    # What the model made of a pair's own answers since is no second witness of them.
    now = study.engine.p_prefer(pairs)
    p = np.array([first.get(row, {}).get("p_a", now[row]) for row in range(len(pairs))])
    p = np.clip(p, SURE, 1 - SURE)
    x = np.log(p) - np.log1p(-p)
    nu = Noise(decided=int(counts[:, [0, 2]].sum()), ties=int(counts[:, TIE].sum())).nu
    tie = outcomes(x, float(np.log(nu)))[TIE]
    learnt = Dispersion()
    if answers:
        learnt = learnt.after(x[rows], tie[rows], np.array(before), np.array(answers))
    return learnt.probabilities(x, tie, counts)
