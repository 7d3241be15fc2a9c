"""A study's specification: what `study.toml` says, checked, and which of it may change after the first vote."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomlkit

from adapters.addresses import networks
from adapters.files.toml_files import read_toml
from elicit.plugins import registry
from elicit.types import EXPECTED, BadInputError, Goal, UnknownNameError
from studies.tuning_spec import TuningSpec

FILE = "study.toml"

QUESTION = "Which one is better?"

EMBEDDERS = ("wordllama", "none")

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class StopRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goal best: stop when the recommended item's simple regret is at most `regret` with probability `confidence`. The
    others: when what the stop rule measures (`elicit.types.EXPECTED`) is at most `regret`.

    rule: of goal best; "posterior" takes the belief's word for it; "likelihood_ratio" tests every rival.
    """

    regret: Share = 0.05
    confidence: Share = 0.95
    rule: Literal["posterior", "likelihood_ratio"] = "posterior"


class JudgeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A configured judge: its name in the log, the plug-in that answers, and the plug-in's options.

    For the router: `price` is what one answer costs, None where the judge tells by itself; `person` says that it
    stands for a person, as a simulated judge or recorded votes of people do.
    """

    name: str
    kind: str
    options: dict[str, Any] = {}
    price: Annotated[float, msgspec.Meta(ge=0)] | None = None
    person: bool = False


class RoutingSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who answers what `elicit run` asks. Money is in the unit of the judges' prices.

    router: "none" lets the first judge that can answer. person_price: what one person's vote costs; 0: people are not
    asked. budget: for everybody together; None: no limit. audits: the share of the machines' labels that a person
    answers too, by lot and blind. A certificate says that with probability 1 - delta at most a share alpha of the
    accepted labels is wrong; it takes `epoch` audits.
    """

    router: str = "none"
    options: dict[str, Any] = {}
    person_price: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    budget: Annotated[float, msgspec.Meta(ge=0)] | None = None
    audits: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    alpha: Share = 0.15
    delta: Share = 0.05
    epoch: Annotated[int, msgspec.Meta(ge=1)] = 250


class ServingSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How `elicit serve` lends queries to annotators.

    overlap: votes a query is to get, each from another annotator; where a router decides, one that goes to people.
    lease: seconds it stays lent without a sign of life. late: votes on leases that ran out count while their query
    still lacks one. quota: votes an annotator may give. deadline: ISO 8601; no queries after it. golds: a file in the
    study's folder with pairs whose answer is known (JSON lines or CSV: `a`, `b` and `answer`, or `pair_id` and
    `answer`). gold_share, repeat_share: the chance that a query is such a pair, and that it is one the annotator has
    answered, sides swapped. rules: what checks of conduct do: "show" them to the admin, or "weigh" the annotator's
    votes by them. proxies: addresses or networks of proxies, whose word is taken for whom they ask for
    (`X-Forwarded-For`); nobody else's is.
    """

    overlap: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    lease: Annotated[float, msgspec.Meta(ge=1, le=604_800)] = 600.0
    late: bool = True
    quota: Annotated[int, msgspec.Meta(ge=1)] | None = None
    deadline: str = ""
    golds: str = ""
    gold_share: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.05
    repeat_share: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.05
    rules: Literal["show", "weigh"] = "show"
    proxies: tuple[str, ...] = ()

    @property
    def ends(self) -> datetime | None:
        """The deadline; a time without a zone is UTC. Raises ValueError."""
        if not self.deadline:
            return None
        at = datetime.fromisoformat(self.deadline)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a study's decisions and screens depend on; one table of `study.toml`."""

    title: str
    author: str = ""
    goal: Goal = "best"
    top: Annotated[int, msgspec.Meta(ge=1)] = 10
    seed: int = 0
    votes: Annotated[int, msgspec.Meta(ge=1)] = 200
    question: str = QUESTION
    guidelines: str = ""
    reasons: tuple[str, ...] = ("more correct", "clearer", "better style", "more complete", "safer")
    model: str = "default"
    selector: str = "default"
    embedder: str = "wordllama"
    scores: tuple[str, ...] = ()
    model_options: dict[str, Any] = {}
    selector_options: dict[str, Any] = {}
    stop: StopRule = StopRule()
    routing: RoutingSpec = RoutingSpec()
    serving: ServingSpec = ServingSpec()
    tuning: TuningSpec | None = None
    judges: tuple[JudgeSpec, ...] = ()


