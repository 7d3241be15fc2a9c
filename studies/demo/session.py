"""The demo: prompt tuning on the built-in pool, whose prompts were measured with a small language model.

The pool's accuracies are known, so the demo can say afterwards how good the recommendation really is. They are never
shown before or while voting.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from adapters.judges.simulated import scale_utilities
from elicit.safe_text import percent
from elicit.types import BadInputError, Item
from studies.items.features import knowledge_of
from studies.study import Study

# What loads torch is imported where it is used: the voting screen comes first, and must not wait for it.

REPORT = "report.html"
JUDGE = "simulated"
VOTES = 100
SD = 2.0
PERSONS = 3
"""Simulated persons who vote on random pairs, for comparison."""
HORIZON = 8
"""Random pairs are given up after so many times the votes the engine used."""

GUIDELINES = """\
Each side is a **prompt** for a small language model, with what the model answered to six sentences.
The task: say whether a sentence is about *food*, *travel*, *sport* or *money*, in one word.

Choose the prompt you would rather use. More right answers are better; a clean single word is better than a
right word in a crowd of others.
"""


def demo_items() -> list[Item]:
    """The built-in pool; `meta.accuracy` is the measured share of right answers on held-out inputs."""
    items = []
    for line in files("studies.demo").joinpath("pool.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        meta = {"accuracy": row["accuracy"], "measured": row["measured"], **row["slots"]}
        items.append(Item(row["id"], row["prompt"], display=_display(row), meta=meta))
    return items


def _display(row: dict[str, Any]) -> str:
    quoted = "\n".join(f"> {line}  " for line in row["prompt"].replace("{text}", "⟨sentence⟩").splitlines())
    answers = "\n".join(f"- {answer['input']}  \n  → **{_inline(answer['answer'])}**" for answer in row["answers"])
    return f"{quoted}\n\n{answers}\n"


def _inline(answer: str) -> str:
    text = " ⏎ ".join(line.strip() for line in answer.splitlines() if line.strip())
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in text) or "(nothing)"


def open_demo(folder: Path, *, auto: bool, votes: int | None, seed: int) -> Study:
    """The demo's study in `folder`: a new one, or the one that is there.

    auto: begin again where only the simulated person has voted. Raises BadInputError where the folder holds
    something else.
    """
    if (folder / "study.toml").exists():
        study = Study.open(folder)
        if not auto:
            return study
        voters = {live.vote.judge for live in study.state.votes}
        same = study.state.items == demo_items()
        study.close()
        if not same or not voters <= {JUDGE}:
            what = "votes of a person" if same else "a study of yours"
            raise BadInputError(f"{folder} holds {what}; give the demo another --folder")
        for name in ("study.toml", "study.db", "study.db-wal", "study.db-shm", REPORT):
            (folder / name).unlink(missing_ok=True)
        for path in folder.glob("study.lock*"):
            path.unlink()
    judge = {"name": JUDGE, "kind": "simulated", "options": {"utility": "meta.accuracy", "sd": SD, "seed": seed}}
    return Study.create(
        folder,
        items=demo_items(),
        title="Demo: sorting sentences by topic",
        question="Which prompt would you rather use?",
        guidelines=GUIDELINES,
        reasons=("more right answers", "cleaner answers", "clearer prompt"),
        votes=votes or (VOTES if auto else 200),
        seed=seed,
        judges=[judge],
    )


def vote_automatically(study: Study, report: Callable[[int], None]) -> None:
    """The simulated person votes until the stop rule is met or the budget is spent."""
    from studies.run import run

    run(study, None, lambda done, _: report(done))


def conclude(study: Study, report: Callable[[int], None] | None = None) -> dict[str, Any]:
    """What the demo ends with; writes the HTML report into the study's folder.

    report: called with the votes random pairs have used, for a progress bar; None leaves the comparison out.
    """
    from studies.reporting.report_data import write_report

    accuracy = np.array([item.meta["accuracy"] for item in study.state.items])
    row, used = study.engine.best(), len(study.state.votes)
    outcome: dict[str, Any] = {
        "recommended": study.state.items[row].id,
        "prompt": study.state.items[row].text,
        "p_best": float(study.engine.p_best()[row]),
        "votes": used,
        "accuracy": float(accuracy[row]),
        "rank_by_accuracy": int((accuracy > accuracy[row]).sum()) + 1,
        "best_accuracy": float(accuracy.max()),
        "median_accuracy": float(np.median(accuracy)),
        "items": len(accuracy),
        "stop": study.stop().why,
        "report": str(study.folder / REPORT),
    }
    notes: tuple[str, ...] = (
        f"Measured on held-out sentences the recommended prompt is right {percent(accuracy[row])} of the time; the "
        f"best of the pool is at {percent(accuracy.max())}, the median at {percent(np.median(accuracy))}.",
    )
    if report is not None and used:
        outcome |= random_votes(study, accuracy, row, used, report)
        notes = (*notes, random_sentence(outcome))
    write_report(study, study.folder / REPORT, notes)
    return outcome


def random_votes(
    study: Study, accuracy: np.ndarray, row: int, used: int, report: Callable[[int], None]
) -> dict[str, Any]:
    """How many votes on random pairs, learnt by the same model, it takes to recommend an item as good for good."""
    from elicit.engine import Engine
    from studies.simulation.simulate import luck_of, simple_regret, simulate, votes_to_95

    u = scale_utilities(accuracy, SD)
    knowledge, horizon = knowledge_of(study.state.items, study.spec.embedder), HORIZON * used
    target = max(0.05, simple_regret(u, row))
    vote_counts = []
    for person in range(PERSONS):
        engine = Engine(knowledge.features, groups=knowledge.groups, selector="random", seed=person)
        done = person * horizon
        simulation = simulate(engine, u, horizon, luck_of(1000 + person), lambda t, done=done: report(done + t))  # type: ignore[misc]
        vote_counts.append(votes_to_95(u, simulation.recommended, target))
    middle = int(np.median(vote_counts))
    return {"random_votes": min(middle, horizon), "random_votes_censored": middle > horizon}


def random_sentence(outcome: dict[str, Any]) -> str:
    """The comparison with random pairs in words."""
    count = f"{'more than ' if outcome['random_votes_censored'] else ''}{outcome['random_votes']}"
    return f"Random pairs would have needed {count} votes to settle on a prompt as good (median of {PERSONS} runs)."
