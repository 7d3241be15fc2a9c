"""The core: the engine and what it is made of, with no I/O and no clock.

Also the one public face; importing it is light, and torch loads with the first engine or study. `types` has the nouns.
`engine` asks and is told, `selection` is the protocol of selectors, `stopping` says when it is enough, `checks` what
arrays, rows and names have to be. Which bits come out is up to `arithmetic` (code path, threads) and `randomness`
(streams); `stats` are shared statistics. `safe_text` makes text safe to show, `conversation` chat messages readable,
`diagnostics` says where messages go, and `cli` names the commands.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from elicit import diagnostics
from elicit.arithmetic import fix_code_path

if TYPE_CHECKING:
    from adapters.judges._model_judge import AskingJudge
    from elicit.engine import Engine
    from elicit.inference.posterior import Difference, Knowledge, Mixture, Posterior, Transitive, UtilityModel
    from elicit.ranking.leaderboard import Leaderboard, leaderboard
    from elicit.ranking.utilities import Utilities, utilities
    from elicit.routing.case import Budget, Case, Decision, Labelled, Offer, Probabilities, Router, Seat, offer
    from elicit.routing.judging import Judge, ModelJudge
    from elicit.selection import Acquisition, Candidates, Pick, Selector, argmax_pick, greedy_batch
    from elicit.tuning.protocol import Pool, Proposal, Proposer
    from elicit.types import BadInputError, ChoiceOutcome, Item, JudgeFailure, Query, Verdict, Vote
    from studies.api import Study

fix_code_path()

__version__ = diagnostics.VERSION

__all__ = [
    "Acquisition",
    "AskingJudge",
    "BadInputError",
    "Budget",
    "Candidates",
    "Case",
    "ChoiceOutcome",
    "Decision",
    "Difference",
    "Engine",
    "Item",
    "Judge",
    "JudgeFailure",
    "Knowledge",
    "Labelled",
    "Leaderboard",
    "Mixture",
    "ModelJudge",
    "Offer",
    "Pick",
    "Pool",
    "Posterior",
    "Probabilities",
    "Proposal",
    "Proposer",
    "Query",
    "Router",
    "Seat",
    "Selector",
    "Study",
    "Transitive",
    "Utilities",
    "UtilityModel",
    "Verdict",
    "Vote",
    "__version__",
    "argmax_pick",
    "greedy_batch",
    "leaderboard",
    "offer",
    "utilities",
]

_HOMES = {
    name: home
    for home, names in {
        "adapters.judges._model_judge": "AskingJudge",
        "elicit.engine": "Engine",
        "elicit.routing.judging": "Judge ModelJudge",
        "elicit.ranking.leaderboard": "Leaderboard leaderboard",
        "elicit.inference.posterior": "Difference Knowledge Mixture Posterior Transitive UtilityModel",
        "elicit.ranking.utilities": "Utilities utilities",
        "elicit.routing.case": "Budget Case Decision Labelled Offer Probabilities Router Seat offer",
        "elicit.selection": "Acquisition Candidates Pick Selector argmax_pick greedy_batch",
        "elicit.tuning.protocol": "Pool Proposal Proposer",
        "elicit.types": "BadInputError ChoiceOutcome Item JudgeFailure Query Verdict Vote",
        "studies.api": "Study",
    }.items()
    for name in names.split()
}


_FORMER = {"one_by_one": "greedy_batch", "highest": "argmax_pick"}
"""Names that selectors outside the tree may still go by."""


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        warnings.warn(f"elicit.{name} is called elicit.{_FORMER[name]} now", DeprecationWarning, stacklevel=2)
        return __getattr__(_FORMER[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'elicit' has no attribute {name!r}")
    from elicit.plugins.registry import above

    return getattr(above(_HOMES[name]), name)