# Fields that no recorded decision can survive a change of, with the reason a person is told.
FIXED = {
    "seed": "every recorded decision was drawn from its random streams",
    "embedder": "every recorded decision was made on its features",
    "scores": "every recorded decision was made with them",
    "goal": "the votes so far were asked for the other goal",
    "top": "the votes so far were asked at the boundary of the other top",
}
HARMLESS = (
    "title",
    "author",
    "question",
    "guidelines",
    "reasons",
    "votes",
    "stop",
    "routing",
    "serving",
    "tuning",
    "judges",
)
"""Fields that decide no query."""
WHY = {
    "title": "shown on screens and in the report",
    "author": "who asks, as people who are invited read it",
    "goal": "best: find the best item; top: the best few; rank: order all; label: label pairs (fixed after a vote)",
    "top": "how many items goal top is to find (fixed after the first vote)",
    "seed": "same seed, same answers: same queries (fixed after the first vote)",
    "votes": "the budget: the study ends here at the latest",
    "question": "asked above the two panes",
    "guidelines": "Markdown, shown on the g key",
    "reasons": "tags a voter may attach to a vote",
    "model": "utility model: default, gp, bradley_terry, intransitive, or path/to/file.py:Class",
    "selector": "what is asked next: default, eubo, copeland, eig, swap, thompson, random, or path/to/file.py:Class",
    "embedder": "how texts become features: wordllama, or none (fixed after the first vote)",
    "scores": "features that should go up with quality; votes teach how far to trust them (fixed after the first vote)",
}


def read(path: Path) -> Spec:
    """The specification in a `study.toml`.

    Raises BadInputError with the file and the line or field at fault.
    """
    if not path.exists():
        raise BadInputError(f"{path.parent} is not a study: it has no {FILE}; make one with 'elicit init'")
    try:
        return convert(read_toml(path, "mend it or restore it from a backup"))
    except msgspec.ValidationError as error:
        raise BadInputError(f"{path}: {_describe_error(error)}") from None


def convert(values: dict[str, Any], items: int | None = None) -> Spec:
    """A specification from plain values; checks that its plug-ins exist.

    items: how many items the study has, where that is known.
    Raises msgspec.ValidationError for a wrong field, BadInputError for an unknown plug-in or a top of all items.
    """
    spec = msgspec.convert(values, Spec)
    if items is not None and spec.goal == "top" and spec.top >= items:
        raise BadInputError(f"the top {spec.top} are to be found, but there are {items} items; say a smaller top")
    if ":" not in spec.model:
        registry.check_known("model", spec.model)
    if ":" not in spec.selector and spec.selector != "default":
        registry.check_known("selector", spec.selector)
    if spec.embedder not in EMBEDDERS:
        raise UnknownNameError("embedder", spec.embedder, list(EMBEDDERS))
    for judge in spec.judges:
        if ":" not in judge.kind:
            registry.check_known("judge", judge.kind)
    if ":" not in spec.routing.router and spec.routing.router != "none":
        registry.check_known("router", spec.routing.router)
    if spec.tuning is not None:
        spec.tuning.check()
    try:
        spec.serving.ends  # noqa: B018
    except ValueError:
        raise BadInputError(
            f"serving.deadline {spec.serving.deadline!r} is no time; write it like 2030-01-31T18:00+01:00"
        ) from None
    try:
        networks(spec.serving.proxies)
    except ValueError as error:
        raise BadInputError(
            f"serving.proxies: {error}; write addresses or networks, like 127.0.0.1 or 10.0.0.0/8"
        ) from None
    names = [judge.name for judge in spec.judges]
    if len(set(names)) < len(names):
        raise BadInputError("two judges in study.toml have the same name; give each its own")
    return spec


