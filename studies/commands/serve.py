"""Commands of the study server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.access import Access
from adapters.ledger import SqliteLedger
from elicit.diagnostics import log_to_folder
from elicit.service.http_schema import Invitation
from elicit.types import BadInputError
from studies.commands.option_types import IntegerRange, Real
from studies.spec import FILE

if TYPE_CHECKING:
    from fastapi import FastAPI

HOST, PORT = "127.0.0.1", 8321
LONGEST_GOODBYE = 5
"""Seconds that open connections have to end when the server stops."""

folder = click.Path(path_type=Path)


@click.command(epilog="Example: elicit serve jokes --port 8321")
@click.argument("study", nargs=-1, required=True, type=folder)
@click.option(
    "--host", default=HOST, show_default=True, help="The address to listen at; put a TLS proxy before others."
)
@click.option("--port", default=PORT, show_default=True, type=IntegerRange(0, 65535))
@click.option("--rate", default=1200, show_default=True, type=IntegerRange(1), help="Requests a minute for one token.")
def serve(study: tuple[Path, ...], host: str, port: int, rate: int) -> None:
    """Let many people vote in one study, or several, with a browser, a terminal or a script."""
    import socket

    import uvicorn

    from adapters.addresses import is_loopback, url_of
    from adapters.http.app import app_for
    from adapters.http.protocol_limits import BACKLOG, Bounded, most_connections
    from adapters.server_address import announce_address
    from studies.reporting.views import ADMIN_VIEWS
    from studies.serving.backend import AnnotationBackend

    log_to_folder(study[0])
    names = [path.resolve().name for path in study]
    if len(set(names)) < len(names):
        raise BadInputError("two studies have the same folder name, by which the server tells them apart; rename one")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # an answer in two parts must not wait for an ACK
        try:
            listener.bind((host, port))
        except OSError as error:
            raise BadInputError(
                f"{host} port {port} cannot be used ({error.strerror}); choose another --port"
            ) from None
        listener.listen()  # who connects as soon as the address is told must not be refused
        opened: list[tuple[AnnotationBackend, Access]] = []
        for path in study:
            access = stack.enter_context(contextlib.closing(_access(path)))
            opened.append((AnnotationBackend(path, access.secret), access))

        @contextlib.asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            for served, _ in opened:
                served.begin()
            yield
            for served, _ in opened:
                await served.close()

        at = url_of(host, listener.getsockname()[1])
        if not is_loopback(host):
            click.echo(
                f"Other machines reach this server at {at}, and what goes there can be read on the way, tokens too; "
                "put a TLS proxy before it, and keep it at 127.0.0.1",
                err=True,
            )
        for served, access in opened:
            stack.enter_context(announce_address(served.folder, at))
            click.echo(f"Serving {served.folder} at {at}")
            if not access.has_admin():
                link = access.admit("admin", "admin").token
                click.echo(
                    f"  run it:        {at}/admin#token={link}  (told this once; another: elicit admin {served.folder})"
                )
            click.echo(f"  let people in: elicit invite {served.folder} --people 5")
        app = app_for(opened, ADMIN_VIEWS.values(), rate=rate, lifespan=lifespan)
        proxies = sorted({proxy for served, _ in opened for proxy in served.spec.serving.proxies})
        Bounded.most = most_connections()
        config = uvicorn.Config(
            app,
            http=Bounded,
            ws="none",  # a connection that became a socket would be bounded by nobody
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            timeout_graceful_shutdown=LONGEST_GOODBYE,
        )
        asyncio.run(uvicorn.Server(config).serve([listener]))


@click.command(epilog="Example: elicit invite jokes --people 5 --hours 48 --url https://vote.example.org")
@click.argument("study", type=folder)
@click.option("--people", default=1, show_default=True, type=IntegerRange(1, 10_000), help="How many may use the link.")
@click.option("--hours", default=72.0, show_default=True, type=Real(0, 24 * 366, min_open=True))
@click.option("--pool", "pools", multiple=True, help="Only pairs of this pool (`meta.pool`); may be given again.")
@click.option("--quota", type=IntegerRange(1), help="Votes that each of them may give.")
@click.option("--url", help="Where the server is reached; by default where it runs now.")
def invite(study: Path, people: int, hours: float, pools: tuple[str, ...], quota: int | None, url: str | None) -> None:
    """Make a link by which people join a served study; also while it is served."""
    with contextlib.closing(_access_to_whole(study)) as access:
        invitation = access.invite(Invitation(people, hours, pools, quota))
    click.echo(_base(study, url) + invitation.path)


@click.command(epilog="Example: elicit admin jokes --url https://vote.example.org")
@click.argument("study", type=folder)
@click.option("--name", default="admin", show_default=True, help="Whose token it is; earlier ones of that name end.")
@click.option("--url", help="Where the server is reached; by default where it runs now.")
def admin(study: Path, name: str, url: str | None) -> None:
    """Make a link to the page from which a served study is run; also while it is served."""
    with contextlib.closing(_access_to_whole(study)) as access:
        click.echo(f"{_base(study, url)}/admin#token={access.admit(name, 'admin').token}")


def _base(study: Path, url: str | None) -> str:
    """What links to a study begin with."""
    from adapters.server_address import address_of_server

    address = url or address_of_server(study)
    if address is None:
        address = f"http://{HOST}:{PORT}"
        click.echo(f"Nobody serves {study} now; the link works once 'elicit serve {study}' runs at {address}", err=True)
    return address.rstrip("/")


def _access(study: Path) -> Access:
    if not (study / FILE).is_file():
        raise BadInputError(f"{study} is not a study: it has no {FILE}; make one with 'elicit init'")
    return Access(study)


def _access_to_whole(study: Path) -> Access:
    """The same for a link. Raises BadInputError too where the log is damaged, for nobody could vote there."""
    with contextlib.closing(SqliteLedger(study, writable=False)) as ledger:
        for _ in ledger.read():
            pass
    return _access(study)
