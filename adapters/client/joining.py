"""Joining a study on a server from a terminal, by a link; and the token that comes of it, kept on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urldefrag

import msgspec

from adapters.client.connection import AccessToken, Address, AwayError, ServerConnection, address_of
from elicit.safe_text import one_line
from elicit.service.http_schema import Accepting, Admission, ServiceError, Welcome
from elicit.service.names import checked_name
from elicit.types import BadInputError, hash_of


class Link(NamedTuple):
    """A link as people are given it: the study's address, and the secret that opens it, one of the two."""

    address: Address
    token: AccessToken
    invite: AccessToken


class Kept(msgspec.Struct, frozen=True):
    """What this machine keeps of a study that was joined; invite: a hash of the one that was used."""

    token: str
    judge: str
    invite: str


def link_of(url: str) -> Link | None:
    """The link in a URL like https://host/#study=STUDY&invite=CODE; None where it has no secret of a study server.

    Raises BadInputError where the rest of it is no address.
    """
    server, fragment = urldefrag(url.strip())
    parameters = {name: values[-1] for name, values in parse_qs(fragment).items()}
    token, invite = parameters.get("token", ""), parameters.get("invite", "")
    if not token and not invite:
        return None
    if "study" not in parameters:
        raise BadInputError("this link names no study; copy the whole of it, from https to its end")
    return Link(
        address_of(f"{server.rstrip('/')}/{quote(parameters['study'])}"), AccessToken(token), AccessToken(invite)
    )


def kept_token(folder: Path, address: Address, invite: str = "") -> AccessToken | None:
    """The token of whoever joined the study at this address from this machine, by this invite or by any."""
    try:
        kept = msgspec.json.decode(_file(folder, address).read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None
    return AccessToken(kept.token) if not invite or kept.invite == hash_of([str(invite)]) else None


async def join(link: Link, name: Callable[[Welcome], str], folder: Path) -> Admission:
    """Accept an invite under the name that `name` gives, who is told what is asked; the token is kept in `folder`.

    Raises BadInputError where the server will not, ConnectionError where it does not answer.
    """
    server = ServerConnection(link.address.server, "")
    try:
        welcome = await server.call(Welcome, "GET", "invites", link.invite)
        judge = checked_name(name(welcome))
        admission = await server.call(Admission, "POST", "invites", link.invite, "accept", body=Accepting(judge))
    except ServiceError as error:
        raise BadInputError(str(error)) from None
    except AwayError as error:
        raise ConnectionError(f"{error}; the link holds, try again later") from None
    finally:
        await server.close()
    _keep(_file(folder, link.address), Kept(admission.token, admission.judge, hash_of([str(link.invite)])))
    return admission


def _file(folder: Path, address: Address) -> Path:
    return folder / f"{hash_of(address)[:16]}.token"


def _keep(file: Path, kept: Kept) -> None:
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as stream:  # noqa: PTH123
            stream.write(msgspec.json.encode(kept))
        part.replace(file)
    except OSError as error:
        where = one_line(str(file.parent))
        raise BadInputError(
            f"your token cannot be kept in {where} ({error.strerror}); you joined all the same, as {kept.judge}: ask "
            "whoever runs the study for a new link"
        ) from None
