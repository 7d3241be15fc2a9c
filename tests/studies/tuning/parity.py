"""A model that is a Python function: it says whether a number is odd, the better the more care a prompt asks for.

`answer` is the target of studies in tests; the rest makes such studies.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from elicit.tuning.protocol import Input
from studies.study import Study

WORDS = ("carefully", "exactly", "twice", "slowly")
NUMBERS = range(10, 70)


def answer(prompt: str) -> str:
    """Right with probability .3 and .2 for each word of care, the same whenever it is asked."""
    found = re.findall(r"\d+", prompt)
    if not found or "fail" in prompt:
        raise ValueError("there is no number")
    right = "odd" if int(found[-1]) % 2 else "even"
    wrong = "even" if right == "odd" else "odd"
    luck = int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16) / 2**32
    return right if luck < quality(prompt) else wrong


def quality(prompt: str) -> float:
    """The share of numbers that a prompt is right about."""
    return 0.3 + 0.2 * sum(word in prompt for word in WORDS[:3])


def prompts() -> list[str]:
    """Every subset of the words of care, in a sentence with the number's place."""
    texts = []
    for chosen in range(16):
        words = [word for k, word in enumerate(WORDS) if chosen >> k & 1]
        texts.append(" ".join(["Say", *words, "whether {input} is odd or even."]))
    return texts


def inputs(n: int = 30, held_out: int = 10) -> list[Input]:
    """Numbers with their references; the last ones are held out."""
    numbers = NUMBERS[:n]
    return [
        Input(f"n{x}", {"input": str(x)}, "odd" if x % 2 else "even", k >= n - held_out) for k, x in enumerate(numbers)
    ]


def tuned(folder: Path, items: list[str] | None = None, given: list[Input] | None = None, **tuning: Any) -> Study:
    """A study of the prompts on the numbers, without proposers unless some are named."""
    of_study = ("votes", "seed", "judges", "routing", "serving", "stop")
    spec: dict[str, Any] = {name: tuning.pop(name) for name in of_study if name in tuning}
    table = {
        "task": "Say whether a number is odd or even.",
        "target": {"function": f"{__file__}:answer"},
        "proposers": [],
        "signals": ["exact_match"],
        **tuning,
    }
    spec.setdefault("judges", [{"name": "person", "kind": "reference", "person": True}])
    texts = prompts() if items is None else items
    return Study.create(folder, items=texts, inputs=inputs() if given is None else given, tuning=table, **spec)
