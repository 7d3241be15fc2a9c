"""Judges that ask a language model, held to laws on a real local server whose model judges by numbers."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from elicit.plugins import registry
from elicit.routing.judging import ModelJudge, TaughtJudge
from elicit.types import BadInputError, ChoiceOutcome, Item, JudgeFailure, Query, Verdict, Vote
from tests.adapters.serving import Got, Say, Server, completion, honest, message, serving

KINDS = ["aspects", "pairwise", "pointwise", "rubric"]
ITEMS = [Item(f"i{k}", f"answer number {k}", context="what?", meta={"gold": "five 5"}) for k in range(1, 6)]
KEY = "sk-test/0123456789+abc"
PRICES = {"price_in": 1e4, "price_out": 1e4}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(honest) as server:
        yield server


def make(kind: str, server: Server, folder: Path, name: str = "judge", **options: Any) -> Any:
    given = {"endpoint": server.url, "model": "m", "backoff": 1e-3, "retries": 1}
    judge = registry.plugin("judge", kind, given | options)
    judge.begin(name, ITEMS, [], folder)
    return judge


async def verdict(judge: Any, a: int, b: int) -> Verdict:
    vote = await judge.judge(Query(a, b))
    assert isinstance(vote, Vote), vote
    assert vote.verdict is not None
    return vote.verdict


@pytest.mark.parametrize("kind", KINDS)
async def test_all_log_odds_are_for_a_whichever_way_round_it_is_asked(
    kind: str, server: Server, tmp_path: Path
) -> None:
    judge = make(kind, server, tmp_path)
    there, back = await verdict(judge, 3, 1), await verdict(judge, 1, 3)
    assert there.logits["ab"] == pytest.approx(-back.logits["ba"])
    assert there.logits["ba"] == pytest.approx(-back.logits["ab"])
    assert there.logit > 0 > back.logit
    assert {name: pair[::-1] for name, pair in there.aspects.items()} == pytest.approx(back.aspects)
    assert (there.model, len(there.prompt), there.calls) == ("m", 32, 2)
    assert back.cached == 2  # the same texts in the same places
    await judge.end()


async def test_asking_in_both_orders_cancels_a_leaning_to_the_first(server: Server, tmp_path: Path) -> None:
    judge = make("pairwise", server, tmp_path)
    found = await verdict(judge, 2, 1)
    assert found.logits == pytest.approx({"ab": 1.5, "ba": 0.5})
    assert found.logit == pytest.approx(1.0)
    await judge.end()


async def test_pointwise_asks_about_each_response_once(server: Server, tmp_path: Path) -> None:
    judge = make("pointwise", server, tmp_path)
    for a in range(5):
        for b in range(a):
            assert (await verdict(judge, a, b)).logit == pytest.approx(a - b)
    assert len(server.got) == 5
    await judge.end()


async def test_a_rubric_gives_the_expected_score_and_the_feedback(server: Server, tmp_path: Path) -> None:
    judge = make("rubric", server, tmp_path, reference="meta.gold", rubric="1: low. 5: high.")
    found = await verdict(judge, 4, 0)
    first, second = found.aspects["score"]
    assert 3 < first < 5
    assert 1 < second < 3
    assert found.reasoning == "a: It is fine.\n\nb: It is fine."
    assert found.tie is not None
    assert 0 < found.tie < 1
    assert all("five 5" in got.user and "1: low. 5: high." in got.user for got in server.got)
    await judge.end()


async def test_aspects_are_the_mean_over_the_orders(server: Server, tmp_path: Path) -> None:
    judge = make("aspects", server, tmp_path, criteria={"tone": "friendly", "truth": "true"})
    found = await verdict(judge, 4, 1)
    assert found.aspects == {"tone": (5.0, 2.0), "truth": (5.0, 2.0)}
    assert found.logits == {"ab": 3.0, "ba": 3.0}
    schema = server.got[0].json["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]["A"]["properties"]) == ["tone", "truth"]
    await judge.end()


async def test_without_log_probabilities_samples_are_counted(server: Server, tmp_path: Path) -> None:
    replies = ["A", "A", "B", "A", "B", "B", "B", "B"]
    server.always = lambda got: completion(replies[got.json.get("seed", 0) + (4 if "number 2" in first(got) else 0)])
    judge = make("pairwise", server, tmp_path, samples=4)
    found = await verdict(judge, 0, 1)
    assert found.logits == pytest.approx({"ab": math.log(3.5 / 1.5), "ba": math.log(4.5 / 0.5)})
    assert found.calls == 8
    assert all(got.json["temperature"] == 1.0 for got in server.got)
    await judge.end()


def first(got: Got) -> str:
    """The response shown first."""
    return got.user.split("Response A:")[1].split("Response B:")[0]


async def test_anthropic_answers_every_kind(server: Server, tmp_path: Path) -> None:
    def claude(got: Got) -> Say:
        assert got.path == "/v1/messages"
        assert got.headers["anthropic-version"]
        if "tools" in got.json:
            rated = dict.fromkeys(["helpfulness", "correctness", "honesty", "clarity"], 4)
            return message(used={"reasoning": "equal", "A": rated, "B": rated})
        said = {"You compare": "A", "You say": "Yes", "You grade": "Good. Score: 4"}
        return message(next(text for start, text in said.items() if got.json["system"].startswith(start)))

    server.always = claude
    for kind in KINDS:
        judge = make(kind, server, tmp_path, api="anthropic")
        vote = await judge.judge(Query(0, 1))
        assert vote.outcome.choice == "tie"  # it says the same of both, or prefers the first
        await judge.end()


async def test_examples_are_people_s_votes_on_other_pairs(server: Server, tmp_path: Path) -> None:
    judge = make("pairwise", server, tmp_path, examples=2)
    assert isinstance(judge, TaughtJudge)
    plain = await verdict(judge, 0, 1)
    votes = [
        Vote(3, 2, ChoiceOutcome("a"), "maya"),
        Vote(0, 1, ChoiceOutcome("b"), "maya"),
        Vote(2, 4, ChoiceOutcome("b"), "maya"),
        Vote(3, 4, ChoiceOutcome("tie"), "maya"),
        Vote(0, 4, ChoiceOutcome("a"), "another", verdict=Verdict({"ab": 1.0}, reasoning="SECRET")),
    ]
    judge.learn_from(votes)
    taught = await verdict(judge, 0, 1)
    user = server.got[-1].user
    assert user.index("number 4\n") < user.index("number 3\n") < user.index("Better: A")
    assert user.index("Better: A") < user.rindex("number 3\n") < user.index("number 5\n") < user.index("Better: B")
    assert user.count("Better:") == 2
    assert "SECRET" not in user
    assert taught.prompt != plain.prompt
    await judge.end()


@pytest.mark.parametrize("kind", KINDS)
async def test_another_judge_s_verdict_never_enters_a_prompt(kind: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    alone = make(kind, server, tmp_path / "alone")
    await verdict(alone, 0, 1)
    before = sorted(got.body for got in server.got)
    for number, other in enumerate(KINDS):
        judge = make(other, server, tmp_path, f"judge{number}", model="other")
        await verdict(judge, 0, 1)
        await judge.end()
    server.got.clear()
    after = make(kind, server, tmp_path, "after")
    await verdict(after, 0, 1)
    assert sorted(got.body for got in server.got) == before
    await alone.end()
    await after.end()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_cannot_be_read_is_a_failure_and_no_vote(kind: str, server: Server, tmp_path: Path) -> None:
    for text in ("", "I would rather not.", '{"A": 5}', '{"A": {"helpfulness": 9}, "B": {}}', "[]", "Score: 9"):
        server.always = lambda got, text=text: completion(text)  # type: ignore[misc]
        judge = make(kind, server, tmp_path, model=text)
        answer = await judge.judge(Query(0, 1))
        assert isinstance(answer, JudgeFailure)
        assert 0 < len(answer.why) < 300
        await judge.end()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_endpoint_that_is_down_is_a_failure_and_said_at_the_start(
    kind: str, server: Server, tmp_path: Path
) -> None:
    judge = make(kind, server, tmp_path, endpoint="http://127.0.0.1:9/v1")
    assert isinstance(judge, ModelJudge)
    assert "no answer" in (await judge.judge(Query(0, 1))).why
    with pytest.raises(BadInputError, match=r"judge 'judge': http://127\.0\.0\.1:9/v1 does not answer.*curl -sS"):
        await judge.check()
    await judge.end()
    up = make(kind, server, tmp_path)
    await up.check()
    server.script.append(Say(b'{"error": "Loading model"}', 503))
    with pytest.raises(BadInputError, match=r"answers 503 .*Loading model"):
        await up.check()
    assert {got.path for got in server.got} == {"/v1/models"}
    await up.end()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_budget_holds_over_runs_and_an_estimate_tells_before(kind: str, server: Server, tmp_path: Path) -> None:
    dry = make(kind, server, tmp_path, **PRICES)
    told = [dry.estimate(n) for n in (0, 1, 10)]
    assert not server.got
    assert [one.calls for one in told] == [0, 2, 20]
    assert told[2].cost == pytest.approx((told[2].tokens_in + told[2].tokens_out) / 100)
    assert make(kind, server, tmp_path).estimate(1).cost is None
    judge = make(kind, server, tmp_path, **PRICES, budget=told[1].cost * 2.2)
    answers = [await judge.judge(Query(a, b)) for a, b in ((0, 1), (2, 3), (4, 0), (1, 2), (3, 4), (0, 2))]
    paid = sum(answer.verdict.cost for answer in answers if isinstance(answer, Vote))
    assert 0 < paid <= told[1].cost * 2.2
    await judge.end()
    resumed = make(kind, server, tmp_path, **PRICES, budget=paid)
    assert (await verdict(resumed, 0, 1)).cost == 0
    last = await resumed.judge(Query(3, 1)) if kind in ("pairwise", "aspects") else JudgeFailure("", "budget is spent")
    assert "budget is spent" in last.why
    await resumed.end()


async def test_a_call_that_was_under_way_when_the_run_was_stopped_is_kept(server: Server, tmp_path: Path) -> None:
    judge = make("pairwise", server, tmp_path)
    asking = asyncio.create_task(judge.judge(Query(0, 1)))
    while len(server.got) < 2:
        await asyncio.sleep(0)
    asking.cancel()
    await judge.end()
    assert (await verdict(judge, 0, 1)).cached == 2
    await judge.end()


async def test_a_prompt_of_one_s_own_with_ties_and_reasons(server: Server, tmp_path: Path) -> None:
    text = '[system]\ntext = "Think."\n[user]\ntext = "{{ first }} or {{ second }}?"\n[answer]\nafter = "Answer:"\n'
    (tmp_path / "mine.toml").write_text(text + 'labels = ["1", "2", "T"]')
    server.always = lambda got: completion("Hard. Answer: T", {"T": math.log(0.8), "1": math.log(0.15), "2": -4.0})
    judge = make("pairwise", server, tmp_path, prompt="mine.toml")
    vote = await judge.judge(Query(0, 1))
    assert vote.outcome.choice == "tie"
    assert vote.verdict.tie == pytest.approx(0.8 / (0.95 + math.exp(-4)))
    assert vote.verdict.reasoning == "Hard.\n\nHard."
    await judge.end()
    (tmp_path / "wrong.toml").write_text(text + 'labels = ["1"]')
    with pytest.raises(BadInputError, match="its prompt needs 2 or 3 labels"):
        make("pairwise", server, tmp_path, prompt="wrong.toml")
    (tmp_path / "wrong.toml").write_text(text.replace("first", "colour") + 'labels = ["1", "2"]')
    with pytest.raises(BadInputError, match="'colour' is undefined"):
        make("pairwise", server, tmp_path, prompt="wrong.toml")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"key": "ABSENT_KEY"}, r"judge 'judge': the environment variable ABSENT_KEY holds no key; .*curl"),
        ({"key": KEY}, "keep the key itself out of the study"),
        ({"budget": 1}, "a budget needs prices"),
        ({"samples": 0}, "option samples: expected `int` >= 1"),
        ({"price_in": "cheap"}, r"option price_in: expected `float \| null`"),
        ({"api": "smoke"}, "option api: invalid enum value 'smoke'"),
        ({"endpoint": "here"}, r"judge \w+: option endpoint is no http address"),
        ({"parameters": {"n": 5}}, "option parameters holds n, which the judge sets itself"),
        ({"prompt": "none.toml"}, r"judge 'judge': there is no prompt .*none.toml"),
        ({"colour": "red"}, r"does not take these options: .*known are: endpoint, model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_with_the_options_is_said_in_a_sentence(
    kind: str, options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=why) as error:
        make(kind, Server("http://127.0.0.1:9/v1", honest), tmp_path, **options)
    assert KEY not in str(error.value)


async def test_the_key_is_in_no_file_failure_or_repr(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    told = []
    for kind in KINDS:
        judge = make(kind, server, tmp_path, key="TEST_API_KEY")
        for said in (Say(f"no such key: {KEY}".encode(), 401), completion(f"{KEY} Score: 4 A")):
            server.always = lambda got, said=said: said  # type: ignore[misc]
            told += [repr(await judge.judge(Query(0, 1))), repr(judge), json.dumps(judge.estimate(1).tokens_in)]
        await judge.end()
    assert all(KEY in got.headers["authorization"] for got in server.got)
    assert not any(KEY in text for text in told)
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_without_a_verdict_is_paid_told_and_asked_again(
    kind: str, server: Server, tmp_path: Path
) -> None:
    server.script += [completion("I cannot compare these."), completion("I cannot compare these.")]
    judge = make(kind, server, tmp_path, **PRICES)
    failure = await judge.judge(Query(3, 1))
    assert isinstance(failure, JudgeFailure)
    assert (failure.cost, failure.lasting) == (pytest.approx(2 * 1.01), False)
    await judge.end()
    again = make(kind, server, tmp_path, **PRICES)
    found = await verdict(again, 3, 1)
    assert (found.calls, found.cached) == (2, 0)
    await again.end()


async def test_the_reply_that_was_good_is_not_paid_again(server: Server, tmp_path: Path) -> None:
    server.script += [completion("A"), completion("I cannot compare these.")]
    judge = make("pairwise", server, tmp_path, concurrency=1)
    assert isinstance(await judge.judge(Query(3, 1)), JudgeFailure)
    assert (await verdict(judge, 3, 1)).cached == 1
    await judge.end()


async def test_aspects_are_read_however_they_are_spelled(server: Server, tmp_path: Path) -> None:
    for text in (
        '{"A": {"tone": 4, "truth": 5}, "B": {"tone": 2, "truth": 3}}',
        'Sure: {"A": {"tone": 4, "truth": 5}, "B": {"tone": 2, "truth": 3},}\n\nI hope {this} helps.',
        '{"reasoning": "line\nline", "response_a": {"Tone": "4", "Truth": 5.0}, "Response B": {"tone": 2, "TRUTH": 3}}',
        '```json\n{"a": {"tone": 4, "truth": 5},\n"b": {"tone": 2, "truth": 3}}\n```',
    ):
        server.always = lambda got, text=text: completion(text)  # type: ignore[misc]
        judge = make("aspects", server, tmp_path, criteria={"tone": "friendly", "truth": "true"}, model=text)
        assert (await verdict(judge, 4, 1)).logits == {"ab": 2.0, "ba": -2.0}
        await judge.end()
    for text in (
        '{"A": {"tone": true, "truth": 5}, "B": {"tone": 2, "truth": 3}}',
        '{"A": {"tone": 1, "truth": 1}, "B": {"tone": 2, "truth": 3}} or {"A": {"tone": 5, "truth": 5}, "B": '
        '{"tone": 2, "truth": 3}}',
    ):
        server.always = lambda got, text=text: completion(text)  # type: ignore[misc]
        judge = make("aspects", server, tmp_path, criteria={"tone": "friendly", "truth": "true"}, model=text)
        assert isinstance(await judge.judge(Query(4, 1)), JudgeFailure)
        await judge.end()


async def test_aspects_of_a_model_that_thinks(server: Server, tmp_path: Path) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    rated = '{"A": {"tone": 4}, "B": {"tone": 2}}'

    def claude(got: Got) -> Say:
        if got.json["tool_choice"]["type"] == "tool":
            return Say(b'{"error": {"message": "Thinking may not be enabled when tool_choice forces tool use."}}', 400)
        if "temperature" in got.json:
            return Say(b'{"error": {"message": "`temperature` may only be set to 1 with thinking"}}', 400)
        blocks = [{"type": "thinking", "thinking": "{}"}, {"type": "text", "text": "Here: " + rated}]
        return Say(json.dumps({"content": blocks, "stop_reason": "end_turn"}).encode())

    server.always = claude
    judge = make("aspects", server, tmp_path, api="anthropic", criteria={"tone": "friendly"}, parameters=thinking)
    assert (await verdict(judge, 4, 1)).logits == {"ab": 2.0, "ba": -2.0}
    cut = json.dumps({"content": [{"type": "tool_use", "name": "answer", "input": {}}], "stop_reason": "max_tokens"})
    server.always = lambda got: Say(cut.encode())
    assert "cut at max_tokens; raise it" in (await judge.judge(Query(0, 1))).why
    await judge.end()
