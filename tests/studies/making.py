"""Studies for tests: small, with known utilities, and people who vote by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from studies.study import Study

SUBJECTS = ("the cat", "a lawyer", "my neighbour", "the engine", "an orchestra", "the tide")
DEEDS = ("sleeps", "argues about money", "paints the fence", "stops without warning")


def items(n: int = 24) -> list[dict[str, Any]]:
    """n items with differing texts and a score in meta."""
    texts = [f"{SUBJECTS[i % 6]} {DEEDS[(i // 6) % 4]}{'!' * (i // 24)}" for i in range(n)]
    return [{"id": f"i{i}", "text": text, "meta": {"score": (i * 7) % n}} for i, text in enumerate(texts)]


def make(folder: Path, n: int = 24, **spec: Any) -> Study:
    """A study of n items with the goal best."""
    return Study.create(folder / "study", items=items(n), **spec)


def vote(study: Study, judge: str = "me", times: int = 1, noise: float = 2.0) -> None:
    """Let a judge vote by the items' scores; its luck is a function of the decision."""
    for _ in range(times):
        query = study.ask(judge)
        assert query is not None
        u = [float(study.state.items[row].meta["score"]) for row in (query.a, query.b)]
        luck = np.random.default_rng([query.decision, query.a, query.b]).logistic() * noise
        study.tell(query, "a" if u[0] - u[1] + luck > 0 else "b", judge, seconds=1.5)


def asked(study: Study) -> list[tuple[int, int, str]]:
    """What was asked, in order: rows and which stood left."""
    return [(a.query.a, a.query.b, a.query.shown) for a in study.state.asked.values()]
