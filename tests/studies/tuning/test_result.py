"""What is told at the end: intervals that hold, a diff that leads from one text to the other, exports that are read."""

import asyncio
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.files.tables import read_table
from elicit.log.events import Marked, Responded
from elicit.tuning.protocol import Response
from elicit.types import BadInputError
from studies.commands.tuning_session import Measuring, conclude, lines_of
from studies.outlook import progress
from studies.reporting.exports import export
from studies.reporting.status import status_of
from studies.reporting.status_lines import status_lines
from studies.run import run
from studies.study import Study
from studies.tuning.board import board_of
from studies.tuning.result import held_out, paired_interval, parts, result_of, word_changes
from studies.tuning.tuner import Tuner
from tests.studies.tuning import parity
from tui.words import standing_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "study"
    with parity.tuned(folder, votes=40, seed=3) as study:
        run(study, 40, lambda *_: None)
    return folder


def test_the_result_is_measured_on_inputs_nobody_voted_on(folder: Path) -> None:
    told = list[tuple[int, int]]()
    plans = list[Measuring]()

    def agree(plan: Measuring) -> bool:
        plans.append(plan)
        return True

    found = conclude(folder, agree=agree, report=lambda done, total: told.append((done, total)))
    (plan,) = plans
    assert (plan.inputs, plan.total) == (10, 20)
    assert told == [(done, plan.total - plan.done) for done in range(1, plan.total - plan.done + 1)]
    (margin,) = found["margins"]
    assert margin["inputs"] == 10
    assert margin["low"] <= margin["margin"] <= margin["high"]
    assert margin["best"] - margin["seed"] == pytest.approx(margin["margin"])
    assert found["win_rate"][1] <= found["win_rate"][0] <= found["win_rate"][2]
    assert found["best"]["row"] != found["seed"]["row"] == 0
    assert sum(row["p_best"] for row in found["runners"]) + found["best"]["p_best"] <= 1 + 1e-9
    text = "\n".join(lines_of(found))
    for said in ("The best of 16 prompts after 40 votes", "On 10 held-out inputs: exact_match", "What changed"):
        assert said in text
    calls = found["calls"]
    assert (
        conclude(folder, agree=lambda _: pytest.fail("nothing is left to ask about"), report=lambda *_: None)["calls"]
        == calls
    )


@pytest.mark.parametrize("outcomes", [[], ["skip", "skip"], ["skip", "a"]])
def test_every_place_recommends_the_same_and_calls_a_guess_one(outcomes: list[str], tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "study") as study:
        for outcome in outcomes:
            query = asyncio.run(Tuner(study).ask("maya"))
            assert query is not None
            study.tell(query, outcome, "maya")
        board = board_of(study, Tuner(study), progress(study), "")
        result = lines_of(msgspec.to_builtins(result_of(study)) | {"unmeasured": ""})
        said = ["\n".join(status_lines(status_of(study))), standing_of(board), "\n".join(result)]
        guess = "no vote speaks for it yet"
        assert [guess in text for text in said] == 3 * [not {*outcomes} - {"skip"}]
        assert all(str(study.best().id) in text for text in said)  # type: ignore[union-attr]


def test_telling_the_result_without_measuring_writes_nothing(folder: Path) -> None:
    with Study.open(folder, writable=False) as study:
        before = study.state.seq
    conclude(folder, agree=lambda _: False, report=lambda *_: None)
    with Study.open(folder, writable=False) as study:
        assert study.state.seq == before


def test_a_prompts_own_words_are_what_matters(folder: Path) -> None:
    with Study.open(folder, writable=False) as study:
        row = study.engine.best()
        found = parts(study, row)
        assert not found or "".join(part.text for part in found) in study.state.items[row].text
        assert all(part.low <= part.value <= part.high for part in found)
        assert result_of(study).prompts == 16
        assert {row for row, _ in held_out(study)} == {row, 0}


