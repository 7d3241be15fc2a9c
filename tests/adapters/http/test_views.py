"""Every declared view, as a server tells it: to whom, under which address, and the same as the study itself has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from adapters.files.formats import PairRow
from elicit.service.views import Page, View
from studies.reporting.views import ADMIN_VIEWS, AdminViewer
from studies.serving.engine_process import EngineProcess
from studies.study import Study
from tests.adapters.attacked import Attacked, attacked
from tests.studies import routed

PAGED = {name: view for name, view in ADMIN_VIEWS.items() if view.paged}
each_view = pytest.mark.parametrize("view", ADMIN_VIEWS.values(), ids=ADMIN_VIEWS.keys())
each_paged_view = pytest.mark.parametrize("view", PAGED.values(), ids=PAGED.keys())

Declared = View[AdminViewer, Any]
PATH = "/v1/studies/study"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A study that machines and two people have voted in, to its end, so that it is the same whenever it is asked."""
    folder = tmp_path_factory.mktemp("views")
    ring = [PairRow(f"p{k}", "Which?", f"answer {k}", f"answer {(k + 1) % 12}") for k in range(12)]
    routing = {"router": "default", "budget": 10.0, "audits": 0.5}
    with Study.create(folder / "study", pairs=ring, judges=[routed.judge(folder)], routing=routing) as study:
        while routed.go(study) and routed.vote(study, "maya", 3) + routed.vote(study, "ben", 3):
            pass
    with attacked(folder / "study", log=folder / "log") as server:
        server.ready()
        yield server


@pytest.fixture(scope="module")
def voter(server: Attacked) -> str:
    """The token of somebody who votes."""
    return server.enrol("noor", "study")


def of_server(server: Attacked, view: Declared, query: str = "") -> Any:
    answer = server.ask("GET", f"{PATH}/{view.name}{query}", server.admins["study"])
    assert answer.status_code == 200, answer.text
    return answer.json()


async def of_study(server: Attacked, view: Declared, page: Page) -> Any:
    with Study.open(server.folders[0], writable=False) as study:
        return msgspec.json.decode(msgspec.json.encode(await view.compute(EngineProcess(study), page)))


@each_view
@pytest.mark.usefixtures("voter")
async def test_an_admin_is_told_what_the_study_has(server: Attacked, view: Declared) -> None:
    told = of_server(server, view)
    assert told
    assert told == await of_study(server, view, Page())
    msgspec.convert(told, view.kind)


@each_paged_view
async def test_pages_put_together_are_the_whole(server: Attacked, view: Declared) -> None:
    whole = await of_study(server, view, Page(limit=200))
    lists = {name: list[Any]() for name, rows in whole.items() if isinstance(rows, list)}
    cursor: str | None = "0"
    while cursor is not None:
        page = of_server(server, view, f"?limit=5&cursor={cursor}")
        for name, rows in lists.items():
            rows += page[name]
        cursor = page["next"]
    assert lists
    assert {name: whole[name] for name in lists} == lists
    assert {len(rows) for rows in lists.values()} == {12}


@each_view
def test_nobody_else_is(server: Attacked, voter: str, view: Declared) -> None:
    assert server.ask("GET", f"{PATH}/{view.name}", voter).status_code == 403
    assert server.ask("GET", f"{PATH}/{view.name}").status_code == 401


@each_view
def test_the_document_lists_it(server: Attacked, view: Declared) -> None:
    document = server.ask("GET", "/v1/openapi.json").json()
    route = document["paths"][f"/v1/studies/{{study}}/{view.name}"]["get"]
    [schema], _ = msgspec.json.schema_components([view.kind], ref_template="#/components/schemas/{name}")
    assert route["responses"]["200"]["content"]["application/json"]["schema"] == schema
    assert {"401", "403", "503"} < route["responses"].keys()
    assert {given["name"] for given in route["parameters"]} == {"study", *(("cursor", "limit") if view.paged else ())}
