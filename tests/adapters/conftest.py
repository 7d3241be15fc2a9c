"""What the tests in a browser share; for the others nothing is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.adapters.browsing import Server, Watched

GUIDELINES = "# Look for\n\n- **faithful** prompts\n\n#### Not for\n\nlength\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A study whose every text is hostile, that goes on for long."""
    from tests.adapters.browsing import serving
    from tests.adapters.test_markup import HOSTILE

    folder = tmp_path_factory.mktemp("page")
    longer = "\n\n".join("A paragraph of a text that does not fit on a phone." for _ in range(20))
    items: list[dict[str, Any]] = [
        {"text": f"Text {place}.\n\n{text}\n\n{longer if place % 2 else ''}", "context": "Which *one* for <b>this</b>?"}
        for place, text in enumerate(text for text in HOSTILE if "\ud800" not in text)
    ]
    stop = {"regret": 1e-6, "confidence": 0.999}
    with serving(
        folder / "hostile",
        items=items,
        votes=5000,
        author="Ada Example",
        guidelines=GUIDELINES,
        reasons=("clearer", "shorter"),
        stop=stop,
    ) as found:
        yield found


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A study of pictures."""
    from tests.adapters.browsing import serving
    from tests.adapters.pictures import save

    folder = tmp_path_factory.mktemp("gallery")
    items = [{"id": name, "image": str(folder / "art" / name)} for name in save(folder / "art", 6)]
    with serving(folder / "pictures", items=items, embedder="none") as found:
        yield found


@pytest.fixture
def seen(browser: Browser, server: Server) -> Iterator[Watched]:
    from tests.adapters.browsing import watched

    with watched(browser, server.base) as found:
        yield found


@pytest.fixture
def token(server: Server, request: pytest.FixtureRequest) -> str:
    """An annotator of the test's own."""
    return server.enrol("".join(sign if sign.isalnum() else "-" for sign in request.node.name)[-60:].strip("-"))


@pytest.fixture(scope="module")
def blank(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(server.base)
    yield page
    page.close()
