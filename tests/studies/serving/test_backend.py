"""A served study with its real engine process: what annotators hold, what counts, and what the log can prove."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.files.formats import PairRow
from elicit.log.events import STOCK, Asked, Leased
from elicit.log.state import State
from elicit.service.http_schema import (
    Amendment,
    Enrolment,
    Lease,
    LeaseRequest,
    Leases,
    Principal,
    ServiceError,
    VoidRequest,
    VoteRequest,
)
from elicit.types import BadInputError
from studies.replay.verify import verify
from studies.reporting import views
from studies.reporting.exports import export
from studies.reporting.status import status_of, summarize
from studies.serving.backend import AnnotationBackend
from studies.spec import RoutingSpec, ServingSpec
from studies.study import Study
from tests.studies import routed

ADMIN = Principal("boss", "admin", "study")
TEXTS = [f"Answer {n}" for n in range(8)]


def person(name: str) -> Principal:
    return Principal(name, "annotator", "study")


@asynccontextmanager
async def served(
    folder: Path, people: tuple[str, ...] = ("maya", "ben"), **spec: Any
) -> AsyncIterator[AnnotationBackend]:
    """A new study in `folder`, or the one that is there, open to annotators."""
    if not folder.exists():
        given: dict[str, Any] = {"items": TEXTS, "seed": 3, **spec}
        Study.create(folder, **given).close()
    study = AnnotationBackend(folder, b"secret")
    study.begin()
    try:
        for name in people:
            if name not in study.state.enrolled:
                await study.enrol(ADMIN, Enrolment(name))
        yield study
    finally:
        await study.close()


async def lent(study: AnnotationBackend, name: str, n: int = 1) -> tuple[Lease, ...]:
    """So many leases, waiting for the engine as a client does."""
    for _ in range(100):
        found = await study.leases.lease(person(name), LeaseRequest(n))
        if len(found.leases) == n:
            return found.leases
        await asyncio.sleep(0.1)
    raise AssertionError(found.why)


async def vote(
    study: AnnotationBackend, name: str, lease: Lease, choice: str = "left", key: str = "", **more: Any
) -> int:
    cast = VoteRequest(lease.lease, lease.token, choice, **more)  # type: ignore[arg-type]
    return (await study.vote(person(name), cast, key or lease.lease, f"{cast}")).vote


async def ready(study: AnnotationBackend) -> None:
    """Wait until the engine has learnt every vote."""
    for _ in range(200):
        latest = study.views.latest
        if latest and not latest.behind and latest.model_version == study.state.folded:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the engine does not catch up")


def checked(folder: Path) -> tuple[str, int]:
    with Study.open(folder, writable=False) as study:
        found = verify(study)
    return found.status, found.checked


async def test_asking_again_gives_the_same_leases_also_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    async with served(folder) as study:
        first = await lent(study, "maya", 3)
        again = await lent(study, "maya", 3)
        assert [(x.lease, x.token, x.left) for x in first] == [(x.lease, x.token, x.left) for x in again]
    async with served(folder) as study:
        later = await lent(study, "maya", 3)
        assert [(x.lease, x.token, x.left) for x in first] == [(x.lease, x.token, x.left) for x in later]
        await vote(study, "maya", later[0])


async def test_every_choice_of_the_stock_is_verified_with_what_was_under_way(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    async with served(folder) as study:
        for turn in range(12):
            for name in ("maya", "ben"):
                lease = (await lent(study, name, 2))[0]
                number = await vote(study, name, lease, ("left", "right", "tie")[turn % 3])
            if turn == 7:
                await study.void(person("ben"), number, VoidRequest("a slip", again=True))
        await ready(study)
    with Study.open(folder, writable=False) as opened:
        asked = sum(asked.judge == STOCK for asked in opened.state.asked.values())
        assert opened.state.revised > 0
    assert checked(folder) == ("same", asked)


async def test_a_vote_sent_again_under_its_key_counts_once(tmp_path: Path) -> None:
    async with served(tmp_path / "study") as study:
        lease = (await lent(study, "maya"))[0]
        cast = VoteRequest(lease.lease, lease.token, "left", seconds=2.0)
        together = await asyncio.gather(*(study.vote(person("maya"), cast, "key", "digest") for _ in range(5)))
        assert len({(r.vote, r.time, r.votes) for r in together}) == 1
        await vote(study, "maya", (await lent(study, "maya"))[0])
        assert await study.vote(person("maya"), cast, "key", "digest") == together[0]
        with pytest.raises(ServiceError, match="use a new key") as refused:
            await study.vote(person("maya"), cast, "key", "another digest")
        assert refused.value.status == 422
        with pytest.raises(ServiceError, match="this lease is over") as refused:
            await study.vote(person("maya"), cast, "other key", "digest")
        assert refused.value.status == 409
        assert study.state.given["maya"] == 2


async def test_a_key_is_its_judges_own(tmp_path: Path) -> None:
    async with served(tmp_path / "study") as study:
        for name in ("maya", "ben"):
            await vote(study, name, (await lent(study, name))[0], key="the same")
        assert (study.state.given["maya"], study.state.given["ben"]) == (1, 1)


ONE = [PairRow("only", "Which?", "one", "two")]


async def over(study: AnnotationBackend, lease: Lease) -> None:
    """Wait until a lease has run out."""
    while not study.state.leases[lease.lease].over:
        await asyncio.sleep(0.1)


async def test_a_lease_that_runs_out_goes_to_the_next(tmp_path: Path) -> None:
    spec: dict[str, Any] = {"items": None, "pairs": ONE, "serving": ServingSpec(lease=3.0, repeat_share=0)}
    async with served(tmp_path / "study", **spec) as study:
        late = (await lent(study, "maya"))[0]
        assert not (await study.leases.lease(person("ben"), LeaseRequest())).leases
        await study.leases.heartbeat(person("maya"), late.lease)
        taken = (await lent(study, "ben"))[0]
        assert {taken.left, taken.right} == {"one", "two"}
        assert taken.token != late.token
        with pytest.raises(ServiceError, match="is over") as refused:
            await study.leases.heartbeat(person("maya"), late.lease)
        assert refused.value.status == 410


@pytest.mark.parametrize(
    ("overlap", "before", "why"),
    [
        (1, "nobody", ""),
        (1, "ben holds it", ""),
        (1, "ben", "others have answered"),
        (2, "ben", ""),
        (2, "ben, eva", "others have answered"),
        (1, "maya holds it", ""),
        (1, "maya", "you have answered its pair since"),
    ],
)
async def test_a_late_vote_counts_while_its_query_lacks_one(
    tmp_path: Path, overlap: int, before: str, why: str
) -> None:
    serving = ServingSpec(lease=1.0, overlap=overlap, repeat_share=0)
    async with served(tmp_path / "study", ("maya", "ben", "eva"), items=None, pairs=ONE, serving=serving) as study:
        late = (await lent(study, "maya"))[0]
        await over(study, late)
        names = [] if before == "nobody" else before.removesuffix(" holds it").split(", ")
        leases = {name: (await lent(study, name))[0] for name in names}
        if not before.endswith(" holds it"):
            for name, lease in leases.items():
                await vote(study, name, lease)
        given = len(study.state.votes)
        if why:
            with pytest.raises(ServiceError, match=f"expired, and {why}") as refused:
                await vote(study, "maya", late)
            assert refused.value.status == 409
            assert len(study.state.votes) == given
            return
        await vote(study, "maya", late)
        assert [live.lease for live in study.state.votes].count(late.lease) == 1
        if before == "ben holds it":  # nor is lost what somebody else gives in time
            await vote(study, "ben", leases["ben"])
            assert len(study.state.votes) == 2
        if before == "maya holds it":
            with pytest.raises(ServiceError, match="is over"):
                await vote(study, "maya", leases["maya"])
        assert len({live.vote.judge for live in study.state.votes}) == len(study.state.votes)
        await ready(study)
    assert checked(tmp_path / "study")[0] == "same"


async def test_what_was_given_back_or_is_late_where_nothing_late_counts_is_over(tmp_path: Path) -> None:
    async with served(tmp_path / "study", serving=ServingSpec(lease=1.0, late=False)) as study:
        lease = (await lent(study, "maya"))[0]
        await over(study, lease)
        with pytest.raises(ServiceError, match="expired"):
            await vote(study, "maya", lease)
        lease = (await lent(study, "ben"))[0]
        await study.leases.release(person("ben"), lease.lease)
        with pytest.raises(ServiceError, match="released"):
            await vote(study, "ben", lease)
        assert not study.state.votes


async def test_each_query_gets_its_overlap_from_different_people(tmp_path: Path) -> None:
    names = ("maya", "ben", "ada")
    pairs = [PairRow(f"p{n}", "Which?", f"{n} one", f"{n} two") for n in range(6)]
    spec: dict[str, Any] = {"items": None, "pairs": pairs, "serving": ServingSpec(overlap=2, repeat_share=0)}
    async with served(tmp_path / "study", names, **spec) as study:
        for name in names * 6:
            found = await study.leases.lease(person(name), LeaseRequest(1))
            if found.leases:
                await vote(study, name, found.leases[0])
        said = [(live.vote.pair, live.vote.judge) for live in study.state.votes]
    assert len(said) == len(set(said)) == 12
    assert {sum(pair == other for other, _ in said) for pair, _ in said} == {2}


async def test_undo_gives_the_same_query_again_and_an_admin_may_void(tmp_path: Path) -> None:
    async with served(tmp_path / "study") as study:
        lease = (await lent(study, "maya"))[0]
        number = await vote(study, "maya", lease)
        with pytest.raises(ServiceError, match="no vote"):
            await study.void(person("ben"), number, VoidRequest())
        again = (await study.void(person("maya"), number, VoidRequest(again=True))).lease
        assert again is not None
        assert (again.left, again.right, again.number) == (lease.left, lease.right, 1)
        assert again.lease != lease.lease
        number = await vote(study, "maya", again, "right", note="on second thought")
        assert (await study.void(ADMIN, number, VoidRequest("a test"))).lease is None
        with pytest.raises(ServiceError, match="taken back"):
            await study.void(ADMIN, number, VoidRequest())
        page = await study.votes(person("maya"), None, 10)
        assert [(vote.voided, vote.note, vote.a) for vote in page.votes] == [
            (True, "on second thought", ""),
            (True, "", ""),
        ]
        assert study.state.given["maya"] == 0


async def test_pause_quota_deadline_and_quarantine_each_say_why_nothing_is_lent(tmp_path: Path) -> None:
    async with served(tmp_path / "study") as study:

        async def told(name: str = "maya") -> Leases:
            return await study.leases.lease(person(name), LeaseRequest(2))

        await lent(study, "maya")
        await study.pause(ADMIN, True)
        paused = await told("ben")
        assert "paused" in paused.why
        assert paused.retry_after == 15
        assert len((await told()).leases) == 1  # what is lent may still be voted on
        await study.pause(ADMIN, False)
        await study.amend(ADMIN, "ben", Amendment(quota=1))
        await vote(study, "ben", (await lent(study, "ben"))[0])
        assert "all 1 votes" in (await told("ben")).why
        await study.amend(ADMIN, "ben", Amendment(quota=5, weight=0.0, why="a test"))
        assert "looking at your votes" in (await told("ben")).why
    toml = tmp_path / "study" / "study.toml"
    toml.write_text(toml.read_text() + '\n[serving]\ndeadline = "2020-01-01"\n')
    async with served(tmp_path / "study") as study:
        assert "ended at 2020-01-01" in (await study.leases.lease(person("maya"), LeaseRequest(2))).why


async def test_a_quarantined_annotator_teaches_nothing_and_can_be_restored(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    async with served(folder) as study:
        for _ in range(5):
            for name in ("maya", "ben"):
                await vote(study, name, (await lent(study, name))[0])
        await ready(study)
        before = await study.views.show(views.posterior)
        row = await study.amend(ADMIN, "ben", Amendment(weight=0.0))
        assert row.weight == 0
        without = await study.views.show(views.posterior)
        await study.amend(ADMIN, "ben", Amendment(weight=0.5))
        half = await study.views.show(views.posterior)
        await study.amend(ADMIN, "ben", Amendment(weight=1.0))
        after = await study.views.show(views.posterior)
    assert after.mean == before.mean
    assert len({before.mean, without.mean, half.mean}) == 3
    assert checked(folder)[0] == "same"


async def test_golds_and_repeats_look_like_any_query_and_teach_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    Study.create(
        folder, items=TEXTS, serving=ServingSpec(golds="golds.jsonl", gold_share=0.3, repeat_share=0.3)
    ).close()
    golds = [{"a": str(n), "b": str(n + 1), "answer": "a"} for n in range(1, 5)]
    with Study.open(folder, writable=False) as opened:
        ids = [item.id for item in opened.state.items]
    golds = [{"a": ids[n], "b": ids[n + 1], "answer": "a"} for n in range(4)]
    (folder / "golds.jsonl").write_text("\n".join(json.dumps(gold) for gold in golds))
    async with served(folder) as study:
        for _ in range(25):
            lease = (await lent(study, "maya"))[0]
            assert set(lease.__struct_fields__) >= {"left", "right"}
            await vote(study, "maya", lease)
        checks = [live for live in study.state.votes if live.check]
        assert {live.check for live in checks} == {"gold", "repeat"}
        for live in (live for live in checks if live.check == "repeat"):
            first = next(old for old in study.state.votes if old.vote.pair == live.vote.pair and not old.check)
            assert first.shown != live.shown
        await ready(study)
        findings = {
            found.check: found.votes for row in await study.views.show(views.annotators) for found in row.findings
        }
        assert findings["gold"] == sum(live.check == "gold" for live in checks)
        page = await study.votes(person("maya"), None, 50)
        assert {vote.check for vote in page.votes} == {""}
    with Study.open(folder, writable=False) as opened:
        taught = [vote for vote in opened.engine.votes if vote.outcome.choice != "skip"]
        assert len(taught) == len(opened.state.votes) - len(checks)
        export(opened, str(tmp_path / "votes.jsonl"))
    exported = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    assert {row["seq"]: row["check"] for row in exported if row["check"]} == {live.seq: live.check for live in checks}
    assert checked(folder)[0] == "same"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"a": "nobody", "b": "x", "answer": "a"}', "line 1, field \"a\": there is no item 'nobody'"),
        ('{"a": "x", "b": "x", "answer": "up"}', 'field "answer"'),
        ("3", "line 1"),
    ],
)
def test_a_gold_that_cannot_be_used_is_named_by_its_line(tmp_path: Path, line: str, what: str) -> None:
    folder = tmp_path / "study"
    Study.create(folder, items=TEXTS, serving=ServingSpec(golds="golds.jsonl")).close()
    (folder / "golds.jsonl").write_text(line)
    with pytest.raises(BadInputError) as error:
        AnnotationBackend(folder, b"secret")
    assert what in str(error.value)
    Study.open(folder).close()  # the refused server has let go of the study


async def test_an_edited_study_is_served_and_its_log_is_folded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    async with served(folder) as study:
        await vote(study, "maya", (await lent(study, "maya"))[0])
    file = folder / "study.toml"
    file.write_text(file.read_text().replace("votes = 200", "votes = 300"))
    folded: list[int] = []
    fold = State.fold
    monkeypatch.setattr(State, "fold", lambda state, event: (folded.append(event.seq), fold(state, event))[1])
    async with served(folder) as study:
        assert study.spec.votes == study.state.spec["votes"] == 300
        assert study.state.given == {"maya": 1}
    assert folded == list(range(1, len(folded) + 1))


async def test_pools_keep_pairs_for_those_who_know(tmp_path: Path) -> None:
    pairs = [PairRow(f"p{n}", "Which?", f"{n} one", f"{n} two", meta={"pool": ("law", "art")[n % 2]}) for n in range(8)]
    async with served(tmp_path / "study", (), items=None, pairs=pairs) as study:
        await study.enrol(ADMIN, Enrolment("lawyer", pools=("law",)))
        await study.enrol(ADMIN, Enrolment("anybody"))
        with pytest.raises(ServiceError, match="known are: art, law"):
            await study.enrol(ADMIN, Enrolment("cook", pools=("food",)))
        seen = await lent(study, "lawyer", 4)
        assert {int(lease.left.split()[0]) % 2 for lease in seen} == {0}
        for lease in seen:
            await vote(study, "lawyer", lease)
        assert not (await study.leases.lease(person("lawyer"), LeaseRequest())).leases


async def test_machines_take_the_easy_ones_and_people_what_the_router_gives_them(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    routing = RoutingSpec(router="random", budget=10.0, person_price=1.0, audits=0.2)
    judges = (routed.judge(tmp_path, "quick"),)
    spec: dict[str, Any] = {"items": None, "pairs": routed.pairs(30), "judges": judges, "routing": routing}
    async with served(folder, **spec) as study:
        for _ in range(100):
            found = await study.leases.lease(person("maya"), LeaseRequest(1))
            if found.leases:
                await vote(study, "maya", found.leases[0])
            labelled = {live.vote.pair for live in study.state.votes if live.vote.outcome.choice != "skip"}
            done = len(labelled) == 30 or (study.views.latest is not None and study.views.latest.stop)
            if done and not study.state.waiting:
                break
        assert done
        by = {live.vote.judge for live in study.state.votes}
        assert by == {"maya", "quick"}
        routing_now = await study.views.show(views.routing)
        assert routing_now is not None
        assert routing_now.machines > 0
        rows = {row.judge: row.votes for row in await study.views.show(views.judges)}
        assert rows["quick"] > 0
    with Study.open(folder, writable=False) as opened:
        asked = [event for event in opened.events() if isinstance(event.body, Asked | Leased)]
        assert asked
        export(opened, str(tmp_path / "labels.jsonl"), table="labels")
    assert len((tmp_path / "labels.jsonl").read_text().splitlines()) == 30


async def test_the_log_is_followed_from_any_event_without_texts(tmp_path: Path) -> None:
    async with served(tmp_path / "study") as study:
        await vote(study, "maya", (await lent(study, "maya"))[0], note="only for the log")
        seen = []
        async for event in study.tail(2):
            seen.append(event)
            if event.seq >= study.state.seq:
                break
        assert [event.seq for event in seen] == list(range(3, study.state.seq + 1))
        assert "only for the log" not in str(seen)
        assert {"enrolled", "asked", "leased", "voted"} <= {event.type for event in seen}


async def test_a_name_is_taken_once_whatever_its_case(tmp_path: Path) -> None:
    async with served(tmp_path / "study") as study:
        for name in ("Maya", "maya", "nobody", "people"):
            with pytest.raises(ServiceError, match="taken") as refused:
                await study.enrol(ADMIN, Enrolment(name))
            assert refused.value.status == 409


async def test_what_voters_and_the_admin_are_told_is_what_status_tells(tmp_path: Path) -> None:
    """With golds answered, somebody quarantined, and the votes spent: of the same engine, at the same time."""
    folder = tmp_path / "study"
    golds = [{"a": "one", "b": "two", "answer": "a"}]
    names = ("one", "two", "three", "four", "five", "six")
    Study.create(folder, items=[{"id": name, "text": name} for name in names], seed=3, votes=8).close()
    (folder / "golds.jsonl").write_text("".join(json.dumps(gold) + "\n" for gold in golds))
    with (folder / "study.toml").open("a") as file:
        file.write('\n[serving]\ngolds = "golds.jsonl"\ngold_share = 0.5\nrepeat_share = 0.0\n')
    async with served(folder) as study:
        for turn in range(8):
            name = "ben" if turn in (1, 2, 4, 5) else "maya"
            (lease,) = await lent(study, name)
            await vote(study, name, lease)
            if turn == 6:
                await ready(study)
                before = await study.views.show(views.overview)
                await study.amend(ADMIN, "ben", Amendment(0.0, "looks at one side alone"))
                await ready(study)
                after = await study.views.show(views.overview)
                assert before.expected != after.expected  # the votes are as many, and teach otherwise
        await ready(study)
        overview, told = await study.views.show(views.overview), await study.progress(person("maya"))
    assert any(live.check for live in study.state.votes)
    with Study.open(folder, writable=False) as again:
        values = status_of(again)
        assert overview.leaders == summarize(again).leaders
    assert values["ended"]
    assert (overview.progress.stop, overview.progress.why) == (values["stop"], values["why"])
    assert overview.progress.left == told.left == values["votes_left"] == (0, 0, 0)
    assert (overview.expected, overview.counts) == (values["expected_regret"], values["choices"])
    assert told.stop
    assert "all its 8 votes" in told.ended


async def test_a_study_closes_also_while_the_engine_is_woken(tmp_path: Path) -> None:
    # A cancellation that came within two turns of the loop after the wake-up was lost, and `close` waited for ever.
    for turns in (0, 2):
        async with served(tmp_path / "study") as study:
            await ready(study)
            study.views.wake.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(60):
                await study.views.close()
