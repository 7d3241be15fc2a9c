"""The `[tuning]` table of a study that tunes prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from adapters.llm.chat import Api
from elicit.tuning.protocol import Rules
from elicit.types import BadInputError

Count = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Some = Annotated[int, msgspec.Meta(ge=2, le=10_000)]
FewOrNone = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
AtLeastZero = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A language model: an endpoint, or a Python function that takes the filled prompt and gives the response.

    endpoint, model, api, key, price_in, price_out, concurrency, per_minute, timeout, retries, parameters: as a judge's
    options have them. function: "path/to/file.py:name", in place of an endpoint; of the rest, concurrency and
    timeout are its too.
    """

    endpoint: str = ""
    model: str = ""
    api: Api = "openai"
    key: str = ""
    function: str = ""
    price_in: AtLeastZero = 0.0
    price_out: AtLeastZero = 0.0
    temperature: AtLeastZero = 0.0
    max_tokens: Count = 512
    concurrency: Count = 8
    per_minute: Annotated[float, msgspec.Meta(ge=1e-3, le=1e9)] | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=1e9)] = 60.0
    retries: FewOrNone = 3
    parameters: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if bool(self.endpoint) == bool(self.function):
            raise ValueError("a model needs an endpoint or a function; give one of them")


class Safety(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The recommended prompt's responses are unacceptable at most this often, with this confidence."""

    limit: Share
    confidence: Share = 0.95


class TuningSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How prompts are tuned.

    task: what the prompts are for, in a sentence or two. optimises: "prompt", or "response" to find the best response
    to the one `input`. target: the model that answers; writer: the one that writes prompts, the target where it is not
    given, "none" for nobody. batch: inputs that one vote compares on. calls, money: what all answers together may take.
    start: prompts before the first vote; grow: how many join at a time, every so many votes, while no more than `pool`
    are live. proposers, with `proposer_options` by name: who makes them. screen: inputs that newcomers are tried on for
    the `signals` (exact_match, contains, f1, json, length, judge:NAME, path/to/file.py:function). rules: what every
    prompt has to keep to. safety: what its responses have to keep to.
    """

    task: str
    target: ModelSpec
    writer: ModelSpec | Literal["none"] | None = None
    optimises: Literal["prompt", "response"] = "prompt"
    input: str = ""
    batch: Annotated[int, msgspec.Meta(ge=1, le=12)] = 1
    calls: Count = 2000
    money: AtLeastZero | None = None
    start: Some = 24
    grow: FewOrNone = 6
    every: Count = 10
    pool: Some = 60
    proposers: tuple[str, ...] = ("slots", "rewrite", "crossover")
    proposer_options: dict[str, dict[str, Any]] = {}
    screen: FewOrNone = 4
    signals: tuple[str, ...] = ()
    rules: Rules = Rules()
    safety: Safety | None = None

    def lasting_differences(self, other: TuningSpec) -> list[tuple[str, Any, Any]]:
        """What differs in another one of that on which the responses rest: name, this one's, the other's."""
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in ("optimises", "input")]
        of_target = ("model", "api", "function", "temperature", "max_tokens", "parameters")
        pairs += [(f"target.{name}", getattr(self.target, name), getattr(other.target, name)) for name in of_target]
        return [(name, was, now) for name, was, now in pairs if was != now]

    def check(self) -> None:
        """Raises BadInputError where a budget is too small for one vote, or no plug-in has that name."""
        from elicit.plugins import registry

        priced = [spec for spec in (self.target, self.writer) if isinstance(spec, ModelSpec) and spec.endpoint]
        if self.money is not None and not all(spec.price_in or spec.price_out for spec in priced):
            raise BadInputError(
                "tuning.money needs prices; add price_in and price_out to tuning.target, money for a million tokens"
            )
        if (self.optimises == "response") != bool(self.input):
            raise BadInputError("to optimise a response, say the `input` that it is to respond to, and only then")
        for name in self.proposers:
            if ":" not in name:
                registry.check_known("proposer", name)
        if self.optimises == "prompt" and self.calls < 2 * self.batch:
            raise BadInputError(
                f"tuning.calls is {self.calls}, and one vote takes {2 * self.batch} responses; give it more"
            )