def for_reading(decided: Spec, path: Path) -> Spec:
    """The log's specification with what the file says of screens, budget and stop rule, which decides no query.

    An edit that cannot be read is left to the next command that writes, which says what is wrong with it.
    """
    try:
        edited = read(path)
    except BadInputError:
        return decided
    return msgspec.structs.replace(decided, **{name: getattr(edited, name) for name in HARMLESS})


def dumps(spec: Spec) -> str:
    """The specification as TOML, with a comment on each field a person may want to edit."""
    document = tomlkit.document()
    document.add(tomlkit.comment("An elicit study. Edit it any time; what changes decisions is noted in the log."))
    tables = {}
    for name, value in msgspec.to_builtins(spec).items():
        if isinstance(value, dict) or name in ("judges", "tuning"):
            tables[name] = value
            continue
        document.add(name, tomlkit.item(list(value) if isinstance(value, tuple) else value))
        if name in WHY:
            document[name].comment(WHY[name])
    document.add("stop", tomlkit.item(tables["stop"]))
    small = f"stop once the {EXPECTED[spec.goal].lower()} is at most `regret`"
    if spec.goal == "best":
        small = "stop once the regret of the recommended item is this small with this confidence"
    document["stop"].comment(small)
    for name, usual in (("routing", RoutingSpec()), ("serving", ServingSpec()), ("tuning", None)):
        if getattr(spec, name) != usual:
            document.add(name, tomlkit.item(_without_empty(tables[name])))
    for name in ("model_options", "selector_options"):
        if tables[name]:
            document.add(name, tomlkit.item(tables[name]))
    if tables["judges"]:
        array = tomlkit.aot()
        for judge in tables["judges"]:
            array.append(tomlkit.item(judge))
        document.add("judges", array)
    return tomlkit.dumps(document)


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    """A table without what says nothing."""
    whole = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in table.items()}
    return {k: v for k, v in whole.items() if v not in (None, {}, "")}


def load_plugins(spec: Spec, changed: tuple[str, ...]) -> None:
    """Make sure that the changed plug-ins can be made, before the change is recorded.

    Raises BadInputError where one cannot.
    """
    if {"selector", "selector_options"} & set(changed) and spec.selector != "default":
        registry.selector(spec.selector, dict(spec.selector_options))
    if {"model", "model_options"} & set(changed):
        registry.model(spec.model, dict(spec.model_options))
    for judge in spec.judges if "judges" in changed else ():
        registry.plugin("judge", judge.kind, dict(judge.options))  # it refuses a key that was pasted into its options
    if "tuning" in changed and spec.tuning is not None:
        for name in spec.tuning.proposers:
            registry.plugin("proposer", name, dict(spec.tuning.proposer_options.get(name, {})))
    if "routing" in changed and spec.routing.router != "none":
        registry.router(spec.routing.router, dict(spec.routing.options))


def changes(old: Spec, new: Spec, votes: int) -> tuple[str, ...]:
    """The fields that differ.

    Raises BadInputError where one of them is fixed because there are votes.
    """
    names = tuple(f for f in Spec.__struct_fields__ if getattr(old, f) != getattr(new, f))
    for name in names:
        if votes and name in FIXED:
            raise BadInputError(
                f"{FILE}: {name} cannot change from {getattr(old, name)!r} to {getattr(new, name)!r} after the first "
                f"vote, because {FIXED[name]}; set it back, or start a new study"
            )
    if votes and old.tuning is not None and new.tuning is not None:
        for field, was, now in old.tuning.lasting_differences(new.tuning):
            raise BadInputError(
                f"{FILE}: tuning.{field} cannot change from {was!r} to {now!r} after the first vote, because the "
                "responses so far would be mixed with others; set it back, or start a new study"
            )
    return names


def _describe_error(error: msgspec.ValidationError) -> str:
    text = str(error)
    what, _, where = text.partition(" - at `$.")
    field = where.rstrip("`")
    what = what[0].lower() + what[1:]
    if what.startswith("object contains unknown field"):
        name = what.split("`")[1]
        close = difflib.get_close_matches(name, Spec.__struct_fields__, 1)
        return f"there is no field {name!r}; " + (f"did you mean {close[0]!r}?" if close else "take it out")
    if field == "goal":
        what = "say best, top, rank or label"
    return f"field {field!r}: {what}; mend it" if field else what
