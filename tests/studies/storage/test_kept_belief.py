"""A belief kept beside the log changes nothing but the time that a start takes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from elicit.types import Vote
from studies.replay.verify import verify
from studies.storage import kept_belief
from studies.study import CLOSING, Study
from tests.studies import making

VOTES = CLOSING + 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study with enough votes that its belief is kept."""
    with making.make(tmp_path, n=8, embedder="none", votes=10_000) as study:
        making.vote(study, "maya", times=VOTES)
    return tmp_path / "study"


def learnt_by(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, object]:
    """How many votes were learnt anew to open the study, and what it then decides and believes."""
    from elicit.engine import Engine

    learn, learnt = Engine.learn, []

    def counted(engine: Engine, votes: Sequence[Vote]) -> None:
        learnt.append(len(votes))
        learn(engine, votes)

    with monkeypatch.context() as patched, Study.open(folder, writable=False) as study:
        patched.setattr(Engine, "learn", counted)
        engine = study.engine
        told = (engine.ask(5), engine.p_best().tobytes(), engine.utilities()[1].tobytes(), engine.votes, study.stop())
    return sum(learnt), told


def test_with_it_and_without_it_a_study_decides_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, told = learnt_by(folder, monkeypatch)
    (folder / kept_belief.FILE).unlink()
    all_of_them, told_without = learnt_by(folder, monkeypatch)
    assert (few, all_of_them) == (48, VOTES)
    assert told == told_without
    assert not (folder / kept_belief.FILE).exists()  # who only reads writes nothing


def test_after_going_on_and_taking_back_it_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Study.open(folder) as study:
        making.vote(study, "maya", times=3)
        for _ in range(60):
            study.undo("maya")
        making.vote(study, "tom", times=2)
    _, told = learnt_by(folder, monkeypatch)
    with Study.open(folder, writable=False) as study:
        assert verify(study).status == "same"
    (folder / kept_belief.FILE).unlink()
    assert learnt_by(folder, monkeypatch)[1] == told


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "noise", "zeros"])
def test_a_damaged_one_is_ignored_and_written_anew(folder: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / kept_belief.FILE
    data = file.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) * 3 // 4] ^= 1
    wrong = {"bit": bytes(flipped), "cut": data[:-9], "empty": b"", "noise": b"noise" * 99, "zeros": bytes(len(data))}
    expected = learnt_by(folder, monkeypatch)
    file.write_bytes(wrong[damage])
    learnt, told = learnt_by(folder, monkeypatch)
    assert (learnt, told) == (VOTES, expected[1])
    with Study.open(folder) as study:
        assert len(study.engine.votes) == VOTES
    assert learnt_by(folder, monkeypatch) == expected


def test_one_of_another_log_or_release_is_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Study.open(folder) as study:
        study.forget("maya")
    assert not (folder / kept_belief.FILE).exists()  # it knew the name
    with Study.open(folder) as study:
        assert len(study.engine.votes) == VOTES
    assert learnt_by(folder, monkeypatch)[0] == 48
    monkeypatch.setattr(kept_belief, "ENGINE", "another")
    assert learnt_by(folder, monkeypatch)[0] == VOTES


def test_a_changed_weight_or_model_asks_for_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from elicit.log.events import Weighed

    with Study.open(folder) as study:
        study.weigh([Weighed("maya", 0.5, "by hand")])
    learnt, told = learnt_by(folder, monkeypatch)
    assert learnt == VOTES
    (folder / kept_belief.FILE).unlink()
    assert learnt_by(folder, monkeypatch)[1] == told
    toml = folder / "study.toml"
    toml.write_text(toml.read_text().replace('model = "default"', 'model = "bradley_terry"'))
    with Study.open(folder) as study:
        assert len(study.engine.votes) == VOTES
    toml.write_text(toml.read_text().replace('model = "bradley_terry"', 'model = "intransitive"'))
    with Study.open(folder):
        pass
    assert learnt_by(folder, monkeypatch)[0] == VOTES


def test_a_folder_that_cannot_take_it_costs_nothing_but_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with making.make(tmp_path, n=8, embedder="none", votes=10_000) as study:
        making.vote(study, "maya", times=VOTES)
        (tmp_path / "study" / kept_belief.FILE).mkdir()
    assert learnt_by(tmp_path / "study", monkeypatch)[0] == VOTES
