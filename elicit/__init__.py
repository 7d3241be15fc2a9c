"""elicit: active preference elicitation and prompt optimization.

The one public face; importing it is light, and torch loads with the first engine or study.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elicit.engine import Engine
    from elicit.leaderboards import Leaderboard, leaderboard
    from elicit.recorded import Utilities, utilities
    from elicit.types import BadInputError, ChoiceOutcome, Item, Query, Vote
    from studies.study import Study

__version__ = "0.1.0"
__all__ = [
    "BadInputError",
    "ChoiceOutcome",
    "Engine",
    "Item",
    "Leaderboard",
    "Query",
    "Study",
    "Utilities",
    "Vote",
    "__version__",
    "leaderboard",
    "utilities",
]

_HOMES = {
    "Engine": "elicit.engine",
    "Study": "studies.study",
    **dict.fromkeys(("Leaderboard", "leaderboard"), "elicit.leaderboards"),
    **dict.fromkeys(("Utilities", "utilities"), "elicit.recorded"),
    **dict.fromkeys(("BadInputError", "ChoiceOutcome", "Item", "Query", "Vote"), "elicit.types"),
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'elicit' has no attribute {name!r}")
    from elicit.registry import above

    return getattr(above(_HOMES[name]), name)
