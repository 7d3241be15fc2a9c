"""Every call of the voting protocol, of whatever a screen may talk to: a study in this process, an engine process, a
server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from adapters.client.remote import RemoteService
from elicit.service.voting import Answer, StudyService, TuningService, Turn
from elicit.types import BadInputError
from studies.local.client import LocalService
from studies.local.tuning_host import TuningHost
from studies.local.voting_host import VotingHost
from studies.reporting import views
from studies.reporting.views import ADMIN_VIEWS, SCREEN_VIEWS
from studies.study import Study
from tests.adapters.study_server import TEXTS, StudyServer

CALLS = [name for name in vars(StudyService) if not name.startswith("_")]
TUNING_CALLS = [name for name in vars(TuningService) if not name.startswith("_")]


class Recorder:
    """Passes calls of the protocol on, and keeps what they gave; each must be of the kind that the protocol says."""

    def __init__(self, service: StudyService) -> None:
        self._service = service
        self.given: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            result = await getattr(self._service, name)(*arguments, **named)
            kind = arguments[0].kind if name == "show" else get_type_hints(getattr(StudyService, name))["return"]
            assert msgspec.convert(msgspec.to_builtins(result), kind) == result
            self.given.append((name, result))
            return result

        return call


async def opened(service: StudyService) -> Turn:
    """The turn with a ballot, waited for."""
    for _ in range(100):
        turn = await service.turn()
        if turn.ballot is not None:
            return turn
        await asyncio.sleep(turn.again or 0.1)
    raise AssertionError("no ballot came")


async def session(service: StudyService) -> list[tuple[str, Any]]:
    """Somebody votes, makes every call there is, and leaves; what the calls gave."""
    recorder = Recorder(service)
    seen: Any = recorder
    assert (await seen.card()).items == len(TEXTS)
    first = await opened(seen)
    assert first.ballot
    for _ in range(100):
        if await seen.upcoming():
            break
        await asyncio.sleep(0.1)
    await seen.vote(Answer(first.ballot.query, "left", 2, 1.5, note="so"))
    again = (await seen.undo()).ballot
    assert (again.left, again.right) == (first.ballot.left, first.ballot.right)
    await seen.vote(Answer(again.query, "right", seconds=2.5))
    await opened(seen)
    for _ in range(100):
        (past,) = [vote for vote in await seen.history(limit=5) if not vote.undone]
        if past.time != "not sent yet":
            break
        await asyncio.sleep(0.1)
    await seen.note(past.query, "on second thoughts")
    newest = next(vote for vote in await seen.history() if not vote.undone)
    assert (newest.choice, newest.note) == ("right", "on second thoughts")
    for view in SCREEN_VIEWS.values():
        if isinstance(service, RemoteService):
            with pytest.raises(BadInputError, match="only who runs this study"):
                await service.show(view)
        else:
            await seen.show(view)
    await seen.close()
    made = {name for name, _ in recorder.given}
    assert made == set(CALLS) - ({"show"} if isinstance(service, RemoteService) else set())
    return recorder.given


async def test_the_engine_process_gives_what_the_study_gives(tmp_path: Path) -> None:
    given = []
    for name in ("here", "there"):
        study = Study.create(tmp_path / name, items=TEXTS, seed=5, title="Answers")
        if name == "there":
            study.close()
        service = VotingHost(study, "maya") if name == "here" else await LocalService.start(tmp_path / name, "maya")
        given.append([call for call in await session(service) if call[0] not in ("upcoming", "history")])
    assert given[0] == given[1]


async def test_a_server_knows_every_call(tmp_path: Path) -> None:
    server = StudyServer(tmp_path, votes=100)
    try:
        server.sit(tmp_path)
        await session(await RemoteService.start(server.url, server.token, server.state))
        admin = await RemoteService.start(server.url, server.admin, tmp_path / "admin")
        for view in SCREEN_VIEWS.values():
            told = server.call("GET", f"/{view.name}")
            assert await admin.show(view) == msgspec.convert(told, view.kind)
        await admin.close()
    finally:
        server.kill()


async def test_what_tells_of_a_ballot_is_not_for_screens(tmp_path: Path) -> None:
    Study.create(tmp_path / "study", items=TEXTS).close()
    service = await LocalService.start(tmp_path / "study", "maya")
    for name in ADMIN_VIEWS.keys() - SCREEN_VIEWS.keys():
        with pytest.raises(BadInputError, match="could not do this"):
            await service.show(ADMIN_VIEWS[name])
    ballot = (await service.turn()).ballot
    shown = await service.show(views.overview)
    assert ballot
    assert not {ballot.left, ballot.right} & {row.text for row in shown.leaders}
    await service.close()


def parameters(call: Callable[..., Any]) -> list[tuple[str, Any]]:
    return [(one.name, one.default) for one in inspect.signature(call).parameters.values()]


@pytest.mark.parametrize("kind", [VotingHost, RemoteService])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_takes_the_same_everywhere(kind: type, name: str) -> None:
    assert parameters(getattr(kind, name)) == parameters(getattr(StudyService, name))


@pytest.mark.parametrize("name", TUNING_CALLS)
def test_so_does_a_call_for_who_tunes(name: str) -> None:
    assert parameters(getattr(TuningHost, name)) == parameters(getattr(TuningService, name))


async def test_what_is_no_call_is_no_attribute(tmp_path: Path) -> None:
    Study.create(tmp_path / "study", items=TEXTS).close()
    service = await LocalService.start(tmp_path / "study", "maya")
    assert not hasattr(service, "vanish")
    await service.close()
