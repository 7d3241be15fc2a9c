"""No option of any command takes a number that no computer can hold, or that is none."""

from collections.abc import Iterator

import click
import pytest

from elicit import cli
from studies.commands.option_types import IntegerRange, Real


def numeric_options() -> Iterator[tuple[str, click.Option]]:
    """Every option that takes a number, of every command and of its commands."""
    commands = [(name, cli.root.get_command(click.Context(cli.root), name)) for name in cli.COMMANDS]
    while commands:
        name, command = commands.pop()
        if isinstance(command, click.Group):
            commands += [(f"{name} {sub}", inner) for sub, inner in command.commands.items()]
        for option in command.params if command else ():
            numeric = isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
            if numeric and not getattr(option, "is_flag", False) and isinstance(option, click.Option):
                yield f"{name} {option.opts[0]}", option


OPTIONS = dict(numeric_options())


def test_there_are_numeric_options() -> None:
    assert len(OPTIONS) > 30


@pytest.mark.parametrize(
    "odd", ["nan", "inf", "-inf", "1e400", "99999999999999999999", "-99999999999999999999", "ten", ""]
)
@pytest.mark.parametrize("name", OPTIONS)
def test_odd_numbers_are_refused(name: str, odd: str) -> None:
    option = OPTIONS[name]
    assert isinstance(option.type, IntegerRange | Real)
    if isinstance(option.type, Real) and odd == "99999999999999999999" and option.type.max is None:
        return  # much money, and finite
    with pytest.raises(click.UsageError, match=r"\w"):
        option.type.convert(odd, option, None)
