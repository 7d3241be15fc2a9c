"""The command line: names and one-line help of the commands, which load only when they are called.

Exit codes: 0 done; 1 `replay --verify` found a divergence; 2 bad input, or a fault, in one sentence on stderr;
3 stopped before the end with everything saved.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from elicit import diagnostics
from elicit.plugins import registry
from elicit.types import BadInputError

logger = logging.getLogger(__name__)

COMMANDS = {
    "demo": ("tui.commands", "A whole prompt-tuning session on the built-in pool."),
    "init": ("studies.commands.study", "Make a study from a file of items or pairs."),
    "vote": ("tui.commands", "Vote in the terminal."),
    "tune": ("tui.commands", "Tune prompts: vote while new ones are made, until the best is found."),
    "serve": ("studies.commands.serve", "Let many people vote, with a browser, a terminal or a script."),
    "invite": ("studies.commands.serve", "Make a link by which people join a served study."),
    "admin": ("studies.commands.serve", "Make a link to the page from which a served study is run."),
    "run": ("studies.commands.study", "Let the configured judges vote."),
    "status": ("studies.commands.study", "Say where a study stands."),
    "report": ("studies.commands.study", "Write the study's HTML report."),
    "export": ("studies.commands.study", "Write votes, items or labels to a file."),
    "plan": ("studies.commands.replay", "Foretell what more votes will bring, by simulation."),
    "replay": ("studies.commands.replay", "Recompute every decision of a study."),
    "backup": ("studies.commands.study", "Copy a study safely, also while it is in use."),
    "forget": ("studies.commands.study", "Remove a judge's identity and notes."),
    "leaderboard": ("studies.commands.leaderboard", "Rank items from a table of votes."),
    "bench": ("studies.bench.commands", "Measure methods side by side."),
    "doctor": ("studies.commands.study", "Check versions, device and installation."),
}


class Commands(click.Group):
    """The commands, in the order a study meets them; each loads with its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(registry.above(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: elicit demo",
)
@click.version_option(diagnostics.VERSION, prog_name="elicit")
@click.option("-v", "--verbose", is_flag=True, help="Tell on stderr what happens, and in full what fails.")
def root(verbose: bool) -> None:
    """Find out what people prefer, with as few votes as possible."""
    diagnostics.configure_logging(verbose=verbose)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    _open_closed_streams()
    sys.exit(_code(arguments))


def _open_closed_streams() -> None:
    """Let standard streams that were closed before this process began lead nowhere: whatever file is opened next would
    take their place, and what is printed would end in it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w"))


class SignalledError(KeyboardInterrupt):
    """A signal asks this process to end."""


def _stop(number: int, _: FrameType | None) -> None:
    # Raised here and now, also while an event loop runs: a plug-in that never gives way must not keep the process.
    raise SignalledError("" if number == signal.SIGINT else f" by {signal.Signals(number).name}")


def _code(arguments: list[str] | None) -> int:
    for channel in (sys.stdout, sys.stderr):
        if isinstance(channel, io.TextIOWrapper):  # a terminal that lacks a character shows its code instead
            channel.reconfigure(errors="backslashreplace")
    with _stopped_by_signals():
        return _run(arguments)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Signals that ask the process to end raise inside; whoever called has their own handlers back afterwards."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background job
                before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _run(arguments: list[str] | None) -> int:
    output = sys.stdout
    try:
        result: Any = root.main(arguments, prog_name="elicit", standalone_mode=False)
        sys.stdout.flush()
    except BadInputError as error:
        logger.debug("refused", exc_info=True)
        _say(f"elicit: {error}")
        return 2
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "elicit"
        message = error.format_message().rstrip(".")
        _say(f"{where}: {message[:1].lower()}{message[1:]}; see '{where} --help'")
        return 2
    except click.ClickException as error:
        _say(f"elicit: {error.format_message()}")
        return 2
    except SignalledError as stop:
        _say(f"\nelicit: stopped{stop}; everything so far is saved")
        return 3
    except (KeyboardInterrupt, click.Abort) as stop:
        _say(f"\nelicit: stopped; {str(stop) or 'everything so far is saved'}")
        return 3
    except (BrokenPipeError, SystemExit) as end:
        if isinstance(end, SystemExit) and sys.stdout is output:
            raise  # for a broken pipe click puts another stream in its place, and exits
        # Whoever reads our output has gone. What Python still holds of it would fail again when it is flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        logger.exception("a file or connection failed")
        _say(f"elicit: {error.filename or 'the output'} cannot be used ({error.strerror or error}); check it")
        return 2
    except Exception as error:
        if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # an OSError from 3.13 on
            _say(f"elicit: {str(error)[0].lower()}{str(error)[1:]}; give a path that leads somewhere")
            return 2
        logger.exception("a fault of elicit")
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        _say(
            f"elicit: this is a fault of elicit, not of yours ({type(error).__name__}: {error}; {place}); "
            "votes are saved; 'elicit --verbose ...' shows all of it"
        )
        return 2
    return result if isinstance(result, int) else 0


def _say(text: str) -> None:
    """A line on stderr, if anybody still reads it."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(text, err=True)


if __name__ == "__main__":
    main()
