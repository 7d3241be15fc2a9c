"""Laws of the loop: what is asked is a function of the log, nothing is paid twice, and the pool grows and shrinks."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from adapters.llm.target import DownError, SpentError
from elicit.tuning.protocol import Input, fill
from elicit.types import BadInputError
from studies.prompt_inputs import response_key
from studies.replay.verify import verify
from studies.run import run
from studies.study import Study
from studies.tuning.tuner import Tuner
from tests.adapters.serving import Got, Say, completion, serving
from tests.studies.tuning import parity


def voted(study: Study, votes: int) -> str:
    return run(study, votes, lambda *_: None).why


def test_the_best_prompt_is_found_with_a_fraction_of_the_calls(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", votes=40) as study:
        voted(study, 40)
        assert parity.quality(study.best().text) >= 0.7
        assert study.state.calls < len(study.state.items) * 20 * 0.7
        assert verify(study).status == "same"


def test_every_query_is_on_inputs_where_the_responses_differ(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", batch=2) as study:
        voted(study, 12)
        state = study.state
        for asked in state.asked.values():
            query = asked.query
            assert 1 <= len(query.inputs) <= 2
            assert not any(state.inputs[given].held_out for given in query.inputs)
            assert any(
                response_key(state, query.a, given) != response_key(state, query.b, given) for given in query.inputs
            )


def test_a_study_goes_on_where_it_was_left_and_pays_nothing_twice(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "whole") as study:
        voted(study, 10)
        whole = [(a.query.pair, a.query.inputs) for a in study.state.asked.values()]
        calls = study.state.calls
    parity.tuned(tmp_path / "parts").close()
    for _ in range(10):
        with Study.open(tmp_path / "parts") as study:
            voted(study, 1)
    assert [(a.query.pair, a.query.inputs) for a in study.state.asked.values()] == whole
    assert study.state.calls == calls == len(study.state.responses)


def test_prompts_that_respond_alike_are_merged_and_the_last_two_are_named(tmp_path: Path) -> None:
    texts = ["Say {input}.", "Say {input}!", "Say {input}?"]
    with parity.tuned(tmp_path / "s", texts, target={"function": _own(tmp_path, "return 'odd'")}) as study:
        with pytest.raises(BadInputError, match=r"the two prompts left, .* respond alike on all 12 inputs"):
            voted(study, 12)
        (merged,) = study.state.retired_rows()
        assert "does on 12 inputs" in study.state.whys[merged]
        assert not study.state.votes


@pytest.mark.parametrize("prompts", [2, 3, 9])
@pytest.mark.parametrize("inputs", [4, 30])
@pytest.mark.parametrize("said", ['""', '" \\n\\u200b"', '"<think>It is odd, for"'])
def test_where_no_prompt_gets_a_response_the_cause_is_named(
    tmp_path: Path, prompts: int, inputs: int, said: str
) -> None:
    texts = parity.prompts()[:prompts]
    given = parity.inputs(inputs, 1)
    with parity.tuned(tmp_path / "s", texts, given, target={"function": _own(tmp_path, f"return {said}")}) as study:
        why = "all reasoning, no answer" if "think" in said else "gave an empty text"
        with pytest.raises(BadInputError, match=rf"all \d+ responses .*have failed, the last: .*{why}; mend the model"):
            voted(study, 12)
        assert not study.state.votes


def test_a_prompt_without_a_response_retires_with_the_cause(tmp_path: Path) -> None:
    texts = [*parity.prompts()[:4], "Say {input} and fail.", "Fail, {input}, fail."]
    with parity.tuned(tmp_path / "s", texts, votes=30) as study:
        voted(study, 30)
        assert not any(response_key(study.state, *cell) == ("",) for cell in study.state.responses if cell[0] < 4)
        for asked in study.state.asked.values():
            sides = [study.state.responses[row, given] for row in asked.query.pair for given in asked.query.inputs]
            assert not all(response.failure for response in sides)
        assert all("failed, the last: " in study.state.whys[row] for row in study.state.retired_rows() if row > 3)


def test_what_failed_before_the_first_vote_is_tried_again_once_the_target_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    with parity.tuned(tmp_path / "s", target={"function": _own(tmp_path, 'return ""')}) as study:
        with pytest.raises(BadInputError, match="gave an empty text"):
            voted(study, 3)
        calls = study.state.calls
        with pytest.raises(BadInputError, match="gave an empty text"):
            voted(study, 3)
        assert study.state.calls == calls
    file.write_text("from tests.studies.tuning.parity import answer\n\ndef reply(prompt):\n    return answer(prompt)\n")
    with Study.open(tmp_path / "s") as study:
        voted(study, 3)
        assert len(study.state.votes) == 3
        assert not any(response.failure for response in study.state.responses.values())
        assert verify(study).status == "same"


def _own(folder: Path, body: str) -> str:
    """A function of a user's own with this body, as a target names it."""
    (folder / "own.py").write_text(f"def reply(prompt):\n    {body}\n")
    return f"{folder / 'own.py'}:reply"


