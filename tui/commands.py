"""The commands that open a screen: vote and demo."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elicit.diagnostics import log_to_folder
from elicit.types import BadInputError
from studies.commands.option_types import SEED, IntegerRange
from studies.commands.options import JSON, STUDY, Step, example, progress, say

if TYPE_CHECKING:
    from adapters.client.connection import Address
    from adapters.client.joining import Link
    from elicit.service.http_schema import Welcome
    from elicit.service.voting import TuningService
    from studies.commands.tuning_session import Measuring


@click.command(epilog=example("elicit vote jokes --judge maya"))
@click.argument("study", metavar="STUDY|URL")
@click.option("--judge", help="The name your votes go under; default me.")
@click.option("--token", help="For a URL. It shows in the list of processes: better set ELICIT_TOKEN, or be asked.")
@click.option("--plain", is_flag=True, help="Line prompts instead of a screen, for screen readers and pipes.")
def vote(study: str, judge: str | None, token: str | None, plain: bool) -> int:
    """Vote in the terminal. Every vote is saved at once; come back any time and go on at the same pair.

    A URL like https://host/STUDY is a study on a server (elicit serve): votes are kept on this machine until the
    server has them, and the token you were given says who you are. The link you were given does as well; an invite lets
    you in once, and from then on this machine knows you: elicit vote 'https://host/#study=STUDY&invite=CODE'
    """
    from adapters.client.connection import address_of
    from adapters.client.joining import link_of

    remote = study.lower().startswith(("http://", "https://"))
    link = link_of(study) if remote else None
    if remote and judge and not (link and link.invite):
        raise BadInputError("--judge goes with a study on this machine, or an invite; else the token says who you are")
    if token and link:
        raise BadInputError("this link says already who you are; leave --token out")
    if token and not remote:
        raise BadInputError("--token goes with a study on a server; give its address, like https://host/STUDY")
    if not remote and not (Path(study) / "study.toml").is_file():
        raise BadInputError(f"{study} is not a study: it has no study.toml; make one with 'elicit init'")
    if not plain and os.environ.get("TERM") == "dumb":
        plain = True
    if not plain and not _terminal():
        raise BadInputError("voting needs a terminal; use --plain to vote through a pipe")
    if link:
        return _vote_remotely(link.address, link.token or _join_study(link, judge), plain)
    return _vote_remotely(address_of(study), token, plain) if remote else _vote(Path(study), judge or "me", plain)


@click.command(epilog=example("elicit tune sentiment"))
@STUDY
@click.option("--judge", default="me", show_default=True, help="The name your votes go under.")
@click.option("--auto", is_flag=True, help="The judges configured in study.toml vote, and nobody else.")
@click.option("--votes", type=IntegerRange(1), help="With --auto: stop after so many.")
@click.option("--result", is_flag=True, help="Nobody votes; only say how the prompts stand.")
@click.option("--unmeasured", is_flag=True, help="Do not measure the result on the held-out inputs, which takes calls.")
@click.option("--plain", is_flag=True, help="Line prompts instead of a screen, for screen readers and pipes.")
@JSON
def tune(
    study: Path, judge: str, auto: bool, votes: int | None, result: bool, unmeasured: bool, plain: bool, as_json: bool
) -> int:
    """Find the best prompt of STUDY, a folder made by 'elicit init --tune': compare what prompts bring forth while new
    ones are made from those that win; then say which is best, by how much, and why.

    Every vote and every response is saved at once; come back any time and go on at the same pair. Before the result is
    measured on the inputs held out, you are told what that costs, and asked. Exit code 3: it ended before the stop rule
    was met.
    """
    from studies.commands.tuning_session import automatic, check, conclude, lines_of

    check(study)
    code = 0
    if auto:
        code = automatic(study, votes, lambda total: progress(total, "votes"), say)
    elif not result:
        plain = plain or os.environ.get("TERM") == "dumb"
        if not plain and not _terminal():
            raise BadInputError(
                "tuning needs a terminal; use --plain to vote through a pipe, --auto to let judges vote"
            )
        code = _vote(study, judge, plain)
        if code == 2:
            return code

    def agree(plan: Measuring) -> bool:
        """After a session the person says whether to spend calls; who left in a hurry is not asked."""
        return not unmeasured and code != 3 and (auto or result or _confirm(plan.sentence))

    with ExitStack() as bars:
        step: Step | None = None

        def report(done: int, total: int) -> None:
            nonlocal step
            step = step or bars.enter_context(progress(total, "responses"))
            step(done)

        outcome = conclude(study, agree=agree, report=report)
    if as_json:
        click.echo(json.dumps(outcome))
    else:
        click.echo("\n".join(lines_of(outcome)))
    return code


@click.command(epilog=example("elicit demo --auto --votes 40"))
@click.option("--auto", is_flag=True, help="A simulated person votes (the default without a terminal).")
@click.option("--votes", type=IntegerRange(1), help="The budget; default 100 with --auto, else 200.")
@click.option(
    "--seed", type=IntegerRange(0, SEED), default=0, show_default=True, help="Another simulated person, other queries."
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the study goes; default elicit-demo here.")
@click.option(
    "--live", is_flag=True, help="The whole of 'elicit tune' with a small model on this machine (make small)."
)
@JSON
def demo(auto: bool, votes: int | None, seed: int, folder: Path | None, live: bool, as_json: bool) -> int:
    """Tune a prompt on the built-in pool: vote between pairs of prompts until the best one is found."""
    auto = auto or as_json or not _terminal()
    if live:
        return _demo_live(folder or Path(f"elicit-tune{'-auto' if auto else ''}"), auto, votes, seed, as_json)
    folder = folder or Path("elicit-demo-auto" if auto else "elicit-demo")
    if not auto:
        return _demo_by_hand(folder, votes, seed)
    from studies.demo import session

    with session.open_demo(folder, auto=True, votes=votes, seed=seed) as study:
        with progress(study.spec.votes, "votes") as step:
            session.vote_automatically(study, step)
        total = session.PERSONS * session.HORIZON * len(study.state.votes)
        with progress(total, "votes on random pairs, for comparison") as step:
            outcome = session.conclude(study, step)
    if as_json:
        click.echo(json.dumps(outcome))
    else:
        _print_outcome(outcome)
        click.echo(session.random_sentence(outcome))
    return 0


def _demo_live(folder: Path, auto: bool, votes: int | None, seed: int, as_json: bool) -> int:
    from studies.demo.live import open_live
    from studies.demo.small_model import small_model

    say("Starting the small model …")
    with small_model() as url:
        open_live(folder, url, votes, seed)
        options = {"judge": "me", "auto": auto, "votes": None, "result": False, "unmeasured": False, "plain": False}
        code: int = click.get_current_context().invoke(tune, study=folder, **options, as_json=as_json)
    say(f"Go on any time with the same command; the study is in {folder}")
    return code


def _demo_by_hand(folder: Path, votes: int | None, seed: int) -> int:
    from studies.demo import session

    if not (folder / "study.toml").exists():
        say("Making the demo study …")
    session.open_demo(folder, auto=False, votes=votes, seed=seed).close()
    code = _vote(folder, "me", plain=os.environ.get("TERM") == "dumb")
    if code == 2:
        return code
    with session.open_demo(folder, auto=False, votes=votes, seed=seed) as study:
        if study.state.votes:
            _print_outcome(session.conclude(study))
    say(f"Go on any time with: elicit vote {folder}")
    return code


def _vote(study: Path, judge: str, plain: bool) -> int:
    log_to_folder(study)
    from studies.local.client import LocalService

    async def start() -> TuningService:
        return await LocalService.start(study, judge)

    return _screen(plain)(start)


def _vote_remotely(address: Address, token: str | None, plain: bool) -> int:
    from adapters.client.connection import AccessToken
    from adapters.client.joining import kept_token
    from adapters.client.outbox import state_folder
    from adapters.client.remote import RemoteService

    server, url = address.server, "/".join(address)
    token_or_none = token or os.environ.get("ELICIT_TOKEN") or kept_token(state_folder(), address)
    access_token = AccessToken(token_or_none or _prompt_for_token(server))
    started: list[RemoteService] = []

    async def start() -> RemoteService:
        started.append(await RemoteService.start(url, access_token, state_folder()))
        return started[0]

    code = _screen(plain)(start, f"Connecting to {server}")
    if started and started[0].unsent:
        say(f"Not everything is on the server: {started[0].unsent}. The same command sends it.")
        return code or 3
    return code


def _join_study(link: Link, judge: str | None) -> str:
    """The token that an invite gives, or gave before on this machine."""
    from adapters.client.joining import join, kept_token
    from adapters.client.outbox import state_folder
    from elicit.safe_text import one_line

    def name(welcome: Welcome) -> str:
        author = f" by {one_line(welcome.author)}" if welcome.author else ""
        say(f"{one_line(welcome.title)}{author}: {one_line(welcome.question)}")
        if not judge and not sys.stdin.isatty():
            raise BadInputError("joining needs a name; say yours with --judge NAME")
        return judge or str(click.prompt("Your name in this study", err=True))

    if token := kept_token(state_folder(), link.address, link.invite):
        return token
    try:
        admission = asyncio.run(join(link, name, state_folder()))
    except ConnectionError as error:
        raise BadInputError(str(error)) from None
    say(f"You vote as {admission.judge}. Come back with: elicit vote {'/'.join(link.address)}")
    return admission.token


def _prompt_for_token(server: str) -> str:
    """The token as a person types it, unseen."""
    if not sys.stdin.isatty():
        raise BadInputError(
            f"voting on {server} needs the token you were given; set the environment variable ELICIT_TOKEN"
        )
    token: str = click.prompt(f"Token for {server}", hide_input=True, err=True)
    return token


def _screen(plain: bool) -> Callable[..., int]:
    if plain:
        from tui.plain.voting import run
    else:
        from tui.app import run
    return run


def _print_outcome(outcome: dict[str, Any]) -> None:
    from elicit.safe_text import full_stop, harmless, percent

    prompt = "\n".join(f"    {line}" for line in harmless(outcome["prompt"]).splitlines())
    click.echo(f"Recommended after {outcome['votes']} votes: {outcome['recommended']}\n\n{prompt}\n")
    click.echo(full_stop(f"P(best) {percent(outcome['p_best'])}; {outcome['stop']}"))
    click.echo(
        f"Measured, and never shown to the voter: it is right {percent(outcome['accuracy'])} of the time, "
        f"number {outcome['rank_by_accuracy']} of {outcome['items']} "
        f"(best {percent(outcome['best_accuracy'])}, median {percent(outcome['median_accuracy'])})."
    )
    click.echo(f"The report: {outcome['report']}")


def _confirm(question: str) -> bool:
    """Whether a person says yes, by Enter too; where nobody answers, no."""
    click.echo(f"{question} Measure now? [Y/n] ", err=True, nl=False)
    answer = sys.stdin.readline()
    if not (answer and sys.stdin.isatty()):
        click.echo("", err=True)
    return answer.strip().lower() in ("", "y", "yes") and bool(answer)


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
