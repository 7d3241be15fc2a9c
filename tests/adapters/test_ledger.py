"""What every ledger keeps to; a new one joins `LEDGERS`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.ledger import SqliteLedger
from elicit.log.events import Body, Created, ItemsAdded, Noted, Paused
from elicit.log.ledger import Ledger
from elicit.types import BadInputError, Item

Opening = Callable[[Path], Ledger]
LEDGERS: dict[str, Opening] = {"sqlite": lambda folder: SqliteLedger(folder, writable=True)}
BESIDE: dict[str, Opening] = {"sqlite": lambda folder: SqliteLedger(folder, writable=True, beside=True)}
BEGINNING = [Created(3, "3", {}), ItemsAdded((Item("a", "one"), Item("b", "two")))]


@pytest.fixture(params=LEDGERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ledger(name: str, tmp_path: Path) -> Iterator[Ledger]:
    with closing(LEDGERS[name](tmp_path)) as opened:
        opened.append(BEGINNING)
        yield opened


def test_events_are_numbered_from_one_without_gaps(ledger: Ledger) -> None:
    more = ledger.append([Paused(True), Paused(False)])
    assert [event.seq for event in more] == [3, 4]
    assert [event.seq for event in ledger.read()] == [1, 2, 3, 4]
    assert [event.body for event in ledger.read(2)] == [Paused(True), Paused(False)]


def test_what_cannot_be_recorded_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(BadInputError):
        ledger.append([Paused(True), Noted(1, "maya", "\ud800")])
    assert len(list(ledger.read())) == len(BEGINNING)


def test_another_owner_is_refused_until_the_first_lets_go(name: str, ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="open in another process"):
        LEDGERS[name](tmp_path)
    ledger.close()
    with closing(LEDGERS[name](tmp_path)) as again:
        assert len(list(again.read())) == len(BEGINNING)


def test_two_that_write_beside_each_other_share_one_numbering(name: str, ledger: Ledger, tmp_path: Path) -> None:
    with closing(BESIDE[name](tmp_path)) as other:

        def write(to: Ledger, who: str) -> None:
            for i in range(30):
                to.append([Noted(1, who, str(i)), Noted(2, who, str(i))])

        threads = [threading.Thread(target=write, args=pair) for pair in ((ledger, "one"), (other, "two"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = list(ledger.read(len(BEGINNING)))
    assert [event.seq for event in events] == list(range(len(BEGINNING) + 1, len(BEGINNING) + 121))
    for who in ("one", "two"):
        mine = [event.body for event in events if isinstance(event.body, Noted) and event.body.judge == who]
        assert [note.text for note in mine] == [str(i) for i in range(30) for _ in range(2)]
    pairs = zip(events[::2], events[1::2], strict=True)  # what was appended at once stands together
    assert all(_note(first.body) == _note(second.body) for first, second in pairs)


def _note(body: Body) -> tuple[str, str]:
    assert isinstance(body, Noted)
    return body.judge, body.text


def test_a_backup_is_whole_while_others_write(name: str, ledger: Ledger, tmp_path: Path) -> None:
    (copy := tmp_path / "copy").mkdir()
    ledger.append([Noted(1, "maya", "kept")])
    ledger.backup(copy)
    ledger.append([Noted(1, "maya", "later")])
    with closing(LEDGERS[name](copy)) as copied:
        assert [event.body for event in copied.read(2)] == [Noted(1, "maya", "kept")]


def test_a_forgotten_judge_leaves_no_trace_also_when_it_is_done_again(
    name: str, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.append([Noted(1, "maya-the-bee", "a note of hers"), Noted(1, "other", "stays")])
    assert ledger.forget("maya-the-bee", "somebody") == 1
    events = list(ledger.read(2))
    assert [event.body for event in events if isinstance(event.body, Noted)] == [
        Noted(1, "somebody", ""),
        Noted(1, "other", "stays"),
    ]
    assert ledger.forget("maya-the-bee", "somebody") == 0
    assert list(ledger.read(2)) == events
    ledger.check()
    ledger.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"maya-the-bee" not in file.read_bytes()
            assert b"a note of hers" not in file.read_bytes()
    with closing(LEDGERS[name](tmp_path)) as again:
        again.append([Paused(True)])
        assert list(again.read(2))[:-1] == events
