"""The last bits of what is computed: the same wherever numbers lie in memory, with however many threads."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elicit.arithmetic import CODE_PATH, VARIABLE, code_path_in_force, limited_threads
from elicit.engine import Engine
from elicit.log.events import EngineChanged
from elicit.plugins import registry
from studies.replay.verify import verify
from studies.reporting.status import status_of
from studies.study import Study
from tests.studies import making


def run(*command: str, **environment: str | None) -> str:
    """What a fresh process prints; a variable that is None is not set in it."""
    changed = {name: value for name, value in environment.items() if value is not None}
    kept = {name: value for name, value in os.environ.items() if name not in environment}
    done = subprocess.run(
        [sys.executable, *command], env={**kept, **changed}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]


def misplaced(*options: str, **environment: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("-m", "tests.elicit.misplaced", *options, **environment))
    if not found["path"]:
        pytest.skip("torch computes without MKL here")
    return found


# MKL_ENABLE_INSTRUCTIONS lets it compute as on a processor without AVX2, where it looks at how numbers are aligned.
@pytest.mark.parametrize("instructions", [None, "SSE4_2"])
def test_where_numbers_lie_in_memory_decides_nothing(instructions: str | None) -> None:
    found = misplaced(MKL_CBWR=None, MKL_ENABLE_INSTRUCTIONS=instructions)
    assert found["path"] in (CODE_PATH, "AUTO,STRICT")
    assert set(found["results"].values()) == {1}


def test_without_a_fixed_path_it_decides() -> None:
    found = misplaced("--products", MKL_CBWR="", MKL_ENABLE_INSTRUCTIONS="SSE4_2")
    assert found["path"] == "OFF"
    if found["results"]["products"] == 1:
        pytest.skip("MKL is indifferent to alignment on this processor by itself")


@pytest.mark.parametrize(
    "first",
    [
        "import elicit",
        "import torch, elicit",
        "import torch, studies.local.voting_host",
        "import torch, tui.app",
        "import torch, bandits.eubo",
    ],
)
def test_every_entry_fixes_the_path(first: str) -> None:
    code = (
        f"{first}; import torch; torch.ones(9, 9) @ torch.ones(9, 9);"
        "from elicit.arithmetic import code_path_in_force; print('path', code_path_in_force())"
    )
    assert run("-c", code, MKL_CBWR=None) in ("path AVX2,STRICT", "path AUTO,STRICT", "path ")


def test_a_path_that_the_user_named_stays() -> None:
    code = "import os, elicit; print(os.environ['MKL_CBWR'])"
    assert run("-c", code, MKL_CBWR="COMPATIBLE") == "COMPATIBLE"


@pytest.fixture
def threads() -> Iterator[int]:
    """More threads than one, as a program that imports elicit may have them."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


class Counting:
    """Selects as eubo does, and notes with how many threads."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self._inner = registry.selector("eubo", {})

    def select(self, *given: Any) -> Any:
        self.threads.append(torch.get_num_threads())
        return self._inner.select(*given)


def test_an_engine_computes_with_one_thread_and_leaves_the_others(threads: int) -> None:
    engine = Engine(np.random.default_rng(1).standard_normal((40, 3)), device="cpu")
    counting = Counting()
    engine._selector = counting
    query = engine.ask()
    engine.tell(query.a, query.b, "a")
    for use in (engine.best, engine.p_best, engine.utilities, engine.should_stop, engine.retract):
        use()
        assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match="a fault"), limited_threads(3):
        raise ValueError("a fault")
    assert counting.threads == [1]
    assert torch.get_num_threads() == threads


def test_a_study_leaves_the_threads_as_they_are_and_decides_the_same_with_any(tmp_path: Path, threads: int) -> None:
    decided = []
    for number in (threads, 1):
        torch.set_num_threads(number)
        folder = tmp_path / str(number)
        with Study.create(folder, items=[f"Answer {n}" for n in range(40)], seed=3) as study:
            for _ in range(4):
                query = study.ask()
                assert query is not None
                study.tell(query.id, "a")
            status_of(study)
            assert torch.get_num_threads() == number
            decided.append([(asked.query.a, asked.query.b, asked.query.score) for asked in study.state.asked.values()])
        with Study.open(folder, writable=False) as study:
            assert verify(study).status == "same"
        assert torch.get_num_threads() == number
    assert decided[0] == decided[1]


def test_the_log_tells_which_path_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, CODE_PATH)
    with making.make(tmp_path) as study:
        making.vote(study, times=2)
        assert study.state.code_path == CODE_PATH
    folder = tmp_path / "study"
    monkeypatch.setenv(VARIABLE, "COMPATIBLE")
    for _ in range(2):
        with Study.open(folder) as study:
            making.vote(study)
            changes = [event.body for event in study.events() if isinstance(event.body, EngineChanged)]
            assert [change.code_path for change in changes] == ["COMPATIBLE"]
            assert verify(study).status == "same"


def test_the_path_in_force_is_known() -> None:
    assert code_path_in_force() in ("", os.environ[VARIABLE], "AUTO,STRICT")
