"""A replayed judge: answers with judgments that were recorded before, and passes where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.files.formats import read_judgments
from elicit.randomness import stream
from elicit.types import BadInputError, ChoiceOutcome, Item, JudgeFailure, Query, Vote


class Replayed:
    """file: judgments (jsonl, csv or parquet), relative to the study's folder.

    judge_id, judge_kind: only this judge's, or this kind's ("human" or "llm"). Where several judgments of a pair are
    left, one is drawn, the same each time.
    """

    def __init__(self, file: str, judge_id: str | None = None, judge_kind: str | None = None, seed: int = 0) -> None:
        self.file, self.judge_id, self.judge_kind, self.seed = file, judge_id, judge_kind, seed

    def begin(self, name: str, items: Sequence[Item], pairs: Sequence[tuple[str, int, int]], folder: Path) -> None:
        if not pairs:
            raise BadInputError(f"replayed judge {name!r}: only studies of pairs can be replayed; this one has items")
        self._name = name
        places = {pair_id: (a, b) for pair_id, a, b in pairs}
        self._recorded: dict[tuple[int, int], list[tuple[int, str]]] = {}
        for row in read_judgments(folder / self.file):
            if row.pair_id not in places:
                raise BadInputError(f"{self.file}: judgment of pair {row.pair_id!r}, which is not in this study")
            if self.judge_id in (None, row.judge_id) and self.judge_kind in (None, row.judge_kind):
                a, b = places[row.pair_id]
                self._recorded.setdefault((min(a, b), max(a, b)), []).append((a, row.preference))
        if not self._recorded:
            raise BadInputError(f"replayed judge {name!r}: {self.file} has no judgment by the judges asked for")

    async def judge(self, query: Query) -> Vote | JudgeFailure:
        recorded = self._recorded.get(query.pair)
        if recorded is None:
            return JudgeFailure(self._name, "no judgment of this pair is recorded", query_only=True)
        number = query.pair[0] * 1_000_003 + query.pair[1]
        first, preference = recorded[int(stream(self.seed, "replayed", number).integers(len(recorded)))]
        if preference in ("a", "b") and first != query.a:
            preference = "b" if preference == "a" else "a"
        return Vote(query.a, query.b, ChoiceOutcome(preference), self._name)  # type: ignore[arg-type]
