"""How long a voter waits: from a key going down to the next pair painted, in the real app on a real study.

`python -m tui.latency --items 2000 --votes 300` makes a study, opens the voting screen on it without a terminal,
votes, and prints percentiles.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from textual import events

from elicit.service.voting import StudyService
from elicit.types import BadInputError
from studies.local.client import LocalService
from tui.app import VoteApp
from tui.vote import Painted

_SUBJECTS = ("A cache", "The parser", "This loop", "An index", "The queue", "A lock", "The schema", "One thread")
_VERBS = ("keeps", "drops", "reads", "copies", "orders", "checks", "delays", "merges")
_OBJECTS = ("the rows", "old entries", "each request", "the keys", "large files", "the log", "both sides", "errors")
_KEYS = ("left", "right", "2", "6", "1", "7", "equals_sign", "s")


class _Timed(VoteApp):
    """Notes when a pair was painted."""

    painted_at = 0.0

    def __init__(self, service: StudyService) -> None:
        async def start() -> StudyService:
            return service

        super().__init__(start)
        self.painted = asyncio.Event()

    def on_painted(self, _: Painted) -> None:
        """A pair has come on the screen."""
        self.painted_at = time.perf_counter()
        self.painted.set()


def _texts(count: int) -> Iterator[str]:
    """Answers of a dozen Markdown sentences with some code, no two alike."""
    chance = random.Random(7)
    for number in range(count):
        sentences = [
            f"{chance.choice(_SUBJECTS)} {chance.choice(_VERBS)} {chance.choice(_OBJECTS)}." for _ in range(24)
        ]
        listed = "\n".join(f"- **{sentence.split()[1]}** {sentence}" for sentence in sentences[:6])
        code = f"```python\ndef answer_{number}(rows: list[int]) -> int:\n    return sum(rows) + {number}\n```"
        yield f"## Answer {number}\n\n{' '.join(sentences[6:14])}\n\n{listed}\n\n{code}\n\n{' '.join(sentences[14:])}"


def _study(folder: Path, items: int, votes: int) -> Path:
    """A study of that many texts, made by the command line in a process of its own."""
    listed = folder / "items.jsonl"
    listed.write_text("".join(json.dumps({"text": text}) + "\n" for text in _texts(items)))
    study = folder / "study"
    command = [sys.executable, "-m", "elicit.cli", "init", str(study), "--items", str(listed), "--votes"]
    subprocess.run([*command, str(votes + 50)], check=True, capture_output=True)
    return study


async def measure(study: Path, votes: int, reading: float, size: tuple[int, int] = (120, 40)) -> list[float]:
    """Milliseconds from key to paint for every vote; `reading` seconds pass before each."""
    app = _Timed(await LocalService.start(study, "latency"))
    chance = random.Random(11)
    waits = []
    async with app.run_test(size=size):
        while not app.painted.is_set():
            await asyncio.sleep(0.05)
            if app.failure:
                raise BadInputError(app.failure)
        for _ in range(votes):
            await asyncio.sleep(reading)
            if app.screen_stack[-1].is_modal:
                app.pop_screen()
                await asyncio.sleep(max(0.3, reading))
            app.painted.clear()
            begin = time.perf_counter()
            app.post_message(events.Key(chance.choice(_KEYS), None))
            async with asyncio.timeout(60):
                await app.painted.wait()
            waits.append(1000 * (app.painted_at - begin))
    return waits


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tui.latency", description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--votes", type=int, default=300)
    parser.add_argument("--reading", type=float, default=2.0, help="seconds before each vote (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        study = _study(Path(folder), chosen.items, chosen.votes)
        try:
            waits = asyncio.run(measure(study, chosen.votes, max(0.3, chosen.reading)))
        except BadInputError as error:
            sys.exit(str(error))
    cuts = quantiles(waits, n=20, method="inclusive")
    figures = {
        "items": chosen.items,
        "votes": chosen.votes,
        "reading_s": chosen.reading,
        "wall_ms_p50": round(cuts[9], 1),
    }
    figures |= {"wall_ms_p95": round(cuts[18], 1), "wall_ms_max": round(max(waits), 1)}
    if chosen.json:
        print(json.dumps(figures))
    else:
        print(f"{chosen.votes} votes among {chosen.items} items, {chosen.reading} s of reading before each")
        print(f"key to next pair painted: p50 {cuts[9]:.1f} ms, p95 {cuts[18]:.1f} ms, longest {max(waits):.1f} ms")


if __name__ == "__main__":
    main()
