"""The door to a language model: what it asks, what it survives, what it never tells."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.llm.calls import BudgetError, CallBook, Prices
from adapters.llm.chat import Request
from adapters.llm.endpoint import (
    LONGEST_WAIT,
    BusyError,
    Endpoint,
    EndpointError,
    RejectedError,
    UnreachableError,
    UnreadableError,
)
from elicit.types import BadInputError
from tests.adapters.serving import Say, Server, completion, message, serving

KEY = "sk-test/0123456789+abc"
QUESTION = Request("be brief", "which?", max_tokens=4, labels=("A", "B"))


class Time:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(lambda got: completion("A", {"A": -0.1, "B": -2.0})) as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


def make(server: Server, folder: Path, time: Time, *, budget: float | None = None, **options: Any) -> Endpoint:
    book = CallBook(folder, "judge", Prices.of("openai", 1e4, 1e4), budget)
    given: dict[str, Any] = {"url": server.url, "api": "openai", "model": "m", "key": "", "book": book}
    return Endpoint(**given | {"sleep": time.sleep, "clock": time.clock} | options)


async def test_a_reply_is_paid_once_also_by_those_who_ask_at_the_same_time_and_after_a_restart(
    server: Server, tmp_path: Path, time: Time
) -> None:
    endpoint = make(server, tmp_path, time)
    both = await asyncio.gather(endpoint.ask(QUESTION), endpoint.ask(QUESTION))
    assert [answer.cached for answer in both] == [False, True]
    assert sum(answer.cost for answer in both) == pytest.approx(1.01)
    await endpoint.close()
    again = make(server, tmp_path, time)
    answer = await again.ask(QUESTION)
    assert (answer.reply, answer.cost, answer.cached) == (both[0].reply, 0.0, True)
    assert len(server.got) == 1
    assert again.book.spent == pytest.approx(1.01)
    await again.close()


@pytest.mark.parametrize(
    "other",
    [{"model": "n"}, {"parameters": {"top_p": 0.5}}, {"api": "anthropic"}],
    ids=["model", "parameters", "api"],
)
async def test_what_could_change_the_reply_is_asked_anew(
    server: Server, tmp_path: Path, time: Time, other: dict[str, Any]
) -> None:
    first, second = make(server, tmp_path, time), make(server, tmp_path, time, **other)
    await first.ask(QUESTION)
    server.script.append(message("A") if "api" in other else completion("B"))
    assert not (await second.ask(QUESTION)).cached
    await first.close()
    await second.close()


async def test_retry_after_is_honoured_and_holds_back_everyone(server: Server, tmp_path: Path, time: Time) -> None:
    server.script += [Say(b"slow down", 429, {"Retry-After": "7"})]
    endpoint = make(server, tmp_path, time)
    await endpoint.ask(QUESTION)
    assert time.now >= 7
    assert len(server.got) == 2
    server.script += [Say(b"", 503, {"Retry-After": f"{LONGEST_WAIT + 1:g}"})]
    with pytest.raises(BusyError, match="it asks to wait 121 s"):
        await endpoint.ask(Request("", "another", max_tokens=4))
    assert endpoint.book.spent == pytest.approx(1.01)  # nobody bills a refusal
    await endpoint.close()


async def test_waits_grow_and_are_the_same_in_every_run(server: Server, tmp_path: Path, time: Time) -> None:
    server.always = lambda got: Say(b"oops", 500)
    endpoint = make(server, tmp_path, time, retries=4, backoff=2.0)
    with pytest.raises(BusyError, match="500"):
        await endpoint.ask(QUESTION)
    assert len(server.got) == 5
    assert all(2.0**k <= wait <= 2.0 ** (k + 1) for k, wait in enumerate(time.slept))
    before, time.slept = time.slept, []
    with pytest.raises(BusyError):
        await endpoint.ask(QUESTION)
    assert time.slept == before
    await endpoint.close()


@pytest.mark.parametrize(
    "bad",
    [
        Say(b'{"choices": [{"mess', missing=100),
        Say(b"<html>not what you think</html>"),
        Say(b'{"choices": []}'),
        Say(b"\xff\xfe\x00"),
        Say(b"", 502),
        Say(b"", 529),
        Say(b"later", 429, {"Retry-After": "nan"}),
        Say(b"later", 429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Say(b"later", 429, {"Retry-After": "soon"}),
    ],
    ids=["truncated", "garbage", "empty", "bytes", "502", "529", "nan", "date", "words"],
)
async def test_a_passing_fault_is_survived(server: Server, tmp_path: Path, time: Time, bad: Say) -> None:
    server.script += [bad, bad]
    endpoint = make(server, tmp_path, time)
    assert (await endpoint.ask(QUESTION)).reply.text == "A"
    assert len(server.got) == 3
    await endpoint.close()


async def test_a_lasting_fault_has_its_own_name(server: Server, tmp_path: Path, time: Time) -> None:
    cases: list[tuple[Say, type[EndpointError], float]] = [
        (Say(b"{"), UnreadableError, 1.0),
        (Say(b"<html>"), UnreadableError, 0.0),
        (Say(b'{"error": "no such model"}', 404), RejectedError, 0.0),
        (Say(b'{"error": {"code": "insufficient_quota"}}', 429), RejectedError, 0.0),
        (Say(b"", 301, {"Location": "http://127.0.0.1:1/"}), RejectedError, 0.0),
        (Say(hang=True), UnreachableError, 1.0),
    ]
    for number, (said, error, billed) in enumerate(cases):
        server.always = lambda got, said=said: said  # type: ignore[misc]
        endpoint = make(server, tmp_path / str(number), time, retries=0, timeout=0.05 if said.hang else 60.0)
        (tmp_path / str(number)).mkdir()
        with pytest.raises(error):
            await endpoint.ask(QUESTION)
        # What was sent and not answered may have been billed, so it counts in full.
        assert (endpoint.book.spent > 0) == (billed > 0)
        await endpoint.close()


async def test_nobody_at_the_door(server: Server, tmp_path: Path, time: Time) -> None:
    endpoint = make(server, tmp_path, time, url="http://127.0.0.1:9/v1", retries=2)
    with pytest.raises(UnreachableError, match=r"no answer from http://127\.0\.0\.1:9/v1"):
        await endpoint.ask(QUESTION)
    assert len(time.slept) == 2
    assert endpoint.book.spent == 0
    with pytest.raises(BadInputError, match=r"does not answer .*; start it, or test it with: curl -sS http"):
        await endpoint.check()
    await endpoint.close()


async def test_no_more_calls_at_once_or_in_a_minute_than_allowed(server: Server, tmp_path: Path, time: Time) -> None:
    server.linger = 0.02
    endpoint = make(server, tmp_path, time, concurrency=3)
    questions = [Request("", f"question {k}", max_tokens=4) for k in range(12)]
    await asyncio.gather(*(endpoint.ask(question) for question in questions))
    assert server.most_at_once == 3
    await endpoint.close()
    server.linger = 0.0
    (tmp_path / "paced").mkdir()
    paced = make(server, tmp_path / "paced", time, per_minute=30)
    start = time.now
    await asyncio.gather(*(paced.ask(question) for question in questions))
    assert time.now - start >= 2 * (len(questions) - 1)
    await paced.close()


async def test_the_budget_holds_however_many_ask_at_once(server: Server, tmp_path: Path, time: Time) -> None:
    questions = [Request("", "x " * 70 + str(k), max_tokens=4) for k in range(20)]
    endpoint = make(server, tmp_path, time, budget=5.5, concurrency=20)
    answers = await asyncio.gather(*(endpoint.ask(q) for q in questions), return_exceptions=True)
    assert 1 <= sum(not isinstance(answer, BaseException) for answer in answers) <= 5
    for question in questions:
        with contextlib.suppress(BudgetError):
            await endpoint.ask(question)
    assert 4 < endpoint.book.spent <= 5.5
    await endpoint.close()
    resumed = make(server, tmp_path, time, budget=5.5)
    with pytest.raises(BudgetError, match=r"of 5\.5 is left"):
        await resumed.ask(Request("", "y " * 70, max_tokens=4))
    assert (await resumed.ask(questions[0])).cached  # what is paid for stays usable
    await resumed.close()


async def test_who_is_cancelled_finds_the_reply_paid_for(server: Server, tmp_path: Path, time: Time) -> None:
    endpoint = make(server, tmp_path, time)
    asking = asyncio.create_task(endpoint.ask(QUESTION))
    while not server.got:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await endpoint.close()
    assert (await endpoint.ask(QUESTION)).cached
    assert len(server.got) == 1
    await endpoint.close()


@pytest.mark.parametrize("name", ["logprobs", "temperature", "max_tokens", "response_format"])
async def test_a_field_the_model_refuses_is_left_out(server: Server, tmp_path: Path, time: Time, name: str) -> None:
    def picky(got: Any) -> Say:
        if name in got.json:
            return Say(f'{{"error": {{"message": "Unsupported parameter: \'{name}\'"}}}}'.encode(), 400)
        assert name != "max_tokens" or got.json["max_completion_tokens"] == 4
        return completion("A")

    server.always = picky
    endpoint = make(server, tmp_path, time)
    question = Request("", "?", max_tokens=4, labels=("A", "B"), schema={"type": "object"})
    assert (await endpoint.ask(question)).reply.text == "A"
    tries = len(server.got)
    await endpoint.ask(Request("", "another", max_tokens=4, labels=("A", "B"), schema={"type": "object"}))
    assert len(server.got) == tries + 1  # it is not tried again
    await endpoint.close()


async def test_fewer_alternatives_are_better_than_none(server: Server, tmp_path: Path, time: Time) -> None:
    few = Say(b'{"message": "Requested sample logprobs of 20, which is greater than max allowed: 5"}', 400)
    server.always = lambda got: few if got.json["top_logprobs"] > 5 else completion("A", {"A": -0.1, "B": -2.0})
    endpoint = make(server, tmp_path, time)
    assert (await endpoint.ask(QUESTION)).reply.tokens
    assert server.got[-1].json["top_logprobs"] == 5
    await endpoint.close()


@pytest.mark.parametrize("api", ["openai", "anthropic"])
async def test_the_key_goes_to_the_endpoint_and_nowhere_else(
    server: Server, tmp_path: Path, time: Time, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    told = [repr(make(server, tmp_path, time, key="TEST_API_KEY", api=api))]
    endpoint = make(server, tmp_path, time, key="TEST_API_KEY", api=api, retries=0)
    told.append(endpoint.curl)

    def echo(status: int) -> Say:
        said = f"your key is {KEY}, your header Bearer {KEY}"
        found = completion(said) if api == "openai" else message(said)
        return Say(found.body, status)

    server.script += [echo(200)]
    told.append(repr(await endpoint.ask(QUESTION)))
    assert any(KEY in value for value in server.got[0].headers.values())
    for status in (400, 401, 429, 500):
        server.script += [echo(status)]
        with pytest.raises(EndpointError) as failure:
            await endpoint.ask(Request("", str(status), max_tokens=4))
        told.append(repr(failure.value))
    server.script += [echo(401)]
    with pytest.raises(BadInputError) as refused:
        await endpoint.check()
    told.append(str(refused.value))
    await endpoint.close()
    assert "$TEST_API_KEY" in told[-1]
    assert not any(KEY in text for text in told)
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("value", ["", "  ", "sk-with\nnewline", "sk-ünicode"])
def test_a_key_that_is_none_is_said_without_repeating_it(
    tmp_path: Path, time: Time, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", value)
    with pytest.raises(BadInputError, match=r"TEST_API_KEY holds no key; set it with: export .*curl") as error:
        make(Server("http://127.0.0.1:9/v1", lambda got: Say()), tmp_path, time, key="TEST_API_KEY")
    assert "sk-" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://x/v1", "http://me:secret@127.0.0.1/v1", "http://x/?k=secret"]
)
def test_an_address_that_is_none_or_holds_a_key_is_refused(tmp_path: Path, time: Time, url: str) -> None:
    with pytest.raises(BadInputError) as error:
        make(Server(url, lambda got: Say()), tmp_path, time)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("say", "error", "why", "lasting"),
    [
        (Say(b'{"error": {"message": "Daily quota reached"}}', 429), BusyError, "429 Said: Daily quota reached$", None),
        (Say(b'{"error": {"message": "Slow down", "code": 429}}'), BusyError, "answers 429: Slow down$", None),
        (Say(b'{"error": {"message": "Bad key", "code": 401}}'), RejectedError, "answers 401: Bad key$", True),
        (Say(b'{"type": "error", "error": {"message": "Overloaded"}}'), BusyError, "an error: Overloaded$", None),
        (Say(b'{"error": {"message": "Your credit balance is too low"}}', 400), RejectedError, "credit balance", True),
        (Say(b"<html><body><h1>Please sign in</h1>"), UnreadableError, "web page .*: Please sign in$", None),
        (Say(b"<html><body><h1>Bad gateway</h1>", 502), BusyError, "502 Said: Bad gateway$", None),
        (
            Say(b'{"promptFeedback": {"blockReason": "SAFETY"}}'),
            UnreadableError,
            "no choices: .*blockReason.*SAFETY",
            None,
        ),
        (
            Say(b'{"choices": [{"message": {"content": ""}}], "error": {"message": "Quota exceeded", "code": 429}}'),
            BusyError,
            "answers 429: Quota exceeded$",
            None,
        ),
        (Say(b"data: {}\n\n"), UnreadableError, "answers as a stream", None),
        (
            Say(b"", 302, {"Location": "https://sso.example/login?code=s3cret"}),
            RejectedError,
            "example/login; if",
            True,
        ),
        (Say(b"", 301, {"Location": "/v2/chat/completions"}), RejectedError, r"points to http://\S+/v2; if", True),
        (Say(b'{"choices": [{"message": {"refusal": "I will not."}}]}'), RejectedError, "refuses: I will not.$", False),
        (Say(b" " * (17 << 20)), UnreadableError, "larger than 16 MiB", None),
        (Say(b"[" * 200_000), UnreadableError, "nested too deep", None),
    ],
)
async def test_the_provider_s_own_words_are_told(
    server: Server, tmp_path: Path, time: Time, say: Say, error: type[EndpointError], why: str, lasting: bool | None
) -> None:
    server.always = lambda got: say
    endpoint = make(server, tmp_path, time, retries=0)
    with pytest.raises(error, match=why) as told:
        await endpoint.ask(QUESTION)
    assert getattr(told.value, "lasting", None) is lasting
    assert "s3cret" not in str(told.value)
    await endpoint.close()


async def test_an_address_without_its_version_is_told_of_it(server: Server, tmp_path: Path, time: Time) -> None:
    server.always = lambda got: completion("A") if got.path.startswith("/v1/") else Say(b"404 page not found", 404)
    root = server.url.removesuffix("/v1")
    endpoint = make(server, tmp_path, time, url=root)
    with pytest.raises(RejectedError, match=f"404 page not found; most endpoints are under /v1: try {server.url}$"):
        await endpoint.ask(QUESTION)
    await endpoint.close()
    # The address of the call itself means the same.
    endpoint = make(server, tmp_path, time, url=server.url + "/chat/completions/")
    assert (await endpoint.ask(QUESTION)).reply.text == "A"
    assert server.got[-1].path == "/v1/chat/completions"
    await endpoint.close()


async def test_a_version_may_stand_in_the_address(
    server: Server, tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    url = server.url + "/deployments/m?api-version=2024-10-21"
    endpoint = make(server, tmp_path, time, url=url, key="TEST_API_KEY")
    await endpoint.check()
    await endpoint.ask(QUESTION)
    assert [got.path for got in server.got] == [
        "/v1/deployments/m/models?api-version=2024-10-21",
        "/v1/deployments/m/chat/completions?api-version=2024-10-21",
    ]
    assert server.got[-1].headers["api-key"] == KEY
    assert "api-key: $TEST_API_KEY" in endpoint.curl
    await endpoint.close()
    for other in ("?api-version=1&key=secret", "?key=secret", "?api-version=a%20secret", "#secret"):
        with pytest.raises(BadInputError, match=r"only .api-version= may follow") as error:
            make(server, tmp_path, time, url=server.url + other)
        assert "secret" not in str(error.value)


async def test_a_refusal_is_paid_and_asked_again_another_time(server: Server, tmp_path: Path, time: Time) -> None:
    body = b'{"choices": [{"message": {"refusal": "no"}}], "usage": {"prompt_tokens": 100, "completion_tokens": 1}}'
    server.script.append(Say(body))
    endpoint = make(server, tmp_path, time)
    with pytest.raises(RejectedError) as refused:
        await endpoint.ask(QUESTION)
    assert refused.value.cost == endpoint.book.spent == pytest.approx(1.01)
    answer = await endpoint.ask(QUESTION)
    assert (answer.reply.text, answer.cached) == ("A", False)
    endpoint.discard(answer)  # who cannot use a reply gets another one
    assert not (await endpoint.ask(QUESTION)).cached
    assert endpoint.book.spent == pytest.approx(3.03)
    await endpoint.close()


@pytest.mark.parametrize(
    ("api", "given", "cost"),
    [
        ("openai", {}, 100 * 2 - 80 * 1 + 3),
        ("openai", {"cached": 0.2}, 20 * 2 + 80 * 0.2 + 3),
        ("anthropic", {}, 10 * 2 + 60 * 0.2 + 30 * 2.5 + 3),
        ("anthropic", {"cached": 1.0, "stored": 4.0}, 10 * 2 + 60 * 1 + 30 * 4 + 3),
    ],
)
async def test_tokens_of_the_cache_have_their_own_price(
    server: Server, tmp_path: Path, api: str, given: dict[str, float], cost: float
) -> None:
    details = '{"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 80}}'
    said = '{"choices": [{"message": {"content": "A"}}], "usage": ' + details + "}"
    if api == "anthropic":
        cache = '"cache_read_input_tokens": 60, "cache_creation_input_tokens": 30'
        details = '{"input_tokens": 10, "output_tokens": 1, ' + cache + "}"
        said = '{"content": [{"type": "text", "text": "A"}], "usage": ' + details + "}"
    server.always = lambda got: Say(said.encode())
    prices = Prices.of(api, 2e6, 3e6, **{name: price * 1e6 for name, price in given.items()})  # type: ignore[arg-type]
    endpoint = Endpoint(
        url=server.url,
        api=api,
        model="m",
        key="",
        book=CallBook(tmp_path, "judge", prices),  # type: ignore[arg-type]
    )
    assert (await endpoint.ask(QUESTION)).cost == pytest.approx(cost)
    await endpoint.close()


async def test_a_proxy_that_lacks_its_package_is_said_at_the_start(
    server: Server, tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    endpoint = make(server, tmp_path, time)  # on this machine, so no proxy
    assert (await endpoint.ask(QUESTION)).reply.text == "A"
    await endpoint.close()
    endpoint = make(server, tmp_path, time, url="https://api.example/v1")
    with pytest.raises(BadInputError, match="which needs a package"):
        await endpoint.check()
    with pytest.raises(RejectedError, match="which needs a package") as refused:
        await endpoint.ask(Request("", "other", max_tokens=4))
    assert refused.value.lasting
    await endpoint.close()
