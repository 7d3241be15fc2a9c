"""The command line: names and one-line help of the commands, which load only when they are called.

Exit codes: 0 done; 2 bad input, one sentence on stderr; 3 stopped before the end with everything saved.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from elicit import __version__, registry
from elicit.types import BadInputError

COMMANDS = {
    "demo": ("tui.commands", "A whole prompt-tuning session on the built-in pool."),
    "init": ("studies.commands", "Make a study from a file of items or pairs."),
    "vote": ("tui.commands", "Vote in the terminal."),
    "tune": ("tui.commands", "Tune prompts: vote while new ones are made, until the best is found."),
    "serve": ("studies.serve_commands", "Let many people vote, with a browser, a terminal or a script."),
    "invite": ("studies.serve_commands", "Make a link by which people join a served study."),
    "admin": ("studies.serve_commands", "Make a link to the page from which a served study is run."),
    "run": ("studies.commands", "Let the configured judges vote."),
    "status": ("studies.commands", "Say where a study stands."),
    "report": ("studies.commands", "Write the study's HTML report."),
    "export": ("studies.commands", "Write votes, items or labels to a file."),
    "plan": ("studies.replay_commands", "Foretell what more votes will bring, by simulation."),
    "replay": ("studies.replay_commands", "Recompute every decision of a study."),
    "backup": ("studies.commands", "Copy a study safely, also while it is in use."),
    "forget": ("studies.commands", "Remove a judge's identity and notes."),
    "leaderboard": ("studies.leaderboard", "Rank items from a table of votes."),
    "bench": ("studies.bench.commands", "Measure methods side by side."),
    "doctor": ("studies.commands", "Check versions, device and installation."),
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
@click.version_option(__version__, prog_name="elicit")
def root() -> None:
    """Find out what people prefer, with as few votes as possible."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(_code(arguments))


def _code(arguments: list[str] | None) -> int:
    for channel in (sys.stdout, sys.stderr):
        if isinstance(channel, io.TextIOWrapper):  # a terminal that lacks a character shows its code instead
            channel.reconfigure(errors="backslashreplace")
    try:
        result: Any = root.main(arguments, prog_name="elicit", standalone_mode=False)
    except BadInputError as error:
        click.echo(f"elicit: {error}", err=True)
        return 2
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "elicit"
        message = error.format_message().rstrip(".")
        click.echo(f"{where}: {message[:1].lower()}{message[1:]}; see '{where} --help'", err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"elicit: {error.format_message()}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort) as stop:
        click.echo(f"\nelicit: stopped; {str(stop) or 'everything so far is saved'}", err=True)
        return 3
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, and nothing more can be said
        return 0
    except OSError as error:
        click.echo(f"elicit: {error.filename or 'the output'} cannot be used ({error.strerror}); check it", err=True)
        return 2
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
