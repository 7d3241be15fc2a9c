"""A whole study as a team lives it: two people in two browsers, a machine judge for the easy pairs, to the end."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

if shutil.which("chromium") is None:
    pytest.skip("no chromium on this machine: the pages are not tested", allow_module_level=True)

from playwright.sync_api import Browser, Page, expect

from adapters.files.tables import read_table
from tests.adapters.browsing import GUARD, press, serving, watched
from tests.studies import routed

PAIRS = 40


def answer(page: Page) -> None:
    """Let the person at the page choose the larger number, if there is a pair to judge."""
    if not page.locator("#ballot").is_visible():
        return
    page.wait_for_timeout(GUARD)
    worth = [int(re.findall(r"\d+", page.locator(f"#{side}-pane .text").inner_text())[0]) for side in ("left", "right")]
    press(page, "h" if worth[0] > worth[1] else "l")
    expect(page.locator("#said")).to_contain_text("Saved vote")


def test_two_people_and_a_machine_label_a_study_to_its_end(browser: Browser, tmp_path: Path) -> None:
    routing = {"router": "default", "budget": 16.0, "person_price": 1.0, "audits": 0.1}
    study = {"pairs": routed.pairs(PAIRS), "judges": [routed.judge(tmp_path, "quick")], "routing": routing}
    with serving(tmp_path / "team", embedder="none", **study) as server:
        while server._http.get("/readyz").status_code != 200:
            time.sleep(0.2)
        people = {name: server.enrol(name) for name in ("maya", "ben")}
        with watched(browser, server.base) as one, watched(browser, server.base) as other:
            pages = [found.open(f"/#token={token}") for found, token in zip((one, other), people.values(), strict=True)]
            for _ in range(200):
                for page in pages:
                    answer(page)
                pages[0].wait_for_timeout(100)
                seen = server.ask("GET", "routing")
                labelled = seen["people"] + seen["machines"] == PAIRS or server.ask("GET", "progress")["stop"]
                if labelled and seen["waiting"] + seen["audits_waiting"] == 0:
                    break
            assert labelled, seen
        mine = {name: server.votes(token) for name, token in people.items()}
        assert all(mine.values())
        machines = {row["judge"]: row["votes"] for row in server.ask("GET", "judges")}
        assert machines["quick"] > len(mine["maya"]) + len(mine["ben"])
        table = tmp_path / "votes.jsonl"
        headers = {"Authorization": f"Bearer {server.admin}"}
        table.write_bytes(server._http.get("/v1/studies/team/exports/votes.jsonl", headers=headers).content)
    rows = [row.values for row in read_table(table).rows]
    for name, votes in mine.items():
        exported = {row["seq"]: row for row in rows if row["judge"] == name}
        assert exported.keys() == {vote["vote"] for vote in votes}
        for vote in votes:
            row = exported[vote["vote"]]
            sides = {"left": "a", "right": "b"} if row["shown"] == "ab" else {"left": "b", "right": "a"}
            assert row["choice"] == sides[vote["choice"]]
            worth = {side: int(row[f"{side}_text"].split()[-1]) for side in ("a", "b")}
            assert row["choice"] == max(worth, key=worth.__getitem__)
