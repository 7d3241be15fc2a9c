"""A served study in a process of its own, and a real browser that looks at its pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from adapters.ledger import SqliteLedger
from elicit.log.events import Enrolled
from studies.study import Study

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
SIZES: dict[str, dict[str, Any]] = {"phone": PHONE, "desktop": DESKTOP}

expect.set_options(timeout=60_000)  # a busy machine, on which the engine has just been started

GUARD = 300
"""Milliseconds that a pair has to be on the screen before a vote counts."""


class Server:
    """What a test may ask of the study's server, as its admin."""

    def __init__(self, base: str, admin: str, study: str) -> None:
        self.base, self.admin, self.study = base, admin, study
        # The address is told before anybody listens there.
        self._http = httpx.Client(base_url=base, timeout=60, transport=httpx.HTTPTransport(retries=8))

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """The JSON of an answer; a path without a leading slash is the study's."""
        where = path if path.startswith("/") else f"/v1/studies/{self.study}/{path}".rstrip("/")
        headers = {"Authorization": f"Bearer {token or self.admin}"}
        answer = self._http.request(method, where, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def enrol(self, judge: str) -> str:
        """A token for a new annotator."""
        return str(self.ask("POST", "annotators", {"judge": judge})["token"])

    def invite(self, **given: Any) -> str:
        """The path of a new invite link."""
        return str(self.ask("POST", "invites", given)["path"])

    def votes(self, token: str) -> list[dict[str, Any]]:
        """An annotator's votes that count, oldest first."""
        found = self.ask("GET", "votes?limit=200", token=token)["votes"]
        return [vote for vote in reversed(found) if not vote.get("voided")]

    def held(self, token: str, n: int = 1) -> list[dict[str, Any]]:
        """What an annotator holds."""
        leases: list[dict[str, Any]] = self.ask("POST", "leases", {"n": n}, token)["leases"]
        return leases

    def close(self) -> None:
        self._http.close()


@contextmanager
def serving(folder: Path, enrolled: tuple[str, ...] = (), **study: Any) -> Iterator[Server]:
    """`elicit serve` on a new study. enrolled: annotators that it has from before names were checked."""
    Study.create(folder, **study).close()
    if enrolled:
        with closing(SqliteLedger(folder, writable=True)) as ledger:
            ledger.append([Enrolled(name) for name in enrolled])
    command = [sys.executable, "-m", "elicit.cli", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(2)]
        found = re.search(r"(http://\S+)/admin#token=(\S+)", said[1])
        assert found, said
        server = Server(found[1], found[2], folder.name)
        try:
            yield server
        finally:
            server.close()
            process.terminate()
            process.communicate(timeout=20)


class Watched:
    """A context of the browser in which nothing may go wrong unseen."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.context, self.base = context, base
        self.wrong: list[str] = []
        context.on("page", self._watch)
        context.on("weberror", lambda error: self.wrong.append(f"error: {error.error}"))
        context.on("request", lambda request: self._asked(request.url))
        context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('Policy: ' + e.violatedDirective))"
        )

    def _watch(self, page: Page) -> None:
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("console", lambda line: self._told(line.type, line.text))

    def _told(self, kind: str, text: str) -> None:
        # What the network refuses is the test's doing.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.wrong.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, f"blob:{self.base}")):
            self.wrong.append(f"request: {url}")

    def open(self, path: str) -> Page:
        """A new page on a path of the server."""
        page = self.context.new_page()
        page.goto(self.base + path)
        return page

    def vote_page(self, token: str) -> Page:
        """The voting page of an annotator, with a pair on it."""
        page = self.open(f"/#token={token}")
        expect(page.locator("#ballot")).to_be_visible()
        page.wait_for_timeout(GUARD)
        return page


@contextmanager
def watched(browser: Browser, base: str, **options: Any) -> Iterator[Watched]:
    """A fresh context; fails at its end where a page erred, asked elsewhere or broke the policy."""
    context = browser.new_context(**{**DESKTOP, **options})
    found = Watched(context, base)
    try:
        yield found
    finally:
        context.close()
    assert not found.wrong


WATCH_LINE = """() => {
  const line = document.querySelector("#said");
  window.watching?.disconnect();
  window.lines = [];
  window.watching = new MutationObserver(() => window.lines.push(line.textContent));
  window.watching.observe(line, {childList: true, characterData: true, subtree: true});
}"""
"""Keep whatever the page says from here on: an earlier vote that is saved at the moment replaces what it said."""


def press(page: Page, key: str) -> None:
    """Vote by a key, as often as it takes for the pair to have been on the screen for long enough."""
    for _ in range(5):
        expect(page.locator("#ballot")).to_be_visible()  # on a busy machine the next pair may be still to come
        page.wait_for_timeout(GUARD)
        page.evaluate(WATCH_LINE)
        page.keyboard.press(key)
        if not any("Too quick" in line for line in page.evaluate("window.lines")):
            return


def vote(page: Page, key: str) -> None:
    """Vote by a key, and wait until it is saved."""
    press(page, key)
    expect(page.locator("#said")).to_contain_text("Saved vote")
    expect(page.locator("#ballot")).to_be_visible()


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA and its best practices."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']} {node['failureSummary']}" for one in found for node in one["nodes"]]