def test_slots_that_make_the_difference_are_worth_most(tmp_path: Path) -> None:
    from elicit.types import Item

    items = [
        Item(f"s{k}", text, meta={"slots": {word: str(word in text) for word in parity.WORDS[2:]}})
        for k, text in enumerate(parity.prompts())
    ]
    with parity.tuned(tmp_path / "s", items, votes=80, seed=1) as study:  # type: ignore[arg-type]
        run(study, 60, lambda *_: None)
        worth = {part.text: part.value for part in parts(study, 12)}
        assert worth["twice: True"] > worth["slowly: True"]
        assert worth["twice: True"] > 0


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60))
def test_an_interval_of_differences_is_honest_and_symmetric(differences: list[float]) -> None:
    found = np.array(differences)
    low, high = paired_interval(found)
    assert -1 <= low < high <= 1
    mirrored = paired_interval(-found)
    assert (low, high) == pytest.approx((-mirrored[1], -mirrored[0]))


def test_an_interval_of_differences_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    for n, p in ((12, (0.1, 0.85, 0.05)), (50, (0.3, 0.6, 0.1)), (50, (0.02, 0.97, 0.01))):
        truth = p[0] - p[2]
        draws = rng.choice([1.0, 0.0, -1.0], size=(1500, n), p=p)
        covered = np.mean([low <= truth <= high for low, high in map(paired_interval, draws)])
        assert covered > 0.93


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_diff_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    found = word_changes(before, after)
    assert "".join(text for mark, text in found if mark != "+") == before
    assert "".join(text for mark, text in found if mark != "-") == after


def test_exports_are_what_other_tools_read(folder: Path, tmp_path: Path) -> None:
    with Study.open(folder, writable=False) as study:
        export(study, str(tmp_path / "best.txt"), table="prompt")
        export(study, str(tmp_path / "promptfooconfig.yaml"), table="promptfoo")
        rows = export(study, str(tmp_path / "dpo.jsonl"), table="trl")
        best = study.best()
    assert (tmp_path / "best.txt").read_text() == best.text + "\n"
    config = json.loads((tmp_path / "promptfooconfig.yaml").read_text())
    assert config["prompts"][0] == {"raw": best.text.replace("{input}", "{{input}}"), "label": best.id}
    assert len(config["tests"]) == 10
    assert config["tests"][0]["assert"][0]["type"] == "equals"
    table = read_table(tmp_path / "dpo.jsonl").rows
    assert len(table) == rows > 20
    for row in table:
        assert [turn["role"] for turn in row.values["prompt"]] == ["user"]
        assert row.values["chosen"][0]["content"] in ("odd", "even")
        assert row.values["chosen"] != row.values["rejected"]


def test_no_prompt_is_recommended_before_one_is_known_to_be_acceptable(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", safety={"limit": 0.1, "confidence": 0.9}) as study:
        for _ in range(30):
            run(study, 1, lambda *_: None)
        found = result_of(study)
        if found.best is None:
            assert "no prompt is known to be unacceptable at most 10 %" in found.safety
            with pytest.raises(BadInputError, match="no prompt is known to be acceptable"):
                export(study, str(tmp_path / "p.txt"), table="prompt")
        assert not (tmp_path / "p.txt").exists()


def test_a_study_of_items_has_no_prompt_to_export(tmp_path: Path) -> None:
    with (
        Study.create(tmp_path / "s", items=["a", "b", "c"]) as study,
        pytest.raises(BadInputError, match="tunes no prompts"),
    ):
        export(study, str(tmp_path / "p.txt"), table="prompt")


def test_a_response_that_failed_counts_as_wrong_in_what_is_measured(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s") as study:
        run(study, 6, lambda *_: None)
        best = study.engine.best()
        other = next(row for row in range(1, 16) if row != best)
        study.record(Marked((other,), "retired"))
        cells = [(row, given) for row, given in held_out(study)]
        study.record(*(Responded(*cell, Response(failure="refused")) for cell in cells if cell[0] == best and best))
        study.record(*(Responded(*cell, Response("odd")) for cell in cells if cell[0] == 0))
        if best:
            assert result_of(study).margins[0].best == 0
