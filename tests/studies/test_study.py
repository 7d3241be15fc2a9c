"""Laws of a study: the log is the truth, nothing voted is lost, and decisions are a function of spec and votes."""

import itertools
import multiprocessing
import re
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.files.formats import PairRow
from elicit.log.events import SCHEMA
from elicit.log.state import State
from elicit.selection import LONG
from elicit.types import BadInputError, ChoiceOutcome
from studies.decisions import choose_batch
from studies.outlook import outlook
from studies.replay.verify import verify
from studies.reporting.report_data import write_report
from studies.reporting.status import status_of
from studies.study import Study
from tests.studies import making, routed


def belief(study: Study) -> list[float]:
    return [round(float(x), 12) for x in study.engine.posterior.mean()]


def test_a_study_goes_on_where_it_was_left(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=7)
        pending = study.ask("me")
        before = belief(study)
    with Study.open(tmp_path / "study") as again:
        assert again.ask("me") == pending
        assert belief(again) == before
        assert len(again.state.votes) == 7


def test_same_seed_and_votes_give_the_same_queries_and_another_seed_others(tmp_path: Path) -> None:
    found = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        (tmp_path / name).mkdir()
        with making.make(tmp_path / name, seed=seed, selector="thompson") as study:
            making.vote(study, times=8)
            found.append(making.asked(study))
    assert found[0] == found[1] != found[2]


def test_looking_ahead_changes_no_decision(tmp_path: Path) -> None:
    found = []
    for name in ("ahead", "plain"):
        (tmp_path / name).mkdir()
        with making.make(tmp_path / name, selector="thompson") as study:
            for i in range(10):
                study.ask("me")
                if name == "ahead":
                    study.look_ahead("me")
                    study.upcoming("me")
                if i % 4 == 3:
                    study.undo("me")
                    study.ask("me")
                making.vote(study)
            found.append((making.asked(study), belief(study), study.stop()))
    assert found[0] == found[1]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a", "b", "tie", "both_bad", "skip", "undo", "ask", "other", "note"]), max_size=14))