def test_an_input_that_a_prompt_quotes_is_not_used_for_it(tmp_path: Path) -> None:
    given = [Input(f"i{k}", {"input": f"the number {k}"}, "odd" if k % 2 else "even") for k in range(10, 30)]
    texts = ["Example: the number 11 is odd. {input}", *(t.replace("{input}", "({input})") for t in parity.prompts())]
    with parity.tuned(tmp_path / "s", texts, given) as study:
        voted(study, 15)
        asked = [asked.query for asked in study.state.asked.values()]
        assert any(0 in query.pair for query in asked)
        assert all(1 not in query.inputs for query in asked if 0 in query.pair)


def test_the_pool_grows_from_a_grid_and_replays(tmp_path: Path) -> None:
    with parity.tuned(
        tmp_path / "s", [], votes=30, proposers=["slots"], start=8, grow=3, every=5, screen=2, pool=12
    ) as study:
        # Without a first prompt the grid is all there is.
        voted(study, 16)
        state = study.state
        assert len(state.proposed) == 4
        assert len(state.items) == sum(len(made.items) for made in state.proposed) > 10
        assert len(state.items) - len(state.retired_rows()) <= 12
        assert {"exact_match"} == set(state.signals)
        assert verify(study).status == "same"


def test_a_persons_prompt_joins_unless_it_breaks_a_rule(tmp_path: Path) -> None:
    rules = {"keep": ["{input}"], "forbid": ["please"], "longest": 60}
    with parity.tuned(tmp_path / "s", rules=rules) as study:
        tuner = Tuner(study)
        row = tuner.add("Is {input} odd, or even?", "me", 2)
        assert study.state.items[row].meta["parents"] == [2]
        for text, why in (
            ("Please say what {input} is.", "'please'"),
            ("Is it odd?", "lacks"),
            ("Is {input} odd? " * 9, "long"),
            (study.state.items[0].text + " ", "there already"),
            ("  ", "lacks"),
        ):
            with pytest.raises(BadInputError, match=why):
                tuner.add(text, "me")
        assert len(study.state.items) == row + 1


def test_places_of_other_tools_are_filled_from_wherever_a_prompt_comes(tmp_path: Path) -> None:
    own = tmp_path / "proposer.py"
    own.write_text(
        "from elicit.tuning.protocol import Proposal\n\n\nclass Own:\n    asks = False\n\n"
        "    def begin(self, write):\n        pass\n\n"
        "    async def propose(self, pool, k, rng):\n"
        '        return [Proposal("Tell of ${input} slowly."), Proposal("Is {{number}} odd, really?")]\n'
    )
    texts = ["Is {{input}} odd?", "Exactly: {{ input }}, odd or even?"]
    with parity.tuned(tmp_path / "s", texts, proposers=[f"{own}:Own"], start=4) as study:
        voted(study, 3)
        tuner = Tuner(study)
        tuner.add("Carefully: is { input } odd?", "me")
        with pytest.raises(BadInputError, match=r"cannot join: it has the place {{number}}, and the inputs"):
            tuner.add("Is {{number}} odd?", "me")
        told_ = {item.text for item in study.state.items}
        assert told_ == {
            "Is {input} odd?",
            "Exactly: {input}, odd or even?",
            "Tell of {input} slowly.",
            "Carefully: is {input} odd?",
        }
        dropped = {why for made in study.state.proposed for why in made.dropped}
        assert "it has a place that no input fills" in dropped
    with pytest.raises(BadInputError, match=r"prompt 2: it has the place {{number}}"):
        parity.tuned(tmp_path / "t", ["Is {input} odd?", "Is {{number}} odd?"])
    assert not (tmp_path / "t").exists()


