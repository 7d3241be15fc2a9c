"""The outcome of prompt tuning in the forms other tools read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from elicit.tuning.protocol import INPUT, PLACE, SEED, fill
from elicit.types import BadInputError
from studies.recommendation import recommend

if TYPE_CHECKING:
    from elicit.tuning.protocol import Input
    from studies.study import Study
    from studies.tuning_spec import ModelSpec, TuningSpec

ASSERTIONS = {"exact_match": "equals", "contains": "icontains", "json": "is-json"}
"""promptfoo's assertion for a signal of ours."""
_WORDS = ("and", "else", "false", "if", "in", "is", "none", "not", "null", "or", "true")
"""What nunjucks takes for something else than a variable."""
_ODD = re.compile(r"\W")
# A brace before a place would be one of the place's.
_MARKS = re.compile(r"\{+[%#]|\{{2,}|\{\Z|#\}")
_ADDRESS = re.compile(r"file://|package:")
_NOTHING = "{% raw %}{% endraw %}"


def prompt_text(study: Study) -> str:
    """The recommended prompt as it is."""
    return study.state.items[_best(study)].text + "\n"


def promptfoo(study: Study) -> str:
    """A promptfoo configuration with the recommended prompt and the first one, the model, and the inputs held out (all,
    where none are) as tests. It is JSON, which its YAML reader takes. Braces that are text are escaped, since it fills
    prompts and inputs alike with nunjucks; of the key it names the environment variable."""
    tuning, state = _tuning(study), study.state
    best = _best(study)
    tests = [entry for entry in state.inputs if entry.held_out] or list(state.inputs)
    names = variables(state.inputs[0].fields) if state.inputs else {}
    rows = list(dict.fromkeys([best, SEED]))
    config = {
        "description": tuning.task,
        "prompts": [{"raw": template(state.items[row].text, names), "label": state.items[row].id} for row in rows],
        "providers": [_provider(tuning.target)],
        "tests": [_test(entry, names, tuning.signals) for entry in tests],
    }
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def preferences(study: Study) -> list[dict[str, Any]]:
    """Rows of TRL's conversational preference format: every whole response that was preferred to another one. The
    prompt is the recommended one on their input, so that what is trained answers it as the better prompts made it
    answer."""
    _tuning(study)
    state, rows = study.state, list[dict[str, Any]]()
    best = recommend(study.engine, study.spec, study.state)
    best = study.engine.best() if best is None else best
    for live in state.votes:
        vote = live.vote
        if vote.outcome.choice not in ("a", "b") or state.weight(vote.judge) == 0:
            continue
        chosen, rejected = (vote.a, vote.b) if vote.outcome.choice == "a" else (vote.b, vote.a)
        triples: list[tuple[str, str, str]] = []
        if not state.inputs:
            triples.append((state.items[chosen].context, state.items[chosen].text, state.items[rejected].text))
        for i in vote.inputs:
            better, worse = state.responses[chosen, i], state.responses[rejected, i]
            if not (better.failure or better.cut or worse.failure):
                triples.append((fill(state.items[best].text, state.inputs[i]), better.text, worse.text))
        rows += [
            {
                "prompt": [{"role": "user", "content": prompt}],
                "chosen": [{"role": "assistant", "content": better}],
                "rejected": [{"role": "assistant", "content": worse}],
            }
            for prompt, better, worse in triples
            if better != worse
        ]
    return rows


def _tuning(study: Study) -> TuningSpec:
    if study.spec.tuning is None:
        raise BadInputError(f"{study.folder} tunes no prompts; export its votes or items")
    return study.spec.tuning


def _best(study: Study) -> int:
    _tuning(study)
    best = recommend(study.engine, study.spec, study.state)
    if best is None:
        raise BadInputError("no prompt is known to be acceptable, so there is none to export; vote on")
    return best


def variables(fields: Iterable[str]) -> dict[str, str]:
    """What each field is called in a template of nunjucks: its own name where that can be one."""
    return {
        name: name if re.fullmatch(r"[^\W\d]\w*", name) and name not in _WORDS else f"v{number}_{_ODD.sub('_', name)}"
        for number, name in enumerate(fields)
    }


def template(prompt: str, names: Mapping[str, str]) -> str:
    """A prompt as a template of nunjucks that renders what `fill` gives."""
    text, start = "", 0
    for place in PLACE.finditer(prompt):
        if place[1] in names:
            text += f"{_escape_marks(prompt[start : place.start()])}{{{{{names[place[1]]}}}}}"
            start = place.end()
    text += _escape_marks(prompt[start:])
    if start or not names:
        return _NOTHING + text if _is_json(text) else text
    labelled = (f"{_escape_marks(name)}: {{{{{variable}}}}}" for name, variable in names.items())
    return f"{text}\n\n" + (f"{{{{{names[INPUT]}}}}}" if list(names) == [INPUT] else "\n".join(labelled))


def escape_text(text: str) -> str:
    """A value as promptfoo renders it back to the very text: it takes its last newline off, and loads what it takes for
    the address of a file."""
    escaped = _escape_marks(text)
    if _ADDRESS.match(escaped):
        escaped = _NOTHING + escaped
    return escaped + _NOTHING if escaped.endswith("\n") else escaped


def _is_json(text: str) -> bool:
    """promptfoo fills the strings of what is JSON on another way, which leaves values as they came."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _escape_marks(text: str) -> str:
    # The mark alone: promptfoo looks for whole tags in a value before nunjucks does, also inside raw.
    return _MARKS.sub(r"{% raw %}\g<0>{% endraw %}", text)


def _provider(target: ModelSpec) -> dict[str, Any] | str:
    if target.function:
        return f"file://{target.function}"
    config: dict[str, Any] = {"temperature": target.temperature, "max_tokens": target.max_tokens}
    if target.api == "openai":
        config["apiBaseUrl"] = target.endpoint
        config |= {"apiKeyEnvar": target.key} if target.key else {"apiKeyRequired": False}
        config |= {"passthrough": target.parameters} if target.parameters else {}
        return {"id": f"openai:chat:{target.model}", "config": config}
    # Anthropic's own client adds the version.
    config["apiBaseUrl"] = re.sub(r"/v1/?\Z", "", target.endpoint)
    config |= {"apiKey": f"{{{{ env.{target.key} }}}}"} if target.key else {}
    config |= {"extra_body": target.parameters} if target.parameters else {}
    return {"id": f"anthropic:messages:{target.model}", "config": config}


def _test(entry: Input, names: Mapping[str, str], signals: tuple[str, ...]) -> dict[str, Any]:
    checks = []
    for signal in signals:
        if signal == "json":
            checks.append({"type": "is-json"})
        elif signal in ASSERTIONS and entry.reference:
            checks.append({"type": ASSERTIONS[signal], "value": escape_text(entry.reference)})
    values = {names[name]: escape_text(value) for name, value in entry.fields.items()}
    return {"vars": values} | ({"assert": checks} if checks else {})
