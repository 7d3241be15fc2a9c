"""The API held to its own OpenAPI document by schemathesis: what it promises, and nothing else, whatever is sent."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.attacked import Attacked, attacked, lines, make, sound

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
LONGEST = 120
"""Seconds for one token; about a tenth is what it takes."""
CONFIG = """
[parameters]
"path.study" = "one"
"path.lease" = "{lease}"
"path.vote" = {vote}
"path.judge" = "maya"
"path.code" = "{code}"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Attacked]:
    with attacked(make(tmp_path / "one", votes=100_000), log=tmp_path / "log") as server:
        server.ready()
        yield server
        assert not [line for line in lines(server.log) if line["status"] == 500]
        server.stop()
        sound(tmp_path / "one")


@pytest.mark.parametrize("scope", ["admin", "annotator"])
def test_whatever_is_sent_is_answered_as_the_document_says(server: Attacked, scope: str, tmp_path: Path) -> None:
    judge = server.enrol("maya", "one")
    lease, voted = server.lease(judge, "one", 2)
    vote = server.vote(judge, voted, "key").json()["vote"]
    invited = server.ask("POST", "/v1/studies/one/invites", server.admins["one"], {"uses": 10_000}).json()
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(lease=lease["lease"], vote=vote, code=invited["code"]))
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(_without_tuples(server.ask("GET", "/v1/openapi.json").json())))
    token = judge if scope == "annotator" else server.admins["one"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
            *("run", str(document), "--url", server.url, "--header", f"Authorization: Bearer {token}"),
            *("--exclude-path-regex", "/events$"),  # it has no end
            *("--phases", "coverage,fuzzing", "--max-examples", "2", "--seed", "1"),
            *("--generation-deterministic", "--checks", ",".join(CHECKS), "--warnings", "off"),
            *("--request-timeout", "20", "--no-color"),
        ],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _without_tuples(schema: Any) -> Any:
    """The document with tuples as lists of so many: schemathesis 4.32 takes `prefixItems` inside `anyOf` apart."""
    if isinstance(schema, list):
        return [_without_tuples(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _without_tuples(part) for name, part in schema.items()}
    if "prefixItems" in found:
        (found["items"],) = {json.dumps(part): part for part in found.pop("prefixItems")}.values()
    return found
