"""Votes over HTTP to a real server that is killed, frozen and started again: none is lost, none counts twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.client import remote
from adapters.client.remote import RemoteService
from elicit.service.voting import Answer, Ballot, Turn
from elicit.types import BadInputError
from studies.reporting import views
from studies.reporting.views import SCREEN_VIEWS
from tests.adapters.pictures import save
from tests.adapters.study_server import StudyServer

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyServer]:
    """A server with a study of twelve texts."""
    made = StudyServer(tmp_path_factory.mktemp("room"), votes=1000)
    yield made
    made.kill()


@pytest.fixture
def server(room: StudyServer, tmp_path: Path) -> StudyServer:
    """The same with a voter whom it has not seen before."""
    room.start()
    room.sit(tmp_path)
    return room


@asynccontextmanager
async def voter(server: StudyServer, url: str = "", token: str = "") -> AsyncIterator[RemoteService]:
    """The voter at a screen."""
    service = await RemoteService.start(url or server.url, token or server.token, server.state)
    try:
        yield service
    finally:
        await service.close()


async def opened(service: RemoteService) -> Ballot:
    """The open ballot, once the server's engine has chosen it."""
    for _ in range(12):
        if (ballot := (await service.turn()).ballot) is not None:
            return ballot
    raise AssertionError("no ballot came")


async def vote(service: RemoteService, choice: str, **said: Any) -> Turn:
    """Vote on the open ballot; no server may hold this up."""
    ballot = await opened(service)
    async with asyncio.timeout(8):
        return await service.vote(Answer(ballot.query, choice, seconds=1.5, **said))


async def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something to be true."""
    for _ in range(round(20 * seconds)):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("this never became true")


async def ahead(service: RemoteService) -> None:
    """Wait until ballots are held ahead."""
    await opened(service)
    for _ in range(400):
        if len(await service.upcoming()) == 3:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing is held ahead")


def said(server: StudyServer) -> list[str]:
    """The choices that count, oldest first."""
    return [vote["choice"] for vote in server.votes()]


# -- voting -----------------------------------------------------------------------------------------------------------


async def test_votes_arrive_as_they_were_given(server: StudyServer) -> None:
    async with voter(server) as service:
        card = await service.card()
        assert (card.title, card.items) == ("answers", 12)
        first = await opened(service)
        assert (await service.turn()).ballot == first, "asking twice gives the same ballot"
        turn = await vote(service, "left", strength=2, reasons=("clearer",), note="why not")
        assert turn.ballot is not None
        assert turn.ballot.number == 2
        assert turn.progress.mine == 1
        for choice in ("tie", "both_bad", "skip"):
            await vote(service, choice)
        await until(lambda: len(server.votes()) == 4)
        newest, *_, oldest = await service.history()
        assert (oldest.query, oldest.left, oldest.right) == (first.query, first.left, first.right)
        assert (oldest.choice, oldest.strength, oldest.reasons, oldest.note) == ("left", 2, ("clearer",), "why not")
        assert (oldest.number, newest.number, newest.choice, newest.judge) == (1, 4, "skip", server.judge)
        await service.note(oldest.query, "on second thoughts")
        assert server.votes()[0]["note"] == "on second thoughts"
        with pytest.raises(BadInputError, match="not open any more"):
            await service.vote(Answer(first.query, "left"))
        with pytest.raises(BadInputError, match="will not take this vote"):
            await service.vote(Answer((await opened(service)).query, "left", note="x" * 20_000))
    assert service.unsent == ""
    assert said(server) == ["left", "tie", "both_bad", "skip"]


async def test_results_are_the_admins(server: StudyServer) -> None:
    async with voter(server) as service:
        for view in SCREEN_VIEWS.values():
            with pytest.raises(BadInputError, match="only who runs this study"):
                await service.show(view)
    async with voter(server) as service:
        await opened(service)  # the engine is there
    async with voter(server, token=server.admin) as service:
        assert (await service.show(views.overview)).progress.target == 1000
        assert await service.show(views.routing) is None


async def test_a_frozen_server_holds_up_nobody(server: StudyServer) -> None:
    async with voter(server) as service:
        await ahead(service)
        with server.frozen():
            for choice in ("left", "right", "tie"):
                assert (await vote(service, choice)).ballot is not None
        await until(lambda: said(server) == ["left", "right", "tie"])


async def test_a_server_that_dies_and_comes_back_gets_every_vote_once_and_in_order(server: StudyServer) -> None:
    async with voter(server) as service:
        await ahead(service)
        await vote(service, "left")
        server.kill()
        for choice in ("right", "tie"):
            assert (await vote(service, choice)).ballot is not None
        turn = await vote(service, "skip")
        while turn.ballot is not None:  # those that were held ahead
            turn = await vote(service, "left")
        assert turn.again is not None
        assert "does not answer" in turn.progress.why
        assert "here and will be sent" in turn.notice
        given = turn.progress.mine
        server.start()
        await until(lambda: len(server.votes()) == given, 60)
        assert said(server)[:4] == ["left", "right", "tie", "skip"]
        assert await opened(service)
        await vote(service, "right")
    assert said(server)[given:] == ["right"]


@asynccontextmanager
async def forgetful(server: StudyServer, path: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The address of a proxy that loses the first answer to requests that begin so; and what it lost."""
    lost: list[bytes] = []
    carrying: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.current_task())  # type: ignore[arg-type]
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        losing = False

        async def answers() -> None:
            with suppress(ConnectionError):
                while data := await there.read(65536):
                    if losing:
                        lost.append(data)
                        break
                    writer.write(data)
            writer.close()

        task = asyncio.create_task(answers())
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                losing = losing or (not lost and data.startswith(path))
                back.write(data)
        back.close()
        await task

    listener = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/answers", lost
    finally:
        listener.close()
        await asyncio.gather(*carrying)


