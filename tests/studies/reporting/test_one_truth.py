"""One truth: whatever the goal, the items and what happened, every place tells the same of a study.

Every goal meets every feature, with kinds of items in turn, so that these meet every feature too. Each study is then
read by every command and by what the screens and the admin page are drawn from.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.files.formats import PairRow
from adapters.ledger import SqliteLedger
from elicit.cli import _code
from elicit.log.events import CHECK, GOLD, REPEAT, AnyBody, Asked, Enrolled, Leased, Marked, Voted, Weighed
from elicit.safe_text import limit_in_percent, share_in_percent
from elicit.service.results import Overview
from elicit.service.views import FIRST_PAGE, Page
from elicit.service.voting import Progress
from elicit.types import ChoiceOutcome, Item, Query
from studies.decisions import votes_to_come
from studies.local.tuning_host import TuningHost
from studies.local.voting_host import VotingHost
from studies.outlook import Outlook
from studies.reporting import status, views
from studies.reporting.report_data import report_data
from studies.reporting.status import status_of
from studies.reporting.status_lines import status_lines, verdict
from studies.reporting.views import ADMIN_VIEWS
from studies.run import run
from studies.serving.engine_process import EngineProcess
from studies.study import Study
from studies.tuning.tuner import Tuner
from tests.adapters import pictures
from tests.studies import routed
from tests.studies.tuning.parity import inputs, prompts, tuned
from tests.tui.driving import Clock, Voter
from tui.app import VoteApp
from tui.plain.voting import PlainVoting
from tui.vote import VoteScreen

GOALS = ("best", "top", "rank", "label", "tuning")
KINDS = ("ids", "texts", "pictures")
ITEMS, PAIRS, TOP = 6, 6, 2


# -- what happens to a study ------------------------------------------------------------------------------------------


def ask(study: Study, judge: str) -> Query | None:
    """The next query, with the responses it needs where prompts are tuned."""
    if study.spec.tuning is None:
        return study.ask(judge)

    async def asked() -> Query | None:
        tuner = Tuner(study)
        await tuner.begin()
        try:
            return await tuner.ask(judge)
        finally:
            await tuner.end()

    return asyncio.run(asked())


def vote(study: Study, judge: str = "maya", times: int = 5) -> None:
    for _ in range(times):
        query = ask(study, judge)
        assert query is not None
        study.tell(query, "a" if query.a < query.b else "b", judge, seconds=4.0)


def write(study: Study, *bodies: AnyBody) -> None:
    """Append to the log what a study server would, and take it in."""
    ledger = SqliteLedger(study.folder, writable=True, beside=True)
    ledger.append(bodies)
    ledger.close()
    study.refresh()


def checked(study: Study, kind: str) -> None:
    """An annotator answers a query that checks it, between other votes."""
    write(study, Enrolled("maya"))
    vote(study, times=3)
    first = study.state.votes[0].vote
    a, b = (first.a, first.b) if kind == REPEAT else next(iter(study.state.listed_pairs()), (0, 1))
    known = {"answer": 1.0} if kind == GOLD else {}
    query = Query(a, b, 0, 0.0, 0.1, "ab", kind, known, first.inputs)
    write(study, Asked(query, CHECK, study.state.folded))
    number = study.state.seq
    lent = Leased(number, "maya", "lease", "ab", 600.0)
    said = Voted(number, ChoiceOutcome("a"), "maya", 3.0, lease="lease", shown="ab", key="k", digest="d")
    write(study, lent, said)
    vote(study, times=2)


def overlapping(study: Study) -> None:
    vote(study, times=4)
    for live in list(study.state.votes):
        study.tell(live.query, "a" if live.query % 3 else "tie", "ben", seconds=2.0)


def weighed(weight: float) -> Callable[[Study], None]:
    def happens(study: Study) -> None:
        write(study, Enrolled("maya"))
        vote(study)
        study.stop()  # what was known before must not be told after
        write(study, Weighed("maya", weight, "boss", "looks at one side alone"))

    return happens


def retired(study: Study) -> None:
    vote(study, times=3)
    study.stop()
    rows = (study.engine.best(),) if not study.state.pairs else ()
    if rows:
        study.record(Marked(rows, "retired", "boss", "by hand"))
    vote(study, times=2)


def machines(study: Study) -> None:
    run(study, 3, lambda done, money: None, until_stop=False)
    with suppress(AssertionError):
        vote(study, times=2)


def taken_back(study: Study) -> None:
    vote(study, times=4)
    study.undo("maya")


def undecided(study: Study) -> None:
    for said in ("tie", "both_bad", "skip"):
        query = ask(study, "maya")
        assert query is not None
        study.tell(query, said, "maya")


def to_the_end(study: Study) -> None:
    """Until nothing is left: the last pair is with somebody else where pairs may be asked again."""
    while (query := ask(study, "maya")) is not None:
        if study.state.pairs or study.spec.tuning or not study.state.votes:
            study.tell(query, "a", "maya", seconds=1.0)
        else:
            return


FEATURES: dict[str, tuple[Callable[[Study], None], dict[str, Any]]] = {
    "plain": (vote, {}),
    "no vote yet": (lambda study: None, {}),
    "golds": (lambda study: checked(study, GOLD), {}),
    "repeats": (lambda study: checked(study, REPEAT), {}),
    "router": (machines, {"routing": {"router": "all_llm", "audits": 0.5, "budget": 50.0}}),
    "overlap": (overlapping, {"serving": {"overlap": 2}}),
    "retired items": (retired, {}),
    "weights": (weighed(0.5), {}),
    "quarantined judge": (weighed(0.0), {}),
    "budget spent": (lambda study: vote(study, times=3), {"votes": 3}),
    "stop rule met": (lambda study: vote(study, times=4), {"stop": {"regret": 0.99, "confidence": 0.01}}),
    "taken back": (taken_back, {}),
    "skips and ties": (undecided, {}),
    "nothing left": (to_the_end, {}),
}


def made(folder: Path, goal: str, kind: str, feature: str) -> Study:
    """The study of a case, with what happened to it."""
    happens, more = FEATURES[feature]
    spec = {"votes": 40, "seed": 1, **more}
    few = feature == "nothing left"
    if goal == "tuning":
        judges = [{"name": "person", "kind": "reference", "person": feature != "router", "price": 0.01}]
        texts, given = prompts()[: 2 if few else 4], inputs(4 if few else 8, 2)
        study = tuned(folder / "study", texts, given, judges=judges, **spec)
    else:
        judges = [{"name": "gpt", "kind": "simulated", "price": 0.01, "options": {"utility": "meta.score"}}]
        if goal == "label":
            judges = [routed.judge(folder)]
            study = Study.create(folder / "study", pairs=listed(kind), judges=judges, embedder=embedder(kind), **spec)
        else:
            n = 2 if few else ITEMS
            top = {"top": 1 if few else TOP} if goal == "top" else {}
            study = Study.create(
                folder / "study",
                items=items(folder, kind, n),
                goal=goal,
                judges=judges,
                embedder=embedder(kind),
                **top,
                **spec,
            )
    happens(study)
    return study


def embedder(kind: str) -> str:
    return "wordllama" if kind == "texts" else "none"


def items(folder: Path, kind: str, n: int) -> list[Item]:
    names = pictures.save(folder / "pictures", n) if kind == "pictures" else [""] * n
    return [
        Item(
            f"i{k}",
            f"Text number {k} on {('cats', 'law', 'tea')[k % 3]}" if kind == "texts" else "",
            payload={"k": k} if kind == "ids" else None,
            image=str(folder / "pictures" / names[k]) if names[k] else "",
            meta={"score": float(-k)},
        )
        for k in range(n)
    ]


def listed(kind: str) -> list[PairRow]:
    """Pairs of responses; of the third kind a response meets several others."""
    if kind == "pictures":
        return [PairRow(f"p{k}", "One task", "answer 1", f"answer {k + 2}") for k in range(PAIRS)]
    return routed.pairs(PAIRS)


CASES = [  # the page of the report, which takes its time to draw, once for every feature, by goals in turn
    pytest.param(
        goal, KINDS[(g + f) % 3], feature, f % 5 == g, id=f"{goal}-{KINDS[(g + f) % 3]}-{feature.replace(' ', '_')}"
    )
    for g, goal in enumerate(GOALS)
    for f, feature in enumerate(FEATURES)
]


# -- the laws -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("goal", "kind", "feature", "page"), CASES)
def test_every_place_tells_the_same(
    goal: str, kind: str, feature: str, page: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = made(tmp_path, goal, kind, feature)
    found = status.summarize(study)
    values = json.loads(json.dumps(status_of(study)))
    no_contradiction(study, found, feature)
    as_status(values, found, study)
    as_report(study, found)
    study.close()
    by_commands(str(study.folder), tmp_path, values, found, page, capsys)
    with Study.open(study.folder) as again:
        asyncio.run(as_screens(again, found))


def no_contradiction(study: Study, found: status.Summary, feature: str) -> None:
    """The summary in itself, and against the engine."""
    now, state = found.outlook, study.state
    assert now.stop == (now.met or bool(now.ended))
    assert not (now.met and now.ended)
    assert (now.votes_left == (0, 0, 0)) == now.stop
    assert now.why
    if now.votes_left:
        assert list(now.votes_left) == sorted(now.votes_left)
        assert now.votes_left[2] <= votes_to_come(study.spec, state)
    if now.ended:
        assert not votes_to_come(study.spec, state)
        assert study.ask("somebody else") is None
    gone = {state.items[row].id for row in state.retired_rows()}
    assert not gone & {row.item for row in found.leaders}
    assert [row.rank for row in found.leaders] == list(range(1, len(found.leaders) + 1))
    if study.spec.goal == "label":
        assert found.best is None
        assert bool(found.leaders) == (
            len({row for pair in state.listed_pairs() for row in pair}) < 2 * len(state.listed_pairs())
        )
        assert found.labels is not None
        assert (
            found.labels.pairs
            == len(found.pairs)
            == found.labels.by_votes + found.labels.by_machines + (found.labels.by_model)
        )
        return
    ids = [item.id for item in state.items]
    assert [row.item for row in found.leaders] == [ids[row] for row in study.engine.ranking()]
    assert found.best == found.leaders[0]
    assert found.best.item == study.best().id == ids[study.engine.best()]
    assert sum(row.p_best for row in found.leaders) == pytest.approx(1)
    for row in found.leaders:
        assert row.low <= row.utility <= row.high
    if study.spec.goal == "top":
        assert {row.item for row in found.leaders[: found.top]} == {ids[row] for row in study.engine.top()}
        assert sum(row.p_top or 0 for row in found.leaders) == pytest.approx(min(found.top, len(found.leaders)))
    if study.spec.goal == "rank":
        assert all(row.p_above is not None and row.p_above >= 0.5 for row in found.leaders[1:-1])
        assert found.leaders[-1].p_above is None
    if feature == "quarantined judge":
        assert found.expected == pytest.approx(before_any_vote(study))


def before_any_vote(study: Study) -> float:
    from studies.decisions import engine_for, stop_of
    from studies.decisions import engine_vote as teaches

    engine = engine_for(study.spec, study.state)
    engine.learn([teaches(live.vote, 0) for live in study.state.votes])
    return stop_of(engine, study.spec).expected


def as_status(values: dict[str, Any], found: status.Summary, study: Study) -> None:
    now = found.outlook
    assert values["votes"] == found.votes
    assert values["taught"] == found.taught
    assert values["choices"] == found.counts
    assert values["left_share"] == found.left_share
    assert values["seconds_median"] == found.seconds_median
    assert values["expected_regret"] == found.expected
    told = (values["stop"], values["met"], values["ended"], values["why"])
    assert told == (now.stop, now.met, now.ended, now.why)
    assert values["votes_left"] == (None if now.votes_left is None else list(now.votes_left))
    if found.best:
        assert (values["best"]["id"], values["best"]["p_best"]) == (found.best.item, found.best.p_best)
    else:
        assert "best" not in values
    if study.spec.goal == "top":
        assert [row["id"] for row in values["top"]] == [row.item for row in found.leaders[: found.top]]
    if study.spec.goal == "rank":
        assert [row["id"] for row in values["order"]] == [row.item for row in found.leaders]
    if found.labels:
        assert values["pairs"] == found.labels.pairs
    *lines, last = status_lines(values)
    if found.best and study.spec.goal == "best":  # an item that is as likely the best as any other is a guess
        guessed = sum(map(study.state.weight, found.judges)) == 0 or set(found.counts) == {"skip"}
        assert ("no vote speaks for it yet" in "\n".join(lines)) == guessed == report_data(study).guessed
    assert last.startswith("stop: " if now.met else "over" if now.ended else "go on")


def as_report(study: Study, found: status.Summary) -> None:
    data, now = report_data(study), found.outlook
    assert (data.votes, data.items, data.retired) == (found.votes, found.items, found.retired)
    assert (data.stop, data.ended, data.why, data.votes_left) == (now.stop, now.ended, now.why, now.votes_left)
    assert (data.counts, data.seconds_median) == (found.counts, found.seconds_median)
    assert data.leaders == found.leaders
    assert (data.recommendation.row if data.recommendation else None) == found.best
    assert (data.labels, data.pairs) == (found.labels, found.pairs)
    assert data.expected[-1] == pytest.approx(found.expected)
    assert bool(data.finished) == (now.stop and found.votes > 0)
    for row in found.leaders:
        if row.item in data.p_best_curves:
            assert data.p_best_curves[row.item][-1] == pytest.approx(row.p_best)
    taught = sum(not live.check and study.state.weight(live.vote.judge) > 0 for live in study.state.votes)
    assert sum(entry.n for entry in data.calibration) <= taught
    assert len(data.decisive) == min(taught, 8)


async def as_screens(study: Study, found: status.Summary) -> None:
    """What the admin page and the overview are drawn from, and a voter's turn."""
    modeller = EngineProcess(study)
    page = await views.overview.compute(modeller, FIRST_PAGE)
    same_overview(page, found)
    assert page.progress == progress_of(found)
    assert (await views.leaderboard.compute(modeller, Page(limit=100))).leaders == found.leaders
    for view in ADMIN_VIEWS.values():
        await view.compute(modeller, FIRST_PAGE)
    advanced, now = await modeller.advance({}), found.outlook
    assert (advanced.stop, advanced.reason, advanced.left) == (now.stop, now.why, now.votes_left)

    host = TuningHost(study, "zoe") if study.spec.tuning else VotingHost(study, "zoe")
    same_overview(await host.show(views.overview), found)
    turn = await host.turn()
    while turn.doing:
        await asyncio.sleep(0.01)
        turn = await host.turn()
    told, now = turn.progress, status.summarize(study).outlook  # signals may have been measured before the first pair
    assert told.stop == bool(told.ended or now.met)
    assert (told.left == (0, 0, 0)) == told.stop
    if turn.ballot is None:
        assert told.stop
    else:
        assert not told.ended
        assert (told.stop, told.why, told.left) == (now.stop, now.why, now.votes_left)
        seen = await host.show(views.overview)
        hidden = [row for row in seen.leaders if not row.item] if seen.leaders else []
        pair = study.state.asked[turn.ballot.query].query.pair
        assert len(hidden) == (len({*pair} - {*study.state.retired_rows()}) if seen.leaders else 0)
        if seen.pairs:
            assert sum(not pair.pair for pair in seen.pairs) == 1
    await host.history()
    said: list[str] = []
    lines = iter(["overview", "history", "q"])

    async def read() -> str | None:
        return next(lines, None)

    plain = PlainVoting(host, read, said.append)
    await plain.run()
    text = "\n".join(said)
    spelled_alike(text)
    assert ("You can stop here" in text) == now.met
    if isinstance(host, TuningHost):
        await host._tuner.end()