def test_replay_equals_live(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    folder = tmp_path_factory.mktemp("replayed")
    with making.make(folder, n=8) as study:
        for i, step in enumerate(steps):
            judge = "me" if i % 3 else "maya"
            if step == "undo":
                study.undo(judge)
            elif step == "ask":
                study.ask(judge)
            elif step == "note" and study.state.asked:
                study.note(next(iter(study.state.asked)), judge, "hm")
            elif step == "other":
                making.vote(study, "other")
            elif step != "note":
                query = study.ask(judge)
                assert query is not None
                study.tell(query, step, judge)
        live, asked = belief(study), making.asked(study)
    with Study.open(folder / "study", writable=False) as again:
        assert belief(again) == live
        assert making.asked(again) == asked
        found = verify(again)
        assert (found.status, found.checked) == ("same", len(asked))


def test_undo_is_as_if_the_vote_had_never_come(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=4)
        before, query = belief(study), study.ask("me")
        assert query is not None
        study.tell(query, "a", "me", strength=3)
        study.ask("me")
        taken = study.undo("me")
        assert taken is not None
        assert taken.vote.outcome == ChoiceOutcome("a", 3)
        assert belief(study) == before
        assert study.ask("me") == query


def test_undo_has_no_limit_but_the_judges_own_votes(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        prior = belief(study)
        making.vote(study, "maya")
        with_maya = belief(study)
        making.vote(study, "me", times=60)
        for _ in range(60):
            assert study.undo("me")
        assert study.undo("me") is None
        assert belief(study) == with_maya != prior
        assert len(study.state.undone) == 60


def test_undoing_a_vote_under_others_equals_never_having_it(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, "maya")
        first = study.state.votes[0].vote
        making.vote(study, "me", times=3)
        study.undo("maya")
        others = [live.vote for live in study.state.votes]
        assert first not in others
        fresh = study.engine.fork()
        while fresh.votes:
            fresh.retract()
        fresh.learn(others)
        assert [round(float(x), 12) for x in fresh.posterior.mean()] == belief(study)


def test_two_judges_never_hold_the_same_pair_and_nobody_is_asked_twice(tmp_path: Path) -> None:
    with making.make(tmp_path, n=6) as study:
        for _ in range(7):
            pairs = [q.pair for q in (study.ask("me"), study.ask("maya")) if q]
            assert len(set(pairs)) == 2
            making.vote(study, "me")
            making.vote(study, "maya")
        for judge in ("me", "maya"):
            own = [live.vote.pair for live in study.state.votes if live.vote.judge == judge]
            assert len(set(own)) == len(own) == 7


def test_sides_are_shuffled_evenly(tmp_path: Path) -> None:
    with making.make(tmp_path, selector="random") as study:
        making.vote(study, times=120)
        left = sum(shown == "ab" for _, _, shown in making.asked(study))
        assert 35 <= left <= 85


def test_a_vote_is_recorded_before_it_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with making.make(tmp_path) as study:
        query = study.ask("me")
        assert query is not None
        engine = study.engine

        def crash(votes: object) -> None:
            raise RuntimeError("power cut")

        monkeypatch.setattr(engine, "learn", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            study.tell(query, "a", "me")
    with Study.open(tmp_path / "study") as again:
        assert len(again.state.votes) == 1
        assert len(again.engine.votes) == 1


def test_a_query_is_answered_once_by_a_judge(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        query = study.ask("me")
        assert query is not None
        study.tell(query, "a", "me")
        with pytest.raises(BadInputError, match="undo that vote first"):
            study.tell(query, "b", "me")
        with pytest.raises(BadInputError, match="never asked"):
            study.tell(9999, "b", "me")
        second = study.ask("me")
        assert second is not None
        with pytest.raises(BadInputError, match="not an outcome"):
            study.tell(second, "left", "me")
        with pytest.raises(BadInputError, match="not an outcome"):
            study.tell(second, "tie", "me", strength=2)
        assert len(study.state.votes) == 1


def test_the_budget_ends_the_study_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    with making.make(tmp_path, votes=3) as study:
        making.vote(study, times=3)
        assert study.ask("me") is None
        assert "budget of 3 votes" in study.exhausted("me")
    edit(tmp_path / "study", "votes = 3", "votes = 5")
    with Study.open(tmp_path / "study") as again:
        making.vote(again, times=2)
        assert again.ask("me") is None


@pytest.mark.parametrize("labelling", [True, False])
def test_a_pair_on_a_screen_is_left_to_do_wherever_that_is_told(labelling: bool, tmp_path: Path) -> None:
    """Also where another person has spent the votes meanwhile."""
    what = {"pairs": routed.pairs(4)} if labelling else {"items": [f"Text {k}" for k in range(4)]}
    with Study.create(tmp_path / "study", votes=2, **what) as study:  # type: ignore[arg-type]
        on_screen = study.ask("maya")
        assert on_screen is not None
        for _ in range(2):
            study.tell(study.ask("tom").id, "a", "tom")  # type: ignore[union-attr]
            assert outlook(study) == outlook(study, "maya")
            assert not outlook(study).ended
        study.tell(on_screen, "a", "maya")
        assert outlook(study).ended == outlook(study, "maya").ended != ""


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "study.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_an_edit_that_changes_decisions_becomes_an_event_and_replays(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=3)
    edit(tmp_path / "study", 'selector = "default"', 'selector = "random"')
    with Study.open(tmp_path / "study") as again:
        making.vote(again, times=3)
        kinds = [type(event.body).__name__ for event in again.events()]
        assert kinds.count("SpecChanged") == 1
        assert {a.query.selector for a in again.state.asked.values()} == {"eubo", "random"}
        assert verify(again).status == "same"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("seed = 0", "seed = 1", "seed cannot change from 0 to 1 after the first vote, because"),
        ('embedder = "wordllama"', 'embedder = "none"', "embedder cannot change"),
        ('goal = "best"', 'goal = "rank"', "goal cannot change"),
        ("votes = 200", "votes = -1", "field 'votes'"),
        ("votes = 200", "votes = 'many'", "field 'votes'"),
        ("votes = 200", "wotes = 200", "wotes"),
        ("regret = 0.05", "regret = 1.5", "field 'stop.regret'"),
        ('selector = "default"', 'selector = "eubbo"', "known are: borda, champion, copeland, d_optimal"),
        ("seed = 0", "seed = ", "line "),
    ],
)
def test_an_edit_that_cannot_be_is_refused_with_the_reason(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with making.make(tmp_path) as study:
        making.vote(study)
        events = study.state.seq
    edit(tmp_path / "study", old, new)
    with pytest.raises(BadInputError, match=re.escape(reason)) as caught:
        Study.open(tmp_path / "study")
    assert "\n" not in str(caught.value)
    edit(tmp_path / "study", new, old)
    with Study.open(tmp_path / "study") as again:
        assert again.state.seq == events


def test_the_seed_may_change_before_the_first_vote(tmp_path: Path) -> None:
    making.make(tmp_path).close()
    edit(tmp_path / "study", "seed = 0", "seed = 1")
    with Study.open(tmp_path / "study") as again:
        making.vote(again, times=2)
        assert verify(again).status == "same"


def test_a_changed_log_is_found_out(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=5)
    database = sqlite3.connect(tmp_path / "study" / "study.db")
    (seq, body) = database.execute("SELECT seq, body FROM events WHERE type = 'voted' ORDER BY seq").fetchone()
    turned = body.replace('"choice":"a"', '"choice":"x"').replace('"choice":"b"', '"choice":"a"')
    database.execute("UPDATE events SET body = ? WHERE seq = ?", [turned.replace('"choice":"x"', '"choice":"b"'), seq])
    database.execute("UPDATE events SET digest = NULL")  # as a release before digests wrote them
    database.commit()
    database.close()
    with Study.open(tmp_path / "study", writable=False) as again:
        found = verify(again)
    assert found.status == "divergence"
    assert found.event is not None


def test_a_log_of_another_algorithm_is_not_called_divergence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=2)
    monkeypatch.setattr("studies.replay.verify.ENGINE", "another")
    with Study.open(tmp_path / "study", writable=False) as again:
        assert verify(again).status == "different engine"


def _open_and_wait(
    folder: Path, ready: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event"
) -> None:
    with Study.open(folder):
        ready.set()
        done.wait(30)


def test_a_second_writer_gets_a_sentence_and_readers_read_on(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=2)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_open_and_wait, args=(tmp_path / "study", ready, done))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(BadInputError, match=f"open in another process .process {other.pid}.; close that one first"):
            Study.open(tmp_path / "study")
        with Study.open(tmp_path / "study", writable=False) as reader:
            assert status_of(reader)["votes"] == 2
    finally:
        done.set()
        other.join(30)
    with Study.open(tmp_path / "study") as again:
        making.vote(again)


def test_a_newer_format_is_refused_in_one_sentence(tmp_path: Path) -> None:
    making.make(tmp_path).close()
    database = sqlite3.connect(tmp_path / "study" / "study.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(BadInputError, match=rf"newer release \(format 99, this one reads up to {SCHEMA}\); upgrade"):
        Study.open(tmp_path / "study")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    making.make(tmp_path).close()
    (tmp_path / "study" / "study.db").write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(BadInputError, match="elicit backup"):
        Study.open(tmp_path / "study")


def test_a_backup_of_a_study_in_use_is_a_whole_study(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=3)
        with Study.open(tmp_path / "study", writable=False) as reader:
            reader.backup(tmp_path / "copy")
        making.vote(study)
    with Study.open(tmp_path / "copy") as copy:
        assert len(copy.state.votes) == 3
        making.vote(copy)
        assert verify(copy).status == "same"
    with Study.open(tmp_path / "study") as study, pytest.raises(BadInputError, match="already exists"):
        study.backup(tmp_path / "copy")


def test_forgetting_removes_every_byte_of_a_name_and_keeps_the_votes(tmp_path: Path) -> None:
    name, secret = "Marguerite-Yourcenar", "my telephone number is 555"
    with making.make(tmp_path) as study:
        making.vote(study, name, times=3)
        query = study.ask(name)
        assert query is not None
        study.tell(query, "tie", name, note=secret)
        study.note(query.id, name, secret + "2")
        making.vote(study, "other")
        before = belief(study)
    with Study.open(tmp_path / "study") as study:
        pseudonym = study.forget(name)
        assert name not in pseudonym
    for file in (tmp_path / "study").iterdir():
        data = file.read_bytes()
        assert name.encode() not in data
        assert secret.encode() not in data
    with Study.open(tmp_path / "study") as again:
        assert belief(again) == before
        assert [live.vote.judge for live in again.state.votes] == [pseudonym] * 4 + ["other"]
        assert verify(again).status == "same"
        with pytest.raises(BadInputError, match="no judge called"):
            again.forget(name)


def test_a_vote_is_kept_when_what_follows_cannot_be_computed(tmp_path: Path) -> None:
    """A selector of the user's own that fails after two votes costs no vote, looked ahead or not."""
    file = tmp_path / "fragile.py"
    file.write_text(
        "from bandits.random import RandomPairs\n"
        "class Fragile(RandomPairs):\n"
        "    def select(self, posterior, votes, candidates, k, rng):\n"
        "        if len(votes) >= 2: raise RuntimeError('broken')\n"
        "        return super().select(posterior, votes, candidates, k, rng)\n"
    )
    with making.make(tmp_path, selector=f"{file}:Fragile") as study:
        for _ in range(2):
            query = study.ask("me")
            assert query is not None
            study.look_ahead("me")
            study.upcoming("me")
            study.tell(query, "a", "me")
        assert len(study.state.votes) == 2
        with pytest.raises(BadInputError, match="broken; line 4"):
            study.ask("me")
    with Study.open(tmp_path / "study", writable=False) as again:
        assert len(again.state.votes) == 2


def test_what_a_vote_carries_besides_its_outcome_decides_nothing(tmp_path: Path) -> None:
    file = tmp_path / "nosy.py"
    file.write_text(
        "from bandits.random import RandomPairs\n"
        "class Nosy(RandomPairs):\n"
        "    def select(self, posterior, votes, candidates, k, rng):\n"
        "        told = repr([(v.outcome, v.seconds, v.reasons, v.note) for v in votes])\n"
        "        picks = super().select(posterior, votes, candidates, k, rng)\n"
        "        return [p._replace(score=float(len(told))) for p in picks]\n"
    )
    with making.make(tmp_path, selector=f"{file}:Nosy") as study:
        for outcome in ("both_bad", "a", "skip", "tie"):
            query = study.ask("me")
            assert query is not None
            study.look_ahead("me")
            study.upcoming("me")
            study.tell(query, outcome, "me", seconds=3.0, reasons=("clearer",), note="well")
        study.ask("me")
        assert verify(study).status == "same"


def test_a_small_pool_is_gone_round_before_a_pair_comes_again(tmp_path: Path) -> None:
    with making.make(tmp_path, n=4) as study:
        making.vote(study, times=24)
        pairs = [live.vote.pair for live in study.state.votes]
        assert len(set(pairs[:6])) == 6
        assert all(len(set(pairs[i : i + 4])) == 4 for i in range(20))


def test_a_skipped_pair_is_left_for_others(tmp_path: Path) -> None:
    with Study.create(tmp_path / "labels", pairs=PAIRS[:2]) as study:
        for _ in range(2):
            query = study.ask("me")
            assert query is not None
            study.tell(query, "skip", "me")
        assert study.ask("me") is None
        assert "every pair is answered" in study.exhausted("me")
        assert study.ask("maya") is not None


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"seconds": "x"}, "seconds"),
        ({"seconds": -1.0}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"reasons": "abc"}, "reasons"),
        ({"reasons": [1]}, "cannot be recorded"),
        ({"note": 5}, "cannot be recorded"),
        ({"note": "half \ud800"}, "cannot be recorded"),
        ({"judge": 5}, "cannot be recorded"),
    ],
)
def test_what_could_not_be_read_back_is_never_written(tmp_path: Path, wrong: dict[str, object], reason: str) -> None:
    with making.make(tmp_path) as study:
        query = study.ask("me")
        assert query is not None
        with pytest.raises(BadInputError, match=reason):
            study.tell(query, "a", **({"judge": "me"} | wrong))  # type: ignore[arg-type]
        study.tell(query, "a", "me")
    with Study.open(tmp_path / "study") as again:
        assert len(again.state.votes) == 1