async def test_a_vote_whose_receipt_is_lost_counts_once(server: StudyServer) -> None:
    async with forgetful(server, b"POST /v1/votes") as (url, lost), voter(server, url) as service:
        await ahead(service)
        await vote(service, "left")
        await until(lambda: bool(lost) and said(server) == ["left"])
        await vote(service, "right")
        await until(lambda: said(server) == ["left", "right"])
        await until(lambda: not service._outbox.waiting_parcels())


async def test_an_undo_whose_answer_is_lost_takes_back_one_vote(server: StudyServer) -> None:
    path = b"POST /v1/studies/answers/votes/"
    async with forgetful(server, path) as (url, lost), voter(server, url) as service:
        first = await opened(service)
        await vote(service, "left")
        second = await opened(service)
        await vote(service, "right")
        await until(lambda: len(server.votes()) == 2)
        with pytest.raises(BadInputError, match="does not answer"):
            await service.undo()
        assert lost
        turn = await service.undo()
        assert said(server) == ["left"]
        assert turn is not None
        assert turn.ballot is not None
        assert (turn.ballot.query, turn.ballot.left, turn.ballot.number) == (second.query, second.left, 2)
        turn = await service.undo()
        assert turn is not None
        assert turn.ballot is not None
        assert turn.ballot.query == first.query
        assert await service.undo() is None


async def test_undo_has_no_limit_and_needs_no_server_for_what_it_does_not_have(server: StudyServer) -> None:
    async with voter(server) as service:
        for choice in ("left", "right", "tie"):
            await vote(service, choice)
        await until(lambda: len(server.votes()) == 3)
    async with voter(server) as service:
        await ahead(service)
        server.kill()
        ballot = await opened(service)
        await vote(service, "skip")
        newest = service._outbox.waiting_parcels()
        turn = await service.undo()
        assert turn is not None
        assert turn.ballot is not None
        assert (turn.ballot.query, turn.ballot.number) == (ballot.query, 4)
        assert len(newest) == 1
        assert not service._outbox.waiting_parcels()
        with pytest.raises(BadInputError, match="does not answer"):
            await service.undo()
        server.start()
        for choice in ("tie", "right", "left"):
            past = next(vote for vote in await service.history() if not vote.undone)
            assert past.choice == choice
            turn = await service.undo()
            assert turn is not None
            assert turn.ballot is not None
            assert (turn.ballot.query, turn.ballot.left) == (past.query, past.left)
        assert await service.undo() is None
        assert said(server) == []
        await vote(service, "right")
    assert said(server) == ["right"]


