"""A study as Python programs use it: the study itself, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies import study

if TYPE_CHECKING:
    from adapters.files.tables import Written


class Study(study.Study):
    """An open study, with its status, report and tables. Methods may be called from several threads; one process
    writes at a time."""

    def status(self) -> dict[str, Any]:
        """What `elicit status` tells, as plain values."""
        from studies.reporting.status import status_of

        return status_of(self)

    def report(self, path: str | Path) -> None:
        """Write the study's HTML report.

        Raises BadInputError where the file cannot be written.
        """
        from studies.reporting.report_data import write_report

        write_report(self, Path(path))

    def export(self, path: str | Path, format: Written | None = None, table: str = "votes") -> int:  # noqa: A002
        """Write the votes, items or labels as csv, jsonl or parquet; returns how many rows.

        format: by the file's ending where it is not given. Raises BadInputError where the file cannot be written.
        """
        from studies.reporting.exports import export

        return export(self, str(path), table, format)
