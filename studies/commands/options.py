"""What commands share: their arguments, what they print, and how they show progress."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import click

from elicit.diagnostics import log_to_folder


def log_for(_: click.Context, __: click.Parameter, study: Path) -> Path:
    """From here on the command's messages go to the study's log too."""
    log_to_folder(study)
    return study


STUDY = click.argument("study", type=click.Path(path_type=Path), callback=log_for)


JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout and nothing else.")


def example(text: str) -> str:
    """An epilog that shows how the command is used."""
    return f"Example: {text}"


def say(text: str) -> None:
    """A line for the person, on stderr so that stdout stays machine-readable."""
    click.echo(text, err=True)


def show_result(as_json: bool, values: dict[str, Any], text: str) -> None:
    """What has been done: the values on stdout for a program, or a line for the person."""
    if as_json:
        click.echo(json.dumps(values))
    else:
        say(text)


class Step(Protocol):
    """Moves a progress bar on; money: spent so far."""

    def __call__(self, done: int, money: float = 0.0, /) -> None: ...


class progress:  # noqa: N801  (reads as a verb where it is used)
    """A progress bar on stderr, where there is somebody to see it: `with progress(10, "votes") as step: step(3)`."""

    def __init__(self, total: int, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        spent = TextColumn("{task.fields[spent]}")
        columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), spent)
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task(unit, total=total, spent="")

    def __enter__(self) -> Step:
        self._bar.start()
        return self._advance

    def _advance(self, done: int, money: float = 0.0) -> None:
        self._bar.update(self._task, completed=done, spent=f"spent {money:.4g}" if money else "")

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
