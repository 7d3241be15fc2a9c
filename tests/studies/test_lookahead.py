"""Looking ahead decides nothing, whatever happens to other queries between the beginning and the answer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from elicit.log.events import Routed
from studies.decisions import WORKER
from studies.replay.verify import verify
from tests.studies import making

PEOPLE = ("maya", "ben")
LANES = (f"{WORKER}0", f"{WORKER}1")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("vote"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("look"), st.sampled_from(PEOPLE)),
        st.tuples(st.sampled_from(["ask", "people", "nobody", "defer", "resume"]), st.sampled_from(LANES)),
    ),
    min_size=6,
    max_size=16,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.integers(1, 3))
@example([("people", LANES[0]), ("vote", "maya")], 2)  # another person is still to answer what maya has answered
def test_replay_equals_what_was_decided_ahead(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], overlap: int
) -> None:
    with making.make(tmp_path_factory.mktemp("ahead"), n=7, serving={"overlap": overlap}) as study:
        for step, who in steps:
            if step == "resume" and study.state.deferred and who not in study.state.open:
                study.resume(next(iter(study.state.deferred)), who)
            if step == "resume" or (query := study.ask(who, waiting=who in PEOPLE)) is None:
                continue
            if step in ("look", "vote"):
                study.look_ahead(who)
                study.upcoming(who)
            if step == "vote":
                study.tell(query, "ab"[query.decision % 2], who)
                study.ask(who)
            elif step == "people":
                study.record(Routed(query.id, "people", wanted=overlap))
            elif step == "nobody":
                study.record(Routed(query.id, "nobody"))
            elif step == "defer":
                study.defer(query)
        found = verify(study)
        assert found.status == "same", found.why
