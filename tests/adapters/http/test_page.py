"""The pages in a real browser, against a real server: voting by keys and buttons, offline, undo, admin, access."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if shutil.which("chromium") is None:
    pytest.skip("no chromium on this machine: the pages are not tested", allow_module_level=True)

from playwright.sync_api import Browser, Page, Route, expect

from adapters.files.formats import PairRow
from elicit.service.http_schema import AgreementView
from studies.reporting.report import render
from studies.reporting.report_people import Annotator, People
from tests.adapters.browsing import GUARD, SIZES, Server, Watched, press, serving, violations, vote, watched
from tests.studies.reporting.test_report import example
from tui.difference import difference

LIMIT = 60_000
"""Bytes that either page may have, all its files together."""


# -- voting


SIDED = (("1", "left", 3), ("2", "left", 2), ("3", "left", 1), ("5", "right", 1), ("6", "right", 2), ("7", "right", 3))
PLAIN = {"ArrowLeft": "left", "h": "left", "ArrowRight": "right", "l": "right", "4": "tie", "=": "tie", "0": "both_bad"}
KEYS = {key: (choice, None) for key, choice in {**PLAIN, "s": "skip"}.items()} | {key: rest for key, *rest in SIDED}


def test_every_key_is_its_vote(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    for key in KEYS:
        vote(page, key)
    given = server.votes(token)
    assert [(one["choice"], one.get("strength")) for one in given] == [tuple(meant) for meant in KEYS.values()]
    assert all(0.2 < one["seconds"] < 60 for one in given)


@pytest.mark.parametrize("size", SIZES)
def test_buttons_vote_and_undo(browser: Browser, server: Server, token: str, size: str) -> None:
    with watched(browser, server.base, **SIZES[size]) as seen:
        page = seen.vote_page(token)
        shown = page.locator("#left-pane .text").inner_text()
        for name in ("Left is better", "Right clearly better", "tie", "both bad"):
            button = page.locator("#votes").get_by_role("button", name=name)
            page.wait_for_timeout(GUARD)
            button.tap() if size == "phone" else button.click()
            expect(page.locator("#said")).to_contain_text("Saved vote")
        assert [one["choice"] for one in server.votes(token)] == ["left", "right", "tie", "both_bad"]
        for left in (3, 2, 1, 0):
            page.locator("#votes").get_by_role("button", name="undo").click()
            expect(page.locator("#said")).to_contain_text("Took back")
            assert len(server.votes(token)) == left
            page.evaluate("document.querySelector('#said').textContent = ''")
        assert page.locator("#left-pane .text").inner_text() == shown


def test_what_is_shown_left_is_what_a_left_vote_prefers(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    lease = server.held(token)[0]
    assert page.locator("#left-pane .text").inner_text().startswith(lease["left"].split("\n")[0])
    assert page.locator("#right-pane .text").inner_text().startswith(lease["right"].split("\n")[0])
    vote(page, "h")
    given = server.votes(token)[-1]
    assert (given["left"], given["right"], given["choice"]) == (lease["left"], lease["right"], "left")


def test_too_quick_a_vote_is_a_slip(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    page.wait_for_timeout(GUARD)
    page.evaluate(
        "for (const key of '13') document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    )
    expect(page.locator("#said")).to_contain_text("Too quick")
    vote(page, "2")
    assert [one.get("strength") for one in server.votes(token)] == [3, 2]


def test_quick_votes_are_all_counted_in_order(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    for key in "13571357":
        press(page, key)
    expect(page.locator("#said")).to_contain_text("Saved vote 8")
    assert [one.get("strength") for one in server.votes(token)] == [3, 1, 1, 3] * 2


def test_reasons_and_a_note_go_with_the_vote_and_come_back_with_its_undo(
    seen: Watched, server: Server, token: str
) -> None:
    page = seen.vote_page(token)
    page.keyboard.press("r")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.type("no h or l votes here")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("shorter, a note")
    vote(page, "6")
    (given,) = server.votes(token)
    assert (given["reasons"], given["note"]) == (["shorter"], "no h or l votes here")
    page.keyboard.press("u")
    expect(page.locator("#said")).to_contain_text("shorter, a note")
    assert server.votes(token) == []
    vote(page, "4")
    assert [(one["choice"], one["note"]) for one in server.votes(token)] == [("tie", "no h or l votes here")]


def test_single_keys_may_be_turned_off(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    page.keyboard.press("?")
    page.get_by_label("Letters and digits are keys").uncheck()
    page.keyboard.press("Escape")
    page.wait_for_timeout(GUARD)
    for key in "hl17s":
        page.keyboard.press(key)
    vote(page, "ArrowRight")
    assert [one["choice"] for one in server.votes(token)] == ["right"]


# -- the network


def test_votes_given_offline_arrive_once_and_in_order(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    seen.context.set_offline(True)
    press(page, "1")
    press(page, "3")
    expect(page.locator("#net")).to_contain_text("2 votes are kept in this browser")
    seen.context.set_offline(False)
    expect(page.locator("#said")).to_contain_text("Saved vote 2")
    expect(page.locator("#net")).to_be_empty()
    assert [one.get("strength") for one in server.votes(token)] == [3, 1]


def test_a_vote_whose_answer_was_lost_is_not_doubled(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    keys: list[str | None] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) < 3:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/votes", lose)
    vote(page, "2")
    assert len(server.votes(token)) == 1
    assert len(set(keys)) == 1 < len(keys)


def test_a_reload_goes_on_with_the_same_pair_and_the_unsent_votes(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    page.route("**/v1/votes", lambda route: route.abort())
    press(page, "7")
    expect(page.locator("#net")).to_contain_text("1 vote is kept")
    shown = page.locator("#panes").inner_text()
    page.unroute("**/v1/votes")
    page.reload()
    expect(page.locator("#ballot")).to_be_visible()
    assert page.locator("#panes").inner_text() == shown
    for _ in range(100):  # it is sent again by itself
        if given := server.votes(token):
            break
        page.wait_for_timeout(100)
    assert [one.get("strength") for one in given] == [3]
    expect(page.locator("#net")).to_be_empty()


def test_a_vote_that_came_too_late_is_told(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    server.ask("DELETE", f"/v1/leases/{server.held(token)[0]['lease']}", token=token)
    press(page, "1")
    expect(page.locator("#net")).to_contain_text("1 vote could not be counted")
    assert server.votes(token) == []
    page.locator("#net button").click()
    expect(page.locator("#lost-list")).to_contain_text("LEFT, far better")
    page.get_by_role("button", name="I have read this").click()
    expect(page.locator("#net")).to_be_empty()


def test_one_tab_votes_at_a_time(seen: Watched, server: Server, token: str) -> None:
    first = seen.vote_page(token)
    second = seen.vote_page(token)
    expect(first.locator("#notice")).to_contain_text("another tab")
    first.keyboard.press("1")
    vote(second, "3")
    assert [one.get("strength") for one in server.votes(token)] == [1]
    first.get_by_role("button", name="Vote in this tab instead").click()
    expect(second.locator("#notice")).to_contain_text("another tab")
    vote(first, "2")
    assert [one.get("strength") for one in server.votes(token)] == [1, 2]


def test_secrets_leave_the_address_bar(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    admin = seen.open(f"/admin#token={server.admin}")
    expect(admin.locator("#facts")).to_contain_text("Votes")
    assert page.url == server.base + "/"
    assert admin.url == server.base + "/admin"
    page.reload()
    expect(page.locator("#ballot")).to_be_visible()
    wrong = seen.open("/#token=wrong")
    expect(wrong.locator("#notice")).to_contain_text("no longer valid")


def test_hostile_texts_are_text(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    for _ in range(12):
        assert page.locator("#panes :is(script, img, iframe, form, input, style, svg, [style], [onclick])").count() == 0
        hrefs = page.locator("#panes a").evaluate_all("links => links.map(link => link.protocol)")
        assert set(hrefs) <= {"http:", "https:"}
        vote(page, "4")


def test_pictures_are_shown_blind(browser: Browser, gallery: Server) -> None:
    token = gallery.enrol("looks")
    with watched(browser, gallery.base) as seen:
        page = seen.vote_page(token)
        for side in ("left", "right"):
            picture = page.get_by_alt_text(f"picture on the {side}")
            expect(picture).to_have_js_property("naturalWidth", 8)
            assert (picture.get_attribute("src") or "").startswith("blob:")
        assert "secret-model" not in page.content()
        vote(page, "l")
        expect(page.get_by_alt_text("picture on the left")).to_have_js_property("naturalWidth", 8)


@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_enlarged_by_key_and_by_touch(browser: Browser, gallery: Server, size: str) -> None:
    token = gallery.enrol(f"looks closer on a {size}")
    with watched(browser, gallery.base, **SIZES[size]) as seen:
        page = seen.vote_page(token)
        small = page.get_by_alt_text("picture on the left", exact=True)
        expect(small).to_have_js_property("naturalWidth", 8)
        sheet, large = page.locator("#picture"), page.locator("#picture img")
        button = page.get_by_role("button", name="Enlarge the picture on the left")
        button.tap() if size == "phone" else page.keyboard.press("o")
        expect(sheet).to_be_visible()
        expect(large).to_have_attribute("alt", "picture on the left, enlarged")
        expect(large).to_have_js_property("complete", True)
        width = large.bounding_box()["width"]  # type: ignore[index]
        assert width > 200 > small.bounding_box()["width"]  # type: ignore[index]
        assert violations(page) == []
        first = large.get_attribute("src")
        for key, name in (("+", "Larger"), ("+", "Larger"), ("-", "Smaller")):
            page.get_by_role("button", name=name).tap() if size == "phone" else page.keyboard.press(key)
        assert large.bounding_box()["width"] == pytest.approx(1.5 * width, abs=2)  # type: ignore[index]
        page.get_by_role("button", name="The other one").tap() if size == "phone" else page.keyboard.press(" ")
        expect(large).to_have_attribute("alt", "picture on the right, enlarged")
        assert large.get_attribute("src") != first
        page.get_by_role("button", name="Close").tap() if size == "phone" else page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
        vote(page, "l")
        assert [one["choice"] for one in gallery.votes(token)] == ["right"]


# -- differences


WORDS = st.sampled_from(
    ["the", "cat", "sat", "on", "a", "mat", "Élan", "don't", "42", "猫", "...", "!", ",", "\n", "**"]
)
TEXTS = st.lists(WORDS, max_size=25).map(" ".join)


@given(TEXTS, TEXTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_page_marks_what_the_terminal_marks(blank: Page, left: str, right: str) -> None:
    found = blank.evaluate("async ([a, b]) => (await import('/page/difference.js')).difference(a, b)", [left, right])
    meant = difference(left, right)
    assert found["left"] == [list(span) for span in meant.left]
    assert found["right"] == [list(span) for span in meant.right]
    assert found["shared"] == pytest.approx(meant.shared)


# -- the admin page


def test_the_admin_page_is_live(seen: Watched, server: Server, token: str) -> None:
    admin = seen.open(f"/admin#token={server.admin}")
    votes = admin.locator("#facts dd").first
    expect(votes).to_contain_text("of 5,000 at most")
    expect(admin.locator("#live")).to_have_text("live")
    before = votes.inner_text()
    page = seen.vote_page(token)
    vote(page, "1")
    expect(votes).not_to_have_text(before, use_inner_text=True)
    expect(admin.locator("#events li").first).to_be_visible()
    assert admin.locator("#leaders tbody tr").count() > 1
    expect(admin.locator("#curves")).to_contain_text("Expected simple regret")


LONG = "and so on, at some length, with words of every kind, and a few more of them, until nobody reads on"
BROKEN_WORDS = """() => [...document.querySelectorAll("thead th, td, th[scope=row]")].flatMap((cell) => {
  const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
  while (walk.nextNode())
    for (const word of walk.currentNode.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(walk.currentNode, word.index);
      range.setEnd(walk.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) broken.push(word[0]);
    }
  return broken;
})"""


@pytest.mark.parametrize(
    ("study", "head", "verdict"),
    [
        (
            {"pairs": [PairRow(f"p{k}", "Task", f"one {k} {LONG}", f"other {k} {LONG}") for k in range(3)]},
            "Sure",
            "Nothing more",
        ),
        ({"items": [f"text {k}" for k in range(4)], "goal": "top", "top": 2, "votes": 3}, "P(top 2)", "Nothing more"),
        ({"items": [f"text {k}" for k in range(4)], "goal": "rank", "votes": 9}, "P(above the next)", "Go on."),
    ],
    ids=["label", "top", "rank"],
)
def test_the_admin_page_tells_what_the_study_is_for(
    browser: Browser, tmp_path: Path, study: dict[str, Any], head: str, verdict: str
) -> None:
    with serving(tmp_path / "study", **study) as server, watched(browser, server.base) as seen:
        token, admin = server.enrol("maya"), seen.open(f"/admin#token={server.admin}")
        page = seen.vote_page(token)
        press(page, "h")
        vote(page, "h")
        press(page, "h")
        expect(admin.locator("#facts dd").first).to_contain_text("3")
        expect(admin.locator("#verdict")).to_contain_text(verdict)
        expect(admin.locator("#leaders thead")).to_contain_text(head)
        expect(admin.locator("#leaders tbody tr")).to_have_count(len(study.get("pairs", study.get("items"))))
        assert admin.evaluate(BROKEN_WORDS) == []
        told = server.ask("GET", "overview")["progress"]
        assert told["stop"] == (verdict != "Go on.")
        assert (told["left"] == [0, 0, 0]) == told["stop"]


def test_an_invite_made_on_the_admin_page_lets_somebody_vote(seen: Watched, server: Server) -> None:
    admin = seen.open(f"/admin#token={server.admin}")
    admin.get_by_role("button", name="Make a link").click()
    expect(admin.locator("#secret")).to_be_visible()
    link = admin.locator("#secret-link").input_value()
    admin.get_by_role("button", name="Close").click()
    page = seen.open(link.removeprefix(server.base))
    page.get_by_label("Your name in this study").fill("an invited person")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#ballot")).to_be_visible()
    assert page.url == server.base + "/"
    vote(page, "4")
    expect(admin.locator("#annotators")).to_contain_text("an invited person")
    used = seen.open(link.removeprefix(server.base))
    expect(used.locator("#notice")).to_contain_text("used up")


def test_an_invite_says_what_is_asked_and_outlives_a_reload(seen: Watched, server: Server) -> None:
    page = seen.open(server.invite(quota=30))
    notice = page.locator("#notice")
    expect(page.get_by_label("Your name in this study")).to_be_focused()
    page.reload()
    expect(page.get_by_label("Your name in this study")).to_be_focused()
    assert "invite=" not in page.url
    for said in ("hostile", "Ada Example invites you", "Which one is better?", "seconds", "30 votes", "minute"):
        expect(notice).to_contain_text(said)
    for wrong, why in (("<b>", "cannot have '<'"), ("..", "needs a letter or a digit"), ("Ｂoss-0", "")):
        page.get_by_label("Your name in this study").fill(wrong)
        page.get_by_role("button", name="Go on").click()
        if why:
            expect(page.locator("#wrong")).to_contain_text(why)
            assert "regex" not in page.locator("#wrong").inner_text()
    expect(page.locator("#ballot")).to_be_visible()
    page.reload()
    expect(page.locator("#ballot")).to_be_visible()
    other = seen.open(server.invite())
    other.get_by_label("Your name in this study").fill("BOSS-O")
    other.get_by_role("button", name="Go on").click()
    expect(other.locator("#wrong")).to_contain_text("looks like one that is")
    expect(other.locator("#notice")).to_contain_text("as many votes as you like")


def test_an_invite_waits_for_a_server_that_is_away(seen: Watched, server: Server) -> None:
    page = seen.context.new_page()
    page.route("**/v1/invites/*", lambda route: route.abort())
    page.goto(server.base + server.invite())
    expect(page.locator("#notice")).to_contain_text("tries again by itself")
    page.unroute("**/v1/invites/*")
    page.reload()
    expect(page.get_by_label("Your name in this study")).to_be_focused()


def test_quarantine_and_restore_ask_first(seen: Watched, server: Server) -> None:
    server.enrol("careless")

    def weight() -> float:
        rows = server.ask("GET", "annotators")
        return float(next(row["weight"] for row in rows if row["judge"] == "careless"))

    admin = seen.open(f"/admin#token={server.admin}")
    admin.get_by_role("button", name="Quarantine: careless").click()
    admin.get_by_role("button", name="Cancel").click()
    assert weight() == 1
    admin.get_by_role("button", name="Quarantine: careless").click()
    admin.get_by_label("Why").fill("clicks at random")
    admin.locator("#sure-yes").click()
    admin.get_by_role("button", name="Restore: careless").click()
    assert weight() == 0
    admin.locator("#sure-yes").click()
    expect(admin.get_by_role("button", name="Quarantine: careless")).to_be_visible()
    assert weight() == 1


NAMES = ("..", ".", "a/b", "x?y#z&judge=.", "%2e%2e", "O'Brien", "\\\\", "; drop", "ｆｕｌｌ ｗｉｄｔｈ")


def test_an_annotator_of_any_name_can_be_quarantined(browser: Browser, tmp_path: Path) -> None:
    texts = ["one text", "another text", "a third"]
    with (
        serving(tmp_path / "study", NAMES, items=texts, embedder="none") as server,
        watched(browser, server.base) as seen,
    ):
        admin = seen.open(f"/admin#token={server.admin}")
        for name in NAMES:
            admin.get_by_role("button", name=f"Quarantine: {name}", exact=True).click()
            admin.locator("#sure-yes").click()
            expect(admin.get_by_role("button", name=f"Restore: {name}", exact=True)).to_be_visible()
        assert {row["judge"]: row["weight"] for row in server.ask("GET", "annotators")} == dict.fromkeys(NAMES, 0.0)
        admin.get_by_role("button", name="New link: ..", exact=True).click()
        admin.locator("#sure-yes").click()
        expect(admin.locator("#secret-title")).to_have_text("A link for ..")
        link = admin.locator("#secret-link").input_value()
        assert server.ask("GET", "/v1/studies", token=link.partition("token=")[2])[0]["judge"] == ".."


def test_what_an_admin_is_refused_stays_in_sight(seen: Watched, server: Server, token: str) -> None:
    server.enrol("O'Brien")
    admin = seen.open(f"/admin#token={server.admin}")
    admin.get_by_label("Name").fill("O’BRIEN")
    admin.get_by_role("button", name="Enrol", exact=True).click()
    refused = admin.locator("#net")
    expect(refused).to_contain_text("looks like one that is; choose another.")
    before = admin.locator("#facts dd").first.inner_text()
    vote(seen.vote_page(token), "1")  # the page looks again, and the message stays
    expect(admin.locator("#facts dd").first).not_to_have_text(before, use_inner_text=True)
    admin.wait_for_timeout(2500)
    expect(refused).to_contain_text("choose another")
    expect(refused).to_be_in_viewport()
    admin.get_by_role("button", name="Make a link").click()
    expect(refused).to_be_empty()


def test_the_forms_come_before_the_people(seen: Watched, server: Server, token: str) -> None:
    admin = seen.open(f"/admin#token={server.admin}")
    expect(admin.get_by_role("button", name="Quarantine:").first).to_be_visible()
    admin.get_by_role("link", name="People").click()
    reached = []
    for _ in range(12):
        admin.keyboard.press("Tab")
        reached.append(admin.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert "uses" in reached
    assert "judge" in reached
    assert "Quarantine" not in reached[: reached.index("judge")]


def test_a_pause_is_no_end(seen: Watched, server: Server, token: str) -> None:
    page = seen.vote_page(token)
    server.ask("PATCH", "", {"paused": True})
    for _ in range(3):
        vote_if_there(page)
    expect(page.locator("#notice")).to_contain_text("The study is paused")
    assert not page.locator("dialog[open]").count()
    assert "stop" not in page.locator("#notice").inner_text()
    server.ask("PATCH", "", {"paused": False})
    expect(page.locator("#ballot")).to_be_visible(timeout=30_000)
    judge = server.ask("GET", "/v1/studies", token=token)[0]["judge"]
    mine = len(server.votes(token))
    server.ask("PATCH", f"annotators/{judge}", {"quota": mine})
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#enough")).to_be_visible()
    server.ask("PATCH", f"annotators/{judge}", {"quota": mine + 50})
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#enough")).to_be_hidden()


def vote_if_there(page: Page) -> None:
    """Vote where a pair is on the screen, and wait for what comes next."""
    page.wait_for_timeout(GUARD)
    page.keyboard.press("4")
    page.wait_for_timeout(GUARD)


def test_a_paused_study_tells_voters_and_goes_on_by_itself(seen: Watched, server: Server, token: str) -> None:
    admin = seen.open(f"/admin#token={server.admin}")
    admin.get_by_role("button", name="Pause", exact=True).click()
    expect(admin.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    page = seen.open(f"/#token={token}")
    expect(page.locator("#notice")).to_contain_text("The study is paused")
    admin.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator("#ballot")).to_be_visible(timeout=30_000)


def test_exports_and_replays(seen: Watched, server: Server, tmp_path: Path) -> None:
    admin = seen.open(f"/admin#token={server.admin}")
    with admin.expect_download() as download:
        admin.get_by_role("button", name="Export items as jsonl").click()
    assert download.value.suggested_filename == "hostile-items.jsonl"
    download.value.save_as(tmp_path / "items.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert len(rows) > 50
    admin.get_by_role("button", name="Replay").click()
    expect(admin.locator("#replayed table")).to_be_visible(timeout=120_000)


# -- access


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_voting_page_is_accessible(browser: Browser, server: Server, token: str, size: str, scheme: str) -> None:
    with watched(browser, server.base, color_scheme=scheme, **SIZES[size]) as seen:
        page = seen.open("/")
        expect(page.get_by_label("Your token")).to_be_focused()
        assert violations(page) == []
        page.goto(server.base + server.invite())
        expect(page.get_by_label("Your name in this study")).to_be_focused()
        assert violations(page) == []
        page = seen.vote_page(token)
        assert violations(page) == []
        for key in "grn?":
            page.keyboard.press(key)
            expect(page.locator("dialog[open]")).to_be_visible()
            assert violations(page) == []
            page.keyboard.press("Escape")
        page.evaluate("document.querySelector('#enough').showModal()")
        assert violations(page) == []
        page.keyboard.press("Escape")
        for key in "dzz":
            page.keyboard.press(key)
            assert violations(page) == []
        page.keyboard.press("z")
        server.ask("DELETE", f"/v1/leases/{server.held(token)[0]['lease']}", token=token)
        press(page, "1")
        page.locator("#net button").click()
        assert violations(page) == []
        page.keyboard.press("Escape")
        seen.context.set_offline(True)
        for _ in range(4):
            press(page, "4")
        expect(page.locator("#notice")).to_contain_text("No connection")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        seen.context.set_offline(False)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_admin_page_is_accessible(browser: Browser, server: Server, token: str, size: str, scheme: str) -> None:
    with watched(browser, server.base, color_scheme=scheme, **SIZES[size]) as seen:
        page = seen.open("/admin")
        expect(page.get_by_label("Admin token")).to_be_focused()
        assert violations(page) == []
        page.get_by_label("Admin token").fill(server.admin)
        page.keyboard.press("Enter")
        expect(page.locator("#leaders tbody tr").first).to_be_visible()
        expect(page.locator("#agreement dd").first).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Make a link", exact=True).click()
        expect(page.locator("#secret")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Quarantine:").first.click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("path", ["/#token={vote}", "/admin#token={admin}"])
def test_each_page_is_small(seen: Watched, server: Server, token: str, path: str) -> None:
    sizes: list[int] = []
    seen.context.on(
        "response", lambda got: "/v1/" not in got.url and "favicon" not in got.url and sizes.append(len(got.body()))
    )
    page = seen.open(path.format(vote=token, admin=server.admin))
    expect(page.locator("#ballot, #page")).to_be_visible()
    assert 20_000 < sum(sizes) < LIMIT


def test_the_page_is_small_with_all_that_it_may_load(browser: Browser, gallery: Server) -> None:
    with watched(browser, gallery.base) as seen:
        sizes: dict[str, int] = {}
        seen.context.on(
            "response", lambda got: sizes.update({got.url: len(got.body())} if "/v1/" not in got.url else {})
        )
        page = seen.vote_page(gallery.enrol("weighs it"))
        page.keyboard.press("o")
        expect(page.locator("#picture")).to_be_visible()
        loaded = {url.rpartition("/")[2] for url in sizes} - {"admin.js", "admin.css"}
        assert {"pictures.js", "difference.js", "outbox.js"} <= loaded
        assert sum(size for url, size in sizes.items() if "favicon" not in url) < LIMIT


def test_the_report_breaks_no_word_of_its_tables(browser: Browser) -> None:
    shares = {"left": 0.33, "right": 0.33, "tie": 0.17, "both_bad": 0.17}
    one = Annotator("me", 6, None, shares, seconds=0.7, repeats=0, repeated=0, weight=1.0, flags=())
    people = People((one,), AgreementView(1, 0, 10, None, None, None, None, None, None))
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.set_content(render(example(3, people=people)))
    assert page.evaluate(BROKEN_WORDS) == []
    page.close()
