"""Killed at any instant, a study keeps every vote that was acknowledged, once."""

import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from elicit.service.voting import Answer, TuningService
from elicit.types import BadInputError
from studies.local.client import LocalService
from studies.replay.verify import verify
from studies.reporting import views
from studies.study import Study
from tests.studies import making

KILLS = 50


def _vote_until_killed(folder: Path, acknowledged: int) -> None:
    """Vote as fast as possible, undo now and then, and say on the pipe what was acknowledged."""
    study = Study.open(folder)
    # Checkpoints after every few pages, so that many kills fall inside one.
    study._ledger._connection.execute("PRAGMA wal_autocheckpoint = 3")
    while True:
        query = study.ask("me")
        assert query is not None
        os.write(acknowledged, b"asked %d %d %d\n" % (query.id, query.a, query.b))
        study.tell(query, "a" if query.id % 2 else "b", "me")
        os.write(acknowledged, b"voted %d\n" % study.state.seq)
        if len(study.state.votes) % 7 == 6 and study.state.seq % 3 == 0:
            study.undo("me")
            os.write(acknowledged, b"undo %d\n" % study.state.seq)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fifty_kills_lose_no_acknowledged_vote(tmp_path: Path) -> None:
    making.make(tmp_path, n=8, selector="random", model="bradley_terry", embedder="none", votes=100_000).close()
    folder = tmp_path / "study"
    luck = random.Random(5)
    seqs: set[int] = set()
    last_asked = b""
    for _ in range(KILLS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _vote_until_killed(folder, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.readline()  # it is up; now let it run for a moment
            time.sleep(luck.uniform(0.0, 0.1))
            os.kill(child, signal.SIGKILL)
            said += pipe.read()
        os.waitpid(child, 0)
        lines = [line for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
        if last_asked:  # the first thing asked after a kill is what was open at the kill, if that was not answered
            first = next(line for line in lines if line.startswith(b"asked"))
            with Study.open(folder, writable=False) as study:
                answered = {live.query for live in [*study.state.votes, *study.state.undone]}
            assert first == last_asked or int(last_asked.split()[1]) in answered
        last_asked = [line for line in lines if line.startswith(b"asked")][-1]
        seqs |= {int(line.split()[1]) for line in lines if line.startswith((b"voted", b"undo"))}
    database = sqlite3.connect(folder / "study.db")
    stored = [seq for (seq,) in database.execute("SELECT seq FROM events ORDER BY seq")]
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    assert stored == list(range(1, len(stored) + 1))
    assert len(seqs) > KILLS
    assert seqs <= set(stored)
    with Study.open(folder) as study:
        assert verify(study).status == "same"
        queries = [live.query for live in study.state.votes]
        assert len(set(queries)) == len(queries)


async def _vote(service: TuningService, times: int) -> list[int]:
    turn, answered = await service.turn(), []
    for _ in range(times):
        assert turn.ballot is not None
        answered.append(turn.ballot.query)
        turn = await service.vote(Answer(turn.ballot.query, "left", seconds=1.0))
    assert turn.ballot is not None
    return [*answered, turn.ballot.query]


async def test_the_engine_process_killed_is_said_and_resumed_at_the_same_query(tmp_path: Path) -> None:
    making.make(tmp_path).close()
    service = await LocalService.start(tmp_path / "study", "me")
    *answered, pending = await _vote(service, 4)
    service._engine._process.kill()
    await service._engine._process.wait()
    with pytest.raises(ConnectionError, match="every vote it confirmed is saved"):
        await service.turn()
    await service.close()
    again = await LocalService.start(tmp_path / "study", "me")
    try:
        turn = await again.turn()
        assert turn.ballot is not None
        assert turn.ballot.query == pending
        assert turn.progress.votes == 4
        assert [past.query for past in await again.history()] == answered[::-1]
    finally:
        await again.close()


async def test_the_engine_process_serves_a_whole_sitting(tmp_path: Path) -> None:
    making.make(tmp_path, question="Which?").close()
    service = await LocalService.start(tmp_path / "study", "me")
    try:
        assert (await service.card()).question == "Which?"
        first = await service.turn()
        assert first == await service.turn()
        assert first.ballot is not None
        ahead = await service.upcoming()
        second = await service.vote(Answer(first.ballot.query, "right", 2, 3.5, ("clearer",), "well put"))
        assert second.ballot is not None
        assert (second.ballot.left, second.ballot.right) in [(b.left, b.right) for b in ahead]
        await service.note(first.ballot.query, "on second thought")
        (past,) = await service.history()
        assert (past.choice, past.strength, past.seconds, past.reasons) == ("right", 2, 3.5, ("clearer",))
        assert past.note == "on second thought"
        assert "expected to be the best" in past.why
        overview = await service.show(views.overview)
        assert len(overview.regret) == len(overview.p_best) == 2
        assert overview.regret_name == "Expected simple regret"
        assert overview.counts == {"right": 1}
        with pytest.raises(BadInputError, match="never asked"):
            await service.vote(Answer(10_000, "left"))
        with pytest.raises(BadInputError, match="undo that vote first"):
            await service.vote(Answer(first.ballot.query, "left"))
        back = await service.undo()
        assert back is not None
        assert back.ballot == first.ballot
        assert await service.undo() is None
        with pytest.raises(BadInputError, match="open in another process"):
            await LocalService.start(tmp_path / "study", "maya")
    finally:
        await service.close()


async def test_no_ballot_tells_which_item_or_what_the_engine_believes(tmp_path: Path) -> None:
    making.make(tmp_path).close()
    service = await LocalService.start(tmp_path / "study", "me")
    try:
        turn = await service.turn()
        assert turn.ballot is not None
        fields = {"query", "number", "left", "right", "context", "left_image", "right_image"}
        assert set(turn.ballot.__struct_fields__) == fields
        said = json.dumps([turn.ballot.left, turn.ballot.right, turn.ballot.context])
        assert '"i' not in said
        assert "score" not in said
    finally:
        await service.close()
