"""The engine process of a tuning study, as a screen talks to it: a real process, a real study, a Python function."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from elicit.service.voting import Answer, TuningService, Turn
from elicit.types import BadInputError
from studies.commands.tuning_session import lines_of
from studies.local.client import LocalService
from studies.local.tuning_host import TuningHost
from studies.replay.verify import verify
from studies.reporting import views
from studies.study import Study
from studies.tuning.result import result_of
from tests.adapters.serving import Got, Say, completion, serving
from tests.studies.tuning import parity


async def next_turn(service: TuningService) -> Turn:
    """The next turn with a ballot, or the last one."""
    for _ in range(300):
        turn = await service.turn()
        if turn.ballot is not None or turn.again is None:
            return turn
        assert turn.doing
        await asyncio.sleep(turn.again)
    raise AssertionError("no ballot came")


async def voted(service: TuningService, times: int, **more: object) -> Turn:
    turn = await next_turn(service)
    for _ in range(times):
        ballot = turn.ballot
        assert ballot is not None
        right = "odd" if int(ballot.context) % 2 else "even"
        side = "left" if ballot.left == right else "right"
        turn = await service.vote(Answer(ballot.query, side, **more))  # type: ignore[arg-type]
        if turn.ballot is None:
            turn = await next_turn(service)
    return turn


async def test_a_session_with_a_board(tmp_path: Path) -> None:
    parity.tuned(
        tmp_path / "s", proposers=["slots"], start=18, grow=2, every=4, safety={"limit": 0.3}, judges=[]
    ).close()
    service = await LocalService.start(tmp_path / "s", "me")
    try:
        card = await service.card()
        assert (card.tuned, card.guarded) == (True, True)
        turn = await voted(service, 5)
        assert turn.ballot is not None
        assert {turn.ballot.left, turn.ballot.right} == {"odd", "even"}
        await voted(service, 1, unacceptable=("left",), note="too short")
        for _ in range(100):
            board = await service.board()
            if len(board.rows) > 18:
                break
            await asyncio.sleep(0.1)
        assert len(board.rows) > 18
        assert board.rows[0].row == board.best or board.best is None
        assert board.calls > 0
        assert board.seed == 0
        assert all(row.signals for row in board.rows if row.row < 16)
        parent = board.rows[0].row  # others may stand before it by the time the answer comes
        board = await service.add("Tell me if {input} is odd, exactly.", parent)
        (mine,) = [row for row in board.rows if row.maker == "me"]
        assert mine.parents == (parent,)
        board = await service.mark(mine.row, "pinned")
        assert next(row for row in board.rows if row.row == mine.row).mark == "pinned"
        board = await service.mark(mine.row, "retired")
        assert next(row for row in board.rows if row.row == mine.row).mark == "retired"
        with pytest.raises(BadInputError, match="there already"):
            await service.add("Tell me if {input} is odd, exactly.")
        with pytest.raises(BadInputError, match="there is no prompt in row 99"):
            await service.mark(99, "pinned")
        await service.grow()
        await voted(service, 3)
        past = await service.history()
        assert len(past) == 9
        assert {past[0].left, past[0].right} == {"odd", "even"}
    finally:
        await service.close()
    with Study.open(tmp_path / "s") as study:
        assert [live.unacceptable for live in study.state.votes if live.unacceptable]
        assert verify(study).status == "same"


async def test_a_response_that_is_not_whole_is_marked_wherever_it_is_shown(tmp_path: Path) -> None:
    def cut(got: Got) -> Say:
        choice = {"message": {"content": f"```\nIt is {parity.answer(got.user)}, for"}, "finish_reason": "length"}
        return Say(json.dumps({"choices": [choice]}).encode())

    mark = "*(not whole: it was cut at max_tokens)*\n\n```\nIt is "
    async with serving(lambda got: cut(got) if got.body else Say()) as server:
        target = {"endpoint": server.url, "model": "m"}
        parity.tuned(tmp_path / "s", parity.prompts()[:6], target=target, batch=1, signals=[], judges=[]).close()
        service = await LocalService.start(tmp_path / "s", "me")
        turn = await next_turn(service)
        assert turn.ballot is not None
        assert turn.ballot.left.startswith(mark)
        assert turn.ballot.right.startswith(mark)
        await service.vote(Answer(turn.ballot.query, "left"))
        board = await service.board()
        assert board.shortfalls.endswith("cut at max_tokens; raise it")
        await service.close()
    with Study.open(tmp_path / "s") as study:
        assert "cut at max_tokens; raise it." in "\n".join(
            lines_of(msgspec.to_builtins(result_of(study)) | {"unmeasured": ""})
        )
        assert verify(study).status == "same"


async def test_the_model_dies_and_comes_back(tmp_path: Path) -> None:
    async with serving(lambda got: completion(parity.answer(got.user) if got.body else "")) as server:
        target = {"endpoint": server.url, "model": "m", "retries": 0, "timeout": 5}
        parity.tuned(tmp_path / "s", parity.prompts()[:6], target=target, signals=[], judges=[]).close()
        service = await LocalService.start(tmp_path / "s", "me")
        await voted(service, 3)
        port = server.url
    # What was made ahead is still there; then the screen is told what is wrong, and how to test it.
    turn = await next_turn(service)
    for _ in range(60):
        if turn.ballot is None:
            break
        turn = await service.vote(Answer(turn.ballot.query, "left"))
        while turn.ballot is None and turn.again is not None and turn.again < 1:
            turn = await service.turn()
    assert turn.ballot is None
    assert "no answer from" in turn.notice
    assert f"curl -sS {port}/models" in turn.notice
    assert turn.again == 10
    votes = len(await service.history())
    assert votes >= 3
    await service.close()
    with Study.open(tmp_path / "s") as study:
        assert len(study.state.votes) == votes
        assert not any(response.failure for response in study.state.responses.values())


async def test_a_model_that_is_down_at_the_start_is_said(tmp_path: Path) -> None:
    target = {"endpoint": "http://127.0.0.1:9/v1", "model": "m", "retries": 0}
    parity.tuned(tmp_path / "s", target=target, judges=[]).close()
    service = await LocalService.start(tmp_path / "s", "me")
    with pytest.raises(BadInputError, match=r"the target model: .* does not answer .*curl"):
        await next_turn(service)
    await service.close()


async def test_two_turns_at_once_are_one(tmp_path: Path) -> None:
    host = TuningHost(parity.tuned(tmp_path / "s", parity.prompts()[:6], judges=[]), "me")
    for vote in range(3):
        first, second = await asyncio.gather(host.turn(), host.turn())
        while first.ballot is None:
            assert first.again is not None
            first, second = await asyncio.gather(host.turn(), host.turn())
        assert second.ballot == first.ballot
        assert first.ballot.number == vote + 1
        await host.vote(Answer(first.ballot.query, "left"))
    await host.close()


async def test_machine_judges_vote_beside_the_person(tmp_path: Path) -> None:
    parity.tuned(
        tmp_path / "s",
        judges=[{"name": "checker", "kind": "reference", "price": 0.01}],
        routing={"router": "all_llm", "person_price": 1.0, "audits": 0.3},
    ).close()
    service = await LocalService.start(tmp_path / "s", "me")
    await next_turn(service)
    for _ in range(150):
        routing = await service.show(views.routing)
        if routing is not None and routing.machines >= 5:
            break
        await asyncio.sleep(0.1)
    assert routing is not None
    assert routing.machines >= 5
    await service.close()
