"""What the judges that ask a language model have in common: options, the endpoint, the vote, what it would cost."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, get_type_hints

import jinja2
import msgspec

from adapters.llm import prompting
from adapters.llm.calls import BudgetError, CallBook, Prices
from adapters.llm.chat import Api, Reply, Request
from adapters.llm.endpoint import Completion, Endpoint, EndpointError, RejectedError, checked_url
from adapters.llm.verdicts import ParseError
from elicit.randomness import stream
from elicit.routing.judging import CostEstimate
from elicit.types import BadInputError, ChoiceOutcome, Item, JudgeFailure, Query, Verdict, Vote, hash_of

T = TypeVar("T")

Positive = Annotated[float, msgspec.Meta(gt=0)]
AtLeastZero = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]

_OURS = {"model", "messages", "system", "max_tokens", "max_completion_tokens", "temperature", "n", "stream"}
_ESTIMATED = 100  # pairs whose prompts an estimate writes


class PromptParts(NamedTuple):
    """What is put to the model: its prompt's two parts, and the JSON schema of the reply, None for prose."""

    system: str
    user: str
    schema: dict[str, Any] | None = None


@dataclass(kw_only=True, eq=False)
class AskingJudge(ABC):
    """A judge behind an OpenAI-compatible or Anthropic endpoint; its fields are its options in `study.toml`.

    One of your own derives from it, names its built-in prompt in `MODE` and how many labels that may have in `LABELS`,
    and writes three methods: `_ask`, the two questions that a query takes; `_read`, what the replies say; and
    `_prompt_values`, what the configuration puts into the prompt.

    Parameters
    ----------
    endpoint : str
        Its address with the version, "https://api.openai.com/v1".
    model : str
        Its name there.
    api : {"openai", "anthropic"}
    key : str
        The environment variable that holds the API key; empty: none.
    prompt : str
        A TOML file of your own instead of the built-in prompt, relative to the study.
    price_in, price_out : float, optional
        Money for a million tokens read and written.
    price_cached, price_stored : float, optional
        For those tokens read that come from the provider's cache or are written to it; None: its usual share of
        `price_in` (see `adapters.llm.calls.Prices`).
    budget : float, optional
        Money it may spend in this study; None: no limit. Needs `price_in` and `price_out`.
    samples : int
        How often to ask where the endpoint gives no log-probabilities.
    temperature : float, optional
        None: 1 where there are several samples, else 0.
    max_tokens : int, optional
        Of a reply; None: what the prompt says.
    concurrency : int
        Calls under way at most.
    per_minute : float, optional
        Calls begun in a minute at most; None: no limit.
    timeout : float
        Seconds that a call may take.
    retries : int
        How often a call that fails for a passing reason is tried again.
    backoff : float
        Seconds before the second try, then twice as long each time.
    parameters : dict
        Fields added to the body of every call.

    Raises
    ------
    BadInputError
        For an option of another kind or beyond its bounds, parameters that the judge sets itself, an endpoint that is
        no http address or holds a password, and a key that is no variable's name.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from elicit import AskingJudge, Item, Verdict
    >>> from adapters.judges._model_judge import PromptParts
    >>> from adapters.llm.answers import chances, log_odds
    >>> class Kinder(AskingJudge):
    ...     MODE, LABELS = "pairwise", range(2, 3)
    ...
    ...     def _ask(self, query):
    ...         shown = self._pair(query.a, query.b), self._pair(query.b, query.a)
    ...         return tuple(PromptParts(*self._prompt.fill(pair, self._prompt_values(), [])) for pair in shown)
    ...
    ...     def _read(self, first, second):
    ...         answer = self._prompt.answer
    ...         there, back = (log_odds(*chances(replies, answer.labels, answer.after)) for replies in (first, second))
    ...         return Verdict({"ab": there, "ba": -back})
    ...
    ...     def _prompt_values(self):
    ...         return {"question": "Which response is kinder?"}
    >>> judge = Kinder(endpoint="http://127.0.0.1:8080/v1", model="small", price_in=0.5, price_out=1.5)
    >>> judge.begin("kind", [Item("x", "No."), Item("y", "I am afraid not.")], [], Path(tempfile.gettempdir()))
    >>> estimate = judge.estimate(queries=100)
    >>> estimate.calls, 0 < estimate.cost < 0.05
    (200, True)
    """

    MODE: ClassVar[str]
    """The name of its prompt in `adapters/llm/prompts/`."""
    LABELS: ClassVar[range]
    """How many labels its prompt may have."""

    endpoint: str
    model: str
    api: Api = "openai"
    key: str = ""
    prompt: str = ""
    price_in: AtLeastZero | None = None
    price_out: AtLeastZero | None = None
    price_cached: AtLeastZero | None = None
    price_stored: AtLeastZero | None = None
    budget: AtLeastZero | None = None
    samples: Count = 1
    temperature: AtLeastZero | None = None
    max_tokens: Count | None = None
    concurrency: Count = 8
    per_minute: Positive | None = None
    timeout: Positive = 60.0
    retries: Annotated[int, msgspec.Meta(ge=0)] = 5
    backoff: Positive = 1.0
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for option in dataclasses.fields(self):
            try:
                msgspec.convert(getattr(self, option.name), hints[option.name])
            except msgspec.ValidationError as error:
                what = str(error)[0].lower() + str(error)[1:]
                raise BadInputError(f"judge {self.MODE}: option {option.name}: {what}; mend it in study.toml") from None
        if ours := _OURS & self.parameters.keys():
            raise BadInputError(
                f"judge {self.MODE}: option parameters holds {', '.join(sorted(ours))}, which the judge sets itself; "
                "take it out, and use the options model, max_tokens, temperature and samples"
            )
        try:
            checked_url(self.endpoint)
        except BadInputError as error:
            raise BadInputError(f"judge {self.MODE}: {error}") from None
        # A key put here by mistake is not repeated.
        if not re.fullmatch(r"([A-Z_][A-Z0-9_]*)?", self.key):
            raise BadInputError(
                f'judge {self.MODE}: option key names an environment variable, as in key = "OPENAI_API_KEY", and what '
                "it says is no such name; keep the key itself out of the study"
            )

    def begin(self, name: str, items: Sequence[Item], pairs: Sequence[tuple[str, int, int]], folder: Path) -> None:
        """See `Judge.begin`.

        Raises
        ------
        BadInputError
            Where a budget has no prices, an item has a picture, the key's variable holds no key, or the prompt's file
            is none, has another number of labels or cannot be filled.
        """
        self._name, self._items, self._pairs = name, items, pairs
        if self.budget is not None and (self.price_in is None or self.price_out is None):
            raise BadInputError(
                f"judge {name!r}: a budget needs prices; add price_in and price_out, money for a million tokens "
                "(0 for a model of your own)"
            )
        try:
            if unseen := next((item.id for item in items if item.image), None):
                raise BadInputError(f"item {unseen!r} has a picture, which models are not shown; leave the judge out")
            self._endpoint = Endpoint(
                url=self.endpoint,
                api=self.api,
                model=self.model,
                key=self.key,
                book=CallBook(folder, name, self._prices, self.budget),
                parameters=self.parameters,
                concurrency=self.concurrency,
                per_minute=self.per_minute,
                timeout=self.timeout,
                retries=self.retries,
                backoff=self.backoff,
            )
            self._prompt = prompting.read_prompt(
                folder / self.prompt if self.prompt else prompting.FOLDER / f"{self.MODE}.toml"
            )
            if len(self._prompt.answer.labels) not in self.LABELS:
                wanted = " or ".join(str(n) for n in self.LABELS)
                raise BadInputError(
                    f"its prompt needs {wanted} labels in [answer], and has {self._prompt.answer.labels}"
                )
            if len(items) > 1:
                self._ask(Query(0, 1))
        except BadInputError as error:
            raise BadInputError(f"judge {name!r}: {error}") from None
        except jinja2.TemplateError as error:
            raise BadInputError(f"judge {name!r}: its prompt cannot be filled ({error}); mend the template") from None

    async def judge(self, query: Query) -> Vote | JudgeFailure:
        """See `Judge.judge`; a vote has its verdict, and both what the calls have cost."""
        asking = _Asking(self._endpoint)
        try:
            answers = await _all(self._replies(parts, asking) for parts in self._ask(query))
        except (EndpointError, BudgetError) as error:
            lasting = isinstance(error, BudgetError) or (isinstance(error, RejectedError) and error.lasting)
            return JudgeFailure(self._name, str(error), lasting, cost=asking.cost, calls=asking.calls)
        try:
            plain_verdict = self._read(*([answer.reply for answer in samples] for samples in answers))
        except ParseError as error:
            self._discard_unread(answers)
            return JudgeFailure(self._name, str(error), cost=asking.cost, calls=asking.calls)
        completions = [answer for samples in answers for answer in samples]
        cached = sum(answer.cached for answer in completions)
        verdict = msgspec.structs.replace(
            plain_verdict,
            model=self.model,
            prompt=self._prompt_hash(query),
            tokens_in=sum(answer.reply.tokens_in for answer in completions),
            tokens_out=sum(answer.reply.tokens_out for answer in completions),
            cost=asking.cost,
            calls=asking.calls + cached,
            cached=cached,
        )
        return Vote(query.a, query.b, self._outcome(verdict), self._name, verdict=verdict)

    def _discard_unread(self, answers: Sequence[Sequence[Completion]]) -> None:
        """Forget the replies to each question that say nothing, so that it is asked again another time."""
        for samples in answers:
            replies = [answer.reply for answer in samples]
            try:
                self._read(replies, replies)
            except ParseError:
                for answer in samples:
                    self._endpoint.discard(answer)

    async def check(self) -> None:
        """See `ModelJudge.check`.

        Raises
        ------
        BadInputError
            Where the endpoint does not answer or does not take the key.
        """
        try:
            await self._endpoint.check()
        except BadInputError as error:
            raise BadInputError(f"judge {self._name!r}: {error}") from None

    def estimate(self, queries: int) -> CostEstimate:
        """See `ModelJudge.estimate`; from the prompts of at most a hundred pairs, rather too much."""
        n = len(self._items)
        if self._pairs:
            pairs = [(a, b) for _, a, b in self._pairs]
            chosen = stream(0, "estimate").permutation(len(pairs))[: min(_ESTIMATED, queries)]
            prompts = [parts for k in chosen for parts in self._ask(Query(*pairs[k]))]
        else:
            many = min(_ESTIMATED, queries) if n > 1 else 0  # what prompts bring forth is not there yet
            samples = [stream(0, "estimate", k).choice(n, 2, replace=False) for k in range(many)]
            prompts = [parts for a, b in samples for parts in self._ask(Query(int(a), int(b)))]
        calls = 2 * self.samples * queries
        prompt_tokens = sum(self._request(parts, 0).tokens_in for parts in prompts)
        tokens_in = -(-calls * prompt_tokens // max(len(prompts), 1))
        tokens_out = calls * self._longest
        priced = self.price_in is not None and self.price_out is not None
        cost = self._prices.cost(tokens_in, tokens_out) if priced else None
        return CostEstimate(queries, calls, tokens_in, tokens_out, cost)

    async def end(self) -> None:
        """See `ModelJudge.end`."""
        await self._endpoint.close()

    @abstractmethod
    def _ask(self, query: Query) -> tuple[PromptParts, PromptParts]:
        """The two questions that a query takes: in both orders, or about both responses."""

    @abstractmethod
    def _read(self, first: Sequence[Reply], second: Sequence[Reply]) -> Verdict:
        """What the replies to the two questions say. Raises ParseError where they say nothing."""

    @abstractmethod
    def _prompt_values(self) -> Mapping[str, Any]:
        """What the configuration puts into the prompt."""

    def _pair(self, first: int, second: int) -> dict[str, str]:
        """The texts of two items in the order shown, with what both respond to."""
        item, other = self._items[first], self._items[second]
        return {"context": item.context or other.context, "first": item.shown_text, "second": other.shown_text}

    def _prompt_hash(self, query: Query) -> str:
        """Names the prompt before any text of the query is in it."""
        return hash_of([msgspec.to_builtins(self._prompt), self._prompt_values()])

    def _outcome(self, verdict: Verdict) -> ChoiceOutcome:
        logit = verdict.logit
        return ChoiceOutcome("a" if logit > 0 else "b" if logit < 0 else "tie")

    @property
    def _prices(self) -> Prices:
        return Prices.of(self.api, self.price_in or 0.0, self.price_out or 0.0, self.price_cached, self.price_stored)

    @property
    def _longest(self) -> int:
        return self.max_tokens or self._prompt.answer.max_tokens

    def _request(self, parts: PromptParts, sample: int) -> Request:
        sampled = self.samples > 1 and self.temperature is None
        return Request(
            parts.system,
            parts.user,
            self._longest,
            1.0 if sampled else self.temperature or 0.0,
            () if parts.schema else self._prompt.answer.labels,
            parts.schema or {},
            sample,
        )

    async def _replies(self, parts: PromptParts, asking: _Asking) -> list[Completion]:
        """One answer if it comes with log-probabilities, else as many as samples are wanted."""
        first = await asking.ask(self._request(parts, 0))
        if first.reply.tokens or self.samples == 1:
            return [first]
        return [first, *await _all(asking.ask(self._request(parts, k)) for k in range(1, self.samples))]


class _Asking:
    """The calls that one query takes, and what they cost, those included that brought nothing."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self.cost, self.calls = endpoint, 0.0, 0

    async def ask(self, request: Request) -> Completion:
        try:
            answer = await self._endpoint.ask(request)
        except EndpointError as error:
            self.cost, self.calls = self.cost + error.cost, self.calls + error.calls
            raise
        self.cost, self.calls = self.cost + answer.cost, self.calls + answer.calls
        return answer


async def _all(asking: Iterable[Awaitable[T]]) -> list[T]:
    """What all of them bring. Each is waited for even where another fails: what it brings is kept for the next time."""
    results = await asyncio.gather(*asking, return_exceptions=True)
    values = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        values.append(result)
    return values
