"""The options that benches share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from elicit.types import BadInputError
from studies.bench.methods import OUTSIDE, method_names
from studies.commands.option_types import IntegerRange
from studies.commands.options import JSON
from studies.commands.runs import BenchRun, names_of, numbers_of

PATH = click.Path(path_type=Path)
METHODS = (
    "Comma-separated selectors, models and peers: "
    f"{', '.join(name for name in method_names() if name not in OUTSIDE)}; "
    f"path/to/file.py:Class for a selector of one's own; and peers that are installed into an environment of their own "
    f"on first use: {', '.join(OUTSIDE)}."
)


def _check_plot_path(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """The path, where a plot can be drawn to it: told before hours of runs and not after."""
    if path and (path.suffix not in (".png", ".svg", ".pdf") or not path.absolute().parent.is_dir()):
        raise BadInputError(f"{path} cannot be drawn to; give --plot a .png, .svg or .pdf in a folder that exists")
    return path


def options(
    plot: str | None, methods: str | None = "default,random"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options every bench has, which come as one `run`; plot: what --plot draws. methods: None where it compares
    something else."""
    shared = [
        click.option("--out", type=PATH, help="Finished runs are kept here (.jsonl) and not made again."),
        JSON,
    ]
    if plot:
        plot_help = f"Draw {plot}: .png, .svg or .pdf."
        shared = [
            click.option("--workers", type=IntegerRange(1), help="Processes; default one per core."),
            click.option("--plot", type=PATH, callback=_check_plot_path, help=plot_help),
            *shared,
        ]
    if methods:
        methods_option = click.option("--methods", default=methods, show_default=True, callback=names, help=METHODS)
        shared = [methods_option, *shared]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(
            *, out: Path | None, as_json: bool, workers: int | None = 1, plot: Path | None = None, **rest: Any
        ) -> None:
            command(run=BenchRun(workers, out, plot, as_json), **rest)

        for option in reversed(shared):
            run = option(run)
        return run

    return decorate


def names(context: click.Context, option: click.Parameter, text: str | None) -> list[str]:
    return names_of(text)


def numbers(context: click.Context, option: click.Parameter, text: str | None) -> list[int]:
    return numbers_of(option.opts[0], text)
