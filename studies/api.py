"""A study as Python programs use it: the study itself, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies import study

if TYPE_CHECKING:
    from adapters.files.tables import Written


class Study(study.Study):
    """An open study, with its status, report and tables: a folder with a specification and a log. `create` makes one,
    `open` opens it again.

    Methods may be called from several threads; one process writes at a time. A vote is on disk before `tell` returns.

    Attributes
    ----------
    folder : Path
        Where it is.
    spec : Spec
        What its `study.toml` says.
    state : State
        What its log says: the items, the queries, the live votes.
    shown : PresentedItems
        How its items are shown to voters.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import elicit
    >>> puns = ["Time flies like an arrow.", "Fruit flies like a banana.", "My clock is a fruit."]
    >>> folder = tempfile.TemporaryDirectory()
    >>> with elicit.Study.create(Path(folder.name) / "puns", items=puns, votes=20, embedder="none") as study:
    ...     for _ in range(6):
    ...         query = study.ask("ann")
    ...         favourite = {query.a: "a", query.b: "b"}.get(1, "tie")
    ...         study.tell(query, favourite, "ann", seconds=3.5)
    ...     study.best().text
    'Fruit flies like a banana.'

    Another day, from the log alone:

    >>> with elicit.Study.open(Path(folder.name) / "puns") as study:
    ...     study.undo("ann").vote.judge, study.status()["votes"], study.export(Path(folder.name) / "votes.csv")
    ('ann', 5, 5)
    >>> folder.cleanup()
    """

    def status(self) -> dict[str, Any]:
        """What `elicit status` tells, as plain values: votes, the stop rule, the best item, the leaders, ..."""
        from studies.reporting.status import status_of

        return status_of(self)

    def report(self, path: str | Path) -> None:
        """Write the study's HTML report, one self-contained page.

        Raises
        ------
        BadInputError
            Where the file cannot be written, or is one that a study is made of.
        """
        from studies.reporting.report_data import write_report

        write_report(self, Path(path))

    def export(self, path: str | Path, format: Written | None = None, table: str = "votes") -> int:  # noqa: A002
        """Write one table of the study.

        Parameters
        ----------
        path : str or Path
            The file; "-" is standard output.
        format : str, optional
            "csv", "jsonl", "parquet" or "excel"; None: by the file's ending.
        table : {"votes", "items", "labels", "prompt", "promptfoo", "trl"}
            Labels are of a study of pairs; the last three of one that tunes prompts.

        Returns
        -------
        int
            How many rows, 1 for a text.

        Raises
        ------
        BadInputError
            Where the file cannot be written, has no format, or is one that a study is made of; for labels of a study
            without pairs.
        """
        from studies.reporting.exports import export

        return export(self, str(path), table, format)