def progress_of(found: status.Summary) -> Progress:
    now = found.outlook
    return Progress(found.votes, 0, found.budget, now.votes_left, now.stop, now.why, now.ended)


def same_overview(seen: Overview, found: status.Summary) -> None:
    assert (seen.progress.votes, seen.progress.target) == (found.votes, found.budget)
    assert (seen.leaders, seen.pairs, seen.labels) == (found.leaders, found.pairs, found.labels)
    assert (seen.counts, seen.left_share, seen.seconds_median) == (
        found.counts,
        found.left_share,
        found.seconds_median,
    )
    assert (seen.goal, seen.top, seen.retired, seen.expected) == (found.goal, found.top, found.retired, found.expected)
    assert seen.regret[-1] == pytest.approx(found.expected, abs=1e-4)
    if found.best:
        assert seen.p_best[-1] == pytest.approx(found.best.p_best, abs=1e-4)
    else:
        assert seen.p_best == ()


def spelled_alike(text: str) -> None:
    """A number and its per cent sign stand apart wherever people read them."""
    assert not re.findall(r"\d%", text)


class Words(HTMLParser):
    """The words of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def as_page(text: str, found: status.Summary) -> None:
    """What the report says in words."""
    now = found.outlook
    verdicts = ("You can stop voting.", "Nothing more can be asked", "Go on")
    assert [verdict in text for verdict in verdicts] == [now.met, bool(now.ended), not now.stop]
    if found.best and not found.taught:
        assert "Starting guess" in text
    elif found.best:
        heads = {"best": "Recommended item", "top": f"The recommended top {found.top}", "rank": "The order"}
        assert heads[found.goal] in text
    else:
        assert "Recommended" not in text
    assert ("Pairs and their labels" in text) == (found.goal == "label")
    assert ("Leaderboard" in text) == bool(found.leaders)


def by_commands(
    folder: str,
    tmp_path: Path,
    values: dict[str, Any],
    found: status.Summary,
    page: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def says(*command: str, code: int = 0) -> str:
        capsys.readouterr()
        assert _code(list(command)) == code, capsys.readouterr().err
        return capsys.readouterr().out

    assert json.loads(says("status", folder, "--json")) == values
    assert says("status", folder).splitlines() == status_lines(values)
    spelled_alike("\n".join(status_lines(values)))
    if page:
        file = tmp_path / "report.html"
        says("report", folder, "-o", str(file))
        as_page(Words(file.read_text()).text, found)
        spelled_alike(Words(file.read_text().partition("</style>")[2]).text)
    for table in ("votes", "items", *(("labels",) if found.labels else ())):
        says("export", folder, "--table", table, "-o", str(tmp_path / f"{table}.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    if found.leaders and found.goal != "label":
        assert [row["id"] for row in rows if not row.get("retired")] == [row.item for row in found.leaders]
    assert len(rows) == found.items
    says("replay", folder, "--verify")
    if values["goal"] == "best" and "tuning" in (Path(folder) / "study.toml").read_text():
        return  # prompts are compared on inputs, which a plan does not simulate
    told = json.loads(says("plan", folder, "--votes", "3", "--studies", "10", "--json"))
    assert {name: told[name] for name in ("goal", "stop", "why", "votes_left")} == {
        name: values[name] for name in ("goal", "stop", "why", "votes_left")
    }


# -- the screen itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "kind", "feature", "words"),
    [
        ("best", "texts", "golds", "6 of 40 votes"),
        ("top", "ids", "retired items", "top 2?"),
        ("rank", "pictures", "stop rule met", "You can stop here"),
        ("label", "texts", "nothing left", "Nothing more to vote on"),
        ("label", "texts", "golds", "sure"),
    ],
)
async def test_the_overview_screen_draws_it(goal: str, kind: str, feature: str, words: str, tmp_path: Path) -> None:
    study = await asyncio.to_thread(made, tmp_path, goal, kind, feature)
    found, host, clock = status.summarize(study), VotingHost(study, "zoe"), Clock()

    async def start() -> VotingHost:
        return host

    app = VoteApp(start, now=clock)
    async with app.run_test(size=(120, 40)) as pilot:
        voter = Voter(app, pilot, clock)
        await voter.until(lambda: any(isinstance(screen, VoteScreen) for screen in app.screen_stack))
        await pilot.press("escape", "f2")
        await voter.until(lambda: bool(app.screen.query("#leaders")) and bool(voter.pane("#leaders")))
        seen = voter.text("#state") + voter.pane("#leaders")
        assert found.outlook.why[1:] in seen.replace("\n", " ")
        assert words in seen
        assert ("You can stop" in seen) == found.outlook.met


@pytest.mark.parametrize(
    ("left", "words"),
    [((1, 1, 1), "go on for 1 more vote: "), ((2, 9, 9), "go on for about 9 more votes (2 to 9, 80 % interval): ")],
)
def test_votes_left_are_told_as_a_range_only_where_they_are_one(left: tuple[int, int, int], words: str) -> None:
    assert verdict(Outlook(False, "", "why", left)) == f"{words}why"


@given(st.floats(0, 1), st.sampled_from((0.05, 0.025, 0.07, 0.95, 0.999)))
def test_a_share_is_told_on_the_side_of_the_limit_that_it_is_on(share: float, limit: float) -> None:
    assume(share == limit or abs(share - limit) > 1e-5)
    told, asked = (float(text.rstrip("%")) for text in (share_in_percent(share, limit), limit_in_percent(limit)))
    assert asked == pytest.approx(100 * limit)
    assert (told > asked, told < asked) == (share > limit, share < limit)
    assert abs(told - 100 * share) <= 0.5