def test_an_edit_that_cannot_load_leaves_no_trace(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study)
        events = study.state.seq
    edit(tmp_path / "study", 'selector = "default"', 'selector = "nowhere.py:Mine"')
    with pytest.raises(BadInputError, match=r"no file 'nowhere\.py'"):
        Study.open(tmp_path / "study")
    with Study.open(tmp_path / "study", writable=False) as reader:
        assert reader.state.seq == events
        assert status_of(reader)["votes"] == 1


def test_an_edit_of_the_budget_shows_before_the_next_vote(tmp_path: Path) -> None:
    making.make(tmp_path).close()
    edit(tmp_path / "study", "votes = 200", "votes = 77")
    with Study.open(tmp_path / "study", writable=False) as reader:
        assert status_of(reader)["budget"] == 77


def test_a_backup_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with making.make(tmp_path) as study, pytest.raises(BadInputError, match="cannot be written"):
        study.backup(tmp_path / "file" / "copy")


def test_embeddings_of_ones_own_replace_the_texts(tmp_path: Path) -> None:
    items = [{"text": f"t{i}", "embedding": [float(i), 1.0 - i]} for i in range(4)]
    with Study.create(tmp_path / "s", items=items) as study:
        making_features = study.engine._features
        assert making_features is not None
        assert making_features.shape == (4, 2)


