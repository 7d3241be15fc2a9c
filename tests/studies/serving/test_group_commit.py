"""Many writers of one real log: what closing does to those that are still waiting."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.log.events import Event, Paused
from elicit.service.http_schema import ServiceError
from studies.serving.group_commit import GroupCommitter
from studies.storage import folders
from studies.study import Study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("committing") / "study"
    Study.create(folder, items=["one", "two"]).close()
    return folder


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 8))
def test_closing_leaves_no_writer_waiting(folder: Path, pauses: list[int], close_after: int) -> None:
    """pauses: turns of the loop before each writer comes; close_after: turns before the closing."""
    ledger, state, _ = folders.load(folder, writable=True, beside=False)
    told: list[int] = []

    async def write(commits: GroupCommitter, pause: int) -> Event | None:
        for _ in range(pause):
            await asyncio.sleep(0)
        try:
            return (await commits.commit(Paused(True, "boss")))[0]
        except ServiceError:
            return None

    async def run() -> list[Event | None]:
        commits = GroupCommitter(ledger, state, lambda event: told.append(event.seq))
        writers = [asyncio.create_task(write(commits, pause)) for pause in pauses]
        for _ in range(close_after):
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await commits.close()
            return await asyncio.gather(*writers)

    with closing(ledger):
        before = state.seq
        written = [event.seq for event in asyncio.run(run()) if event]
        on_file = [event.seq for event in ledger.read(before)]
    assert sorted(written) == on_file == told