def test_a_pinned_prompt_is_never_retired_by_the_study(tmp_path: Path) -> None:
    texts = ["Say {input} and fail.", *parity.prompts()]
    with parity.tuned(tmp_path / "s", texts, pool=4, proposers=["slots"], grow=2, every=4, start=4) as study:
        from elicit.log.events import Marked

        study.record(Marked((0,), "pinned", "me"))
        voted(study, 14)
        assert study.state.marks[0] == "pinned"
        assert len(study.state.items) - len(study.state.retired_rows()) <= 4


def test_a_budget_of_calls_is_kept_and_said(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", calls=24, votes=50) as study:
        why = voted(study, 50)
        assert "24 model calls is spent" in why
        assert study.state.calls <= 24
        votes = len(study.state.votes)
    file = tmp_path / "s" / "study.toml"
    file.write_text(file.read_text().replace("calls = 24", "calls = 400"))
    with Study.open(tmp_path / "s") as study:
        voted(study, 5)
        assert len(study.state.votes) == votes + 5


def test_inputs_that_all_fail_are_said_at_once(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", [f"Say {k} and fail." for k in ("a", "b", "c", "d")]) as study:
        with pytest.raises(BadInputError, match=r"responses so far have failed, the last: .*there is no number"):
            voted(study, 5)
        assert not study.state.votes


def test_one_prompt_and_nobody_to_propose_is_a_sentence(tmp_path: Path) -> None:
    with (
        parity.tuned(tmp_path / "s", ["Is {input} odd?"]) as study,
        pytest.raises(BadInputError, match="there is 1 prompt to compare"),
    ):
        voted(study, 3)


def test_an_endpoint_that_is_down_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    target = {"endpoint": "http://127.0.0.1:9/v1", "model": "m", "retries": 0}
    with parity.tuned(tmp_path / "s", target=target) as study:
        with pytest.raises(BadInputError, match=r"does not answer .*curl"):
            voted(study, 3)
        assert not study.state.asked


def test_the_log_is_whole_in_json(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", proposers=["slots"], start=18, grow=2, every=3) as study:
        voted(study, 5)
        events = [json.loads(msgspec.json.encode(event)) for event in study.events()]
    kinds = {event["body"]["type"] for event in events}
    assert {"inputs_added", "items_added", "responded", "proposed", "measured", "asked", "voted"} <= kinds


def test_a_target_that_dies_pauses_and_loses_nothing(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s") as study:
        voted(study, 4)

        async def dying() -> None:
            tuner = Tuner(study)

            class Gone:
                async def respond(self, prompt: str, system: str = "", sample: int = 0) -> None:
                    raise DownError("gone; test it with: curl")

            tuner.target = Gone()  # type: ignore[assignment]
            before = study.state.seq
            with pytest.raises(DownError):
                await tuner.respond([(15, 0), (15, 1)])
            assert study.state.seq == before

        asyncio.run(dying())
        voted(study, 3)
        assert len(study.state.votes) == 7


def test_what_responses_rest_on_stays_and_rules_tightened_later_hold(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s") as study:
        voted(study, 4)
    file = tmp_path / "s" / "study.toml"
    whole = file.read_text()
    file.write_text(whole.replace("parity.py:answer", "parity.py:quality"))
    with pytest.raises(BadInputError, match=r"tuning.target.function cannot change from .* after the first vote"):
        Study.open(tmp_path / "s")
    file.write_text(
        whole.replace("[tuning.rules]", '[tuning.rules]\nforbid = ["carefully"]').replace("forbid = []", "")
    )
    with Study.open(tmp_path / "s") as study:
        voted(study, 2)
        assert "carefully" not in study.best().text
        assert len(study.state.retired_rows()) == 8
        assert "it breaks a rule: it has 'carefully'" in study.state.whys.values()


async def test_a_response_that_several_want_at_once_is_made_once(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s") as study:
        tuner, cells = Tuner(study), [(row, given) for row in range(4) for given in range(3)]
        await asyncio.gather(*(tuner.respond(cells) for _ in range(3)))
        assert study.state.calls == len(cells) == len(study.state.responses)
        await tuner.end()


def test_a_few_calls_are_not_all_spent_before_the_first_vote(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", calls=60) as study:
        voted(study, 20)
        assert len(study.state.votes) >= 4


def test_calls_for_the_result_are_held_back(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", calls=40) as study:
        tuner = Tuner(study)
        assert tuner.calls_left(reserve=False) - tuner.calls_left() == 10

        async def beyond() -> None:
            with pytest.raises(SpentError, match="but for what the result"):
                await tuner.respond([(row, given) for row in range(16) for given in range(2)])

        asyncio.run(beyond())
        assert not study.state.responses


async def test_the_best_response_to_one_input_is_looked_for(tmp_path: Path) -> None:
    """A person who prefers longer responses, and a model that writes longer ones the later it is asked."""
    asked = 0

    def answer(got: Got) -> Say:
        nonlocal asked
        asked += bool(got.body)
        return completion(" ".join(["word"] * asked + [f"number {asked}"]))

    async with serving(answer) as server:
        tuning = {
            "task": "Write a birthday wish.",
            "optimises": "response",
            "input": "for Ada, who is 200",
            "target": {"endpoint": server.url, "model": "m"},
            "proposers": ["sample"],
            "start": 6,
            "grow": 3,
            "every": 4,
        }
        with Study.create(tmp_path / "s", items=["Happy birthday!"], tuning=tuning, votes=30) as study:
            tuner = Tuner(study)
            await tuner.begin()
            assert len(study.state.items) == 6
            for _ in range(14):
                query = await tuner.ask("me")
                assert query is not None
                lengths = [len(study.state.items[row].text) for row in (query.a, query.b)]
                study.tell(query, "a" if lengths[0] > lengths[1] else "b", "me")
            await tuner.end()
            assert len(study.state.items) >= 9
            assert {item.context for item in study.state.items} == {"for Ada, who is 200"}
            order = sorted(len(item.text) for item in study.state.items)
            assert len(study.best().text) >= order[len(order) // 2]
            assert verify(study).status == "same"


def test_a_judges_word_is_a_signal_and_is_looked_up_by_name(tmp_path: Path) -> None:
    judges = [{"name": "person", "kind": "reference", "person": True}]
    with parity.tuned(tmp_path / "s", signals=["judge:person", "length"], screen=6, judges=judges) as study:
        voted(study, 4)
        told_ = study.state.signals["judge:person"]
        assert told_[0] == pytest.approx(0.5, abs=0.15)
        careful = [told_[row] for row in range(16) if parity.quality(parity.prompts()[row]) > 0.8]
        careless = [told_[row] for row in range(16) if parity.quality(parity.prompts()[row]) < 0.4]
        assert min(careful) > max(careless)
        assert set(study.state.signals["length"].values()) == {study.state.signals["length"][0]}
        assert verify(study).status == "same"
    with (
        parity.tuned(tmp_path / "t", signals=["judge:nobody"]) as study,
        pytest.raises(BadInputError, match="'judge:nobody' names no judge"),
    ):
        Tuner(study)


async def test_who_has_the_last_pair_is_not_told_that_another_judge_has_it(tmp_path: Path) -> None:
    two = [parity.prompts()[0], parity.prompts()[7]]
    apart = [given for given in parity.inputs(30, 0) if len({parity.answer(fill(text, given)) for text in two}) == 2]
    study = parity.tuned(tmp_path / "s", items=two, given=apart[:3])
    tuner = Tuner(study)
    try:
        for _ in range(3):
            query = await tuner.ask("me", grow=False)
            assert query is not None
            assert study.exhausted("me") == ""
            study.tell(query, "a", "me")
        assert await tuner.ask("me", grow=False) is None
        assert study.exhausted("me") == ("every pair of prompts was compared on every input that it can be compared on")
    finally:
        await tuner.end()
        study.close()
