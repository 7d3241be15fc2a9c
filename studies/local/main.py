"""The engine process of one voter: `python -m studies.local.main STUDY JUDGE`, spoken to through its pipe."""

from __future__ import annotations

import sys
from pathlib import Path

from adapters import rpc
from studies.local.tuning_host import TuningHost
from studies.local.voting_host import VotingHost
from studies.study import Study


def main() -> None:
    """Host the study named on the command line."""
    folder, judge = sys.argv[1:3]
    # A vote must not wait for the thread that looks ahead; the default interval is 5 ms.
    sys.setswitchinterval(0.0005)

    def host() -> VotingHost:
        study = Study.open(Path(folder))
        if study.spec.tuning is None:
            return VotingHost(study, judge)
        return TuningHost(study, judge)

    rpc.answer(Path(folder), host)


if __name__ == "__main__":
    main()
