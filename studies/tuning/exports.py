"""The outcome of prompt tuning in the forms other tools read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from elicit.tuning import PLACE, fill
from elicit.types import BadInputError
from studies.status import recommended
from studies.tuning.board import SEED

if TYPE_CHECKING:
    from elicit.tuning import Input
    from studies.study import Study
    from studies.tuning.settings import ModelSpec, Tuning

ASSERTIONS = {"exact_match": "equals", "contains": "icontains", "json": "is-json"}
"""promptfoo's assertion for a signal of ours."""


def prompt_text(study: Study) -> str:
    """The recommended prompt as it is."""
    return study.state.items[_best(study)].text + "\n"


def promptfoo(study: Study) -> str:
    """A promptfoo configuration with the recommended prompt and the first one, the model, and the inputs held out (all,
    where none are) as tests. It is JSON, which its YAML reader takes."""
    tuning, state = _tuning(study), study.state
    best = _best(study)
    tests = [one for one in state.inputs if one.held_out] or list(state.inputs)
    fields = list(state.inputs[0].fields) if state.inputs else []
    rows = list(dict.fromkeys([best, SEED]))
    config = {
        "description": tuning.task,
        "prompts": [{"raw": _template(state.items[row].text, fields), "label": state.items[row].id} for row in rows],
        "providers": [_provider(tuning.target)],
        "tests": [_test(one, tuning.signals) for one in tests],
    }
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def preferences(study: Study) -> list[dict[str, Any]]:
    """Rows of TRL's conversational preference format: every response that was preferred to another one. The prompt is
    the recommended one on their input, so that what is trained answers it as the better prompts made it answer."""
    _tuning(study)
    state, rows = study.state, list[dict[str, Any]]()
    best = recommended(study)
    best = study.engine.best() if best is None else best
    for live in state.votes:
        vote = live.vote
        if vote.outcome.choice not in ("a", "b") or state.weight(vote.judge) == 0:
            continue
        chosen, rejected = (vote.a, vote.b) if vote.outcome.choice == "a" else (vote.b, vote.a)
        asked: list[tuple[str, str, str]] = []
        if not state.inputs:
            asked.append((state.items[chosen].context, state.items[chosen].text, state.items[rejected].text))
        for i in vote.inputs:
            better, worse = state.responses[chosen, i], state.responses[rejected, i]
            if not (better.failure or worse.failure):
                asked.append((fill(state.items[best].text, state.inputs[i]), better.text, worse.text))
        rows += [
            {
                "prompt": [{"role": "user", "content": prompt}],
                "chosen": [{"role": "assistant", "content": better}],
                "rejected": [{"role": "assistant", "content": worse}],
            }
            for prompt, better, worse in asked
            if better != worse
        ]
    return rows


def _tuning(study: Study) -> Tuning:
    if study.spec.tuning is None:
        raise BadInputError(f"{study.folder} tunes no prompts; export its votes or items")
    return study.spec.tuning


def _best(study: Study) -> int:
    _tuning(study)
    best = recommended(study)
    if best is None:
        raise BadInputError("no prompt is known to be acceptable, so there is none to export; vote on")
    return best


def _template(text: str, fields: list[str]) -> str:
    """Our places as promptfoo's."""
    if not any(name in fields for name in PLACE.findall(text)):
        text = f"{text}\n\n" + "\n".join(
            f"{{{name}}}" if len(fields) == 1 else f"{name}: {{{name}}}" for name in fields
        )
    return PLACE.sub(lambda found: f"{{{{{found[1]}}}}}" if found[1] in fields else found[0], text)


def _provider(target: ModelSpec) -> dict[str, Any] | str:
    if target.function:
        return f"file://{target.function}"
    config: dict[str, Any] = {"temperature": target.temperature, "max_tokens": target.max_tokens}
    if target.api == "openai":
        config["apiBaseUrl"] = target.endpoint
    if target.key:
        config["apiKeyEnvar"] = target.key
    name = f"openai:chat:{target.model}" if target.api == "openai" else f"anthropic:messages:{target.model}"
    return {"id": name, "config": config}


def _test(one: Input, signals: tuple[str, ...]) -> dict[str, Any]:
    checks = []
    for signal in signals:
        if signal == "json":
            checks.append({"type": "is-json"})
        elif signal in ASSERTIONS and one.reference:
            checks.append({"type": ASSERTIONS[signal], "value": one.reference})
    return {"vars": dict(one.fields)} | ({"assert": checks} if checks else {})