def test_the_newest_note_replaces_the_one_before(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        query = study.ask("me")
        assert query is not None
        study.tell(query, "a", "me", note="first")
        study.note(query.id, "maya", "not mine")
        study.note(query.id, "me", "second")
        assert study.state.note_of(study.state.votes[0]) == "second"
        study.note(query.id, "me", "")
        assert study.state.note_of(study.state.votes[0]) == ""


@pytest.mark.parametrize("damage", ["empty", "torn"])
def test_a_damaged_log_is_said_in_a_sentence(tmp_path: Path, damage: str) -> None:
    with making.make(tmp_path) as study:
        making.vote(study, times=3)
    file = tmp_path / "study" / "study.db"
    data = bytearray(file.read_bytes())
    data[4096:] = b"\x00" * (len(data) - 4096)
    file.write_bytes(b"" if damage == "empty" else bytes(data))
    with pytest.raises(BadInputError, match="restore") as caught:
        Study.open(tmp_path / "study", writable=False)
    assert "\n" not in str(caught.value)


PAIRS = [
    PairRow(f"p{i}", f"Question {i}?", f"answer {i} short", f"a long answer to {i}, with reasons") for i in range(9)
]


def test_a_labelling_study_asks_each_pair_once_and_ends(tmp_path: Path) -> None:
    with Study.create(tmp_path / "labels", pairs=PAIRS) as study:
        assert study.spec.goal == "label"
        seen = set()
        while (query := study.ask("me")) is not None:
            a, b = study.state.items[query.a], study.state.items[query.b]
            assert a.context == b.context
            seen.add(query.pair)
            study.tell(query, "b" if len(a.text) < len(b.text) else "a", "me")
        assert len(seen) == 9
        rows = status_of(study)
        assert (rows["pairs"], rows["labelled_by_votes"]) == (9, 9)


def test_a_long_list_is_replayed_as_it_was_asked(tmp_path: Path) -> None:
    """Whoever asks, ahead of time, in a batch, or after a restart: every decision looks at its part of the list."""
    texts = [f"answer {i} {'with reasons ' * (i % 7)}" for i in range(93)]
    pairs = [PairRow(f"{a} {b}", "", a, b) for a, b in itertools.combinations(texts, 2)]
    assert len(pairs) > LONG
    folder = tmp_path / "labels"
    with Study.create(folder, pairs=pairs) as study:
        for i in range(8):
            judge = ("me", "maya")[i % 3 == 2]
            query = study.ask(judge)
            assert query is not None
            study.look_ahead(judge)
            study.tell(query, "ab"[i % 2], judge)
        study.stock(choose_batch(study.engine, study.state, 3))
        query = study.ask("me")
        assert query is not None
        study.tell(query, "tie", "me")
    with Study.open(folder) as study:
        study.stock(choose_batch(study.engine, study.state, 2))
        asked = making.asked(study)
        assert len({(a, b) for a, b, _ in asked}) == len(asked) == 14
        found = verify(study)
        assert (found.status, found.checked) == ("same", 14)


def test_identical_responses_and_shared_ones_are_told_apart(tmp_path: Path) -> None:
    pairs = [
        PairRow("one", "Q", "same", "same", {"model_a": "x", "model_b": "y"}),
        PairRow("two", "Q", "same", "other"),
        PairRow("three", "Q", "other", "third"),
    ]
    with Study.create(tmp_path / "labels", pairs=pairs) as study:
        assert len(study.state.items) == 5
        assert all(a != b for _, a, b in study.state.pairs)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"items": []}, "there are no items"),
        ({"items": ["only one"]}, "only one item"),
        ({"items": ["one", "one"]}, "same item"),
        ({"items": ["one", "two"], "goal": "label"}, "goal 'label' goes with pairs"),
        ({"items": ["one", "two"], "goal": "win"}, "win"),
        ({"items": ["one", "two"], "goal": "top", "top": 2}, "the top 2 are to be found, but there are 2 items"),
        ({"items": ["one", "two"], "votes": 0}, "votes"),
        ({"items": ["one", "two"], "colour": "red"}, "colour"),
        ({"items": ["one", "two"], "model": "gpp"}, "known are: bradley_terry"),
        ({}, "items or of pairs"),
        ({"items": [{"text": "one", "context": "x"}, {"text": "two", "context": "y"}]}, "2 different contexts"),
    ],
)
def test_what_cannot_be_a_study_leaves_nothing_behind(
    tmp_path: Path, arguments: dict[str, object], reason: str
) -> None:
    with pytest.raises(BadInputError, match=reason) as caught:
        Study.create(tmp_path / "new", **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInputError, match="already exists"):
        making.make(tmp_path)
    assert (tmp_path / "study" / "thesis.txt").read_text() == "years of work"


def test_folding_a_log_with_a_gap_is_refused(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        making.vote(study)
        events = list(study.events())
    state = State().fold(events[0])
    with pytest.raises(BadInputError, match="jumps from event 1 to 3"):
        state.fold(events[2])


def test_the_top_few_are_found_and_reported(tmp_path: Path) -> None:
    with making.make(tmp_path, n=8, goal="top", top=3) as study:
        while not study.stop().stop:
            making.vote(study, noise=0.1)
        scores = [item.meta["score"] for item in study.state.items]
        assert {scores[row] for row in study.engine.top()} == {5, 6, 7}
        assert "top 3" in status_of(study)["why"]
        write_report(study, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().count("<li value=") == 3
    with Study.open(tmp_path / "study", writable=False) as again:
        assert verify(again).status == "same"