async def test_history_goes_on_page_after_page(server: StudyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAGE", 2)
    async with voter(server) as service:
        for choice in ("left", "right", "tie", "skip", "left"):
            await vote(service, choice)
        await until(lambda: len(server.votes()) == 5)
        await service.undo()
        past = await service.history()
        assert [(vote.number, vote.undone) for vote in past] == [
            (4, True),
            (4, False),
            (3, False),
            (2, False),
            (1, False),
        ]
        assert len({vote.query for vote in past}) == 5
        assert [vote.query for vote in await service.history(3)] == [vote.query for vote in past[:3]]


def refused(service: RemoteService) -> list[bytes]:
    """The votes that the server would not take, as the outbox's file keeps them."""
    with closing(sqlite3.connect(service._outbox.path)) as file:
        return [body for (body,) in file.execute("SELECT body FROM parcels WHERE refused != ''")]


async def test_a_lease_that_is_gone_is_said_and_its_vote_kept(server: StudyServer) -> None:
    async with voter(server) as service:
        await ahead(service)
        held = service._holding.open
        assert held is not None
        headers = {"Authorization": f"Bearer {server.token}"}
        httpx.delete(f"{server.root}/v1/leases/{held.lease.lease}", headers=headers).raise_for_status()
        await vote(service, "left")
        await until(lambda: bool(refused(service)))
        turn = await service.turn()
        assert "Vote 1 does not count" in turn.notice
        assert str(service._outbox.path) in turn.notice
        assert (await service.turn()).notice == "", "it is said once"
        (kept,) = refused(service)
        assert json.loads(kept)["choice"] == "left"
        await vote(service, "right")
        await until(lambda: said(server) == ["right"])


async def test_leases_are_held_on_to(tmp_path: Path) -> None:
    server = StudyServer(tmp_path, serving={"lease": 2.0})
    server.sit(tmp_path)
    try:
        async with voter(server) as service:
            await ahead(service)
            await asyncio.sleep(4)
            ballot = await opened(service)
            for choice in ("left", "right", "tie"):
                await vote(service, choice)
            await until(lambda: said(server) == ["left", "right", "tie"])
            assert server.votes()[0]["left"] == ballot.left
            assert not refused(service)
    finally:
        server.kill()


async def test_a_paused_study_is_waited_for(server: StudyServer) -> None:
    async with voter(server) as service:
        await ahead(service)
        server.call("PATCH", "", {"paused": True})
        for _ in range(4):
            turn = await vote(service, "left")
        assert turn.ballot is None
        assert "paused" in turn.progress.why
        assert turn.again is not None
        server.call("PATCH", "", {"paused": False})
        service._holding.ask_at = 0.0  # as when the quarter of a minute has passed
        assert await opened(service)


async def test_pictures_come_along_under_names_that_tell_nothing(tmp_path: Path) -> None:
    names = save(tmp_path / "art", 4)
    items = [{"id": name, "text": f"caption {name}", "image": str(tmp_path / "art" / name)} for name in names]
    server = StudyServer(tmp_path, items)
    server.sit(tmp_path)
    try:
        async with voter(server) as service:
            ballot = await opened(service)
            for text, image in ((ballot.left, ballot.left_image), (ballot.right, ballot.right_image)):
                original = tmp_path / "art" / text.removeprefix("caption ")
                assert Path(image).read_bytes() == original.read_bytes()
                assert "secret" not in image
        assert not Path(ballot.left_image).exists()
    finally:
        server.kill()


# -- dying ------------------------------------------------------------------------------------------------------------

CLIENT = """
import asyncio, sys
from pathlib import Path
from adapters.client.remote import RemoteService
from elicit.service.voting import Answer

async def main():
    service = await RemoteService.start(sys.argv[1], sys.stdin.readline(), Path(sys.argv[2]))
    while (turn := await service.turn()).ballot is None or not await service.upcoming():
        await asyncio.sleep(0.1)
    print("ready", flush=True)
    sys.stdin.readline()
    await service.vote(Answer(turn.ballot.query, "both_bad"))
    print("voted", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["gone", "frozen"])
async def test_a_client_killed_before_it_could_send_sends_at_the_next_start(server: StudyServer, state: str) -> None:
    folder = server.state
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, server.url, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with client:
        assert client.stdin
        assert client.stdout
        client.stdin.write(server.token + "\n")
        client.stdin.flush()
        assert client.stdout.readline() == "ready\n"
        if state == "gone":
            server.kill()
            answers = None
        else:
            answers = server.frozen()
            answers.__enter__()
        client.stdin.write("\n")
        client.stdin.flush()
        assert client.stdout.readline() == "voted\n"
        client.send_signal(signal.SIGKILL)
        client.wait()
    if answers is None:
        with pytest.raises(ConnectionError, match=r"1 vote waits in .* for the next start"):
            await RemoteService.start(server.url, server.token, folder)
        server.start()
    else:
        answers.__exit__(None, None, None)
    async with voter(server) as service:
        await vote(service, "left")
    assert said(server) == ["both_bad", "left"]


async def test_one_voter_has_one_outbox(server: StudyServer) -> None:
    async with voter(server):
        with pytest.raises(BadInputError, match="quit it first"):
            await RemoteService.start(server.url, server.token, server.state)
        async with voter(server, token=server.enrol("noa")) as other:
            assert await opened(other)


async def test_the_token_is_nowhere(server: StudyServer) -> None:
    async with voter(server) as service:
        await ahead(service)
        server.kill()
        await vote(service, "left", note="a note")
        for file in (server.state).iterdir():
            assert server.token not in file.name
            assert server.token.encode() not in file.read_bytes()
            assert file.stat().st_mode & 0o077 == 0
        assert server.token not in repr(service.__dict__)


async def test_a_token_that_ends_is_said_and_the_votes_kept(server: StudyServer) -> None:
    async with voter(server) as service:
        await ahead(service)
        server.call("POST", f"/annotators/{server.judge}/token")
        await vote(service, "left")
        await until(lambda: bool(service._over))
        turn = await vote(service, "right")
        assert "does not take this token any more" in turn.notice
        assert "2 votes wait in" in turn.notice
    assert "2 votes wait in" in service.unsent
    with pytest.raises(BadInputError, match=r"does not take this token any more.*2 votes wait in"):
        await RemoteService.start(server.url, server.token, server.state)


# -- the command ------------------------------------------------------------------------------------------------------


def command(server: StudyServer, *arguments: str, token: str = "", lines: str = "") -> subprocess.CompletedProcess[str]:
    """`elicit vote ARGUMENTS --plain` with these lines."""
    env = {**os.environ, "XDG_STATE_HOME": str(server.state)} | ({"ELICIT_TOKEN": token} if token else {})
    asked = [sys.executable, "-m", "elicit.cli", "vote", *arguments, "--plain"]
    return subprocess.run(
        asked, input=lines, capture_output=True, text=True, cwd=ROOT, env=env, timeout=90, check=False
    )


def test_voting_through_a_pipe(server: StudyServer) -> None:
    done = command(server, server.url, token=server.token, lines="a\na\na\nleft\ntie\nhistory\noverview\nu\nq\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Saved vote ") == 2
    assert "Vote 2: tie" in done.stdout
    assert "only who runs this study" in done.stdout
    assert "Took back vote 2: tie" in done.stdout
    assert said(server) == ["left"]
    assert server.token not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "token", "expected"),
    [
        (("{root}/nothing",), "{token}", "has no study nothing for this token"),
        (("{url}",), "wrong", "does not take this token"),
        (("{url}",), "two words", "there is no token"),
        (("{url}",), "", "set the environment variable ELICIT_TOKEN"),
        (("{url}", "--judge", "maya"), "{token}", "the token says who you are"),
        (("http://127.0.0.1:1/answers",), "{token}", "does not answer"),
        (("https://127.0.0.1:{port}/answers",), "{token}", "does not speak https"),
        (("somewhere", "--token", "x"), "", "--token goes with a study on a server"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(
    server: StudyServer, arguments: tuple[str, ...], token: str, expected: str
) -> None:
    known = {"root": server.root, "url": server.url, "token": server.token, "port": str(server.port)}
    done = command(server, *(part.format(**known) for part in arguments), token=token.format(**known))
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert server.token not in done.stdout + done.stderr
