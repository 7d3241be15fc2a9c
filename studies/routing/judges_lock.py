"""One process at a time lets a study's judges answer: several would pay for the same queries."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from adapters.ledger import LOCK
from elicit.types import BadInputError


class JudgesLock:
    """The right to let the judges of the study in `folder` answer, which ends with the process at the latest."""

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / f"{LOCK}.judges", timeout=0)

    def acquire(self) -> bool:
        """Take it, unless another process has it; whether it is ours now. Raises BadInputError where the folder cannot
        be written."""
        try:
            self._lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            folder = Path(self._lock.lock_file).parent
            raise BadInputError(f"{folder} cannot be written ({error.strerror}); check its permissions") from None
        return True

    def release(self) -> None:
        """Let go of it, however often it was taken."""
        self._lock.release(force=True)
