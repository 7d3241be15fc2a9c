// The pair on the screen: what is shown, and what keys and buttons do.

import { $, call, kept, make, plural, sentence } from "./client.js";
import { markDifference } from "./difference.js";
import { ACTS, VOTES, spoken } from "./keys.js";
import { ask, askNote, askReasons, fill, inSheet, tellLost } from "./sheets.js";

const LINE = 64;
const SIDES = ["left", "right"];
const ZOOMS = ["both", ...SIDES];

const panes = $("panes");
const pane = { left: $("left-pane"), right: $("right-pane") };
const prose = (side) => pane[side].querySelector(".text");

export class Ballot {
  #shown = null;
  #reasons = [];
  #note = "";
  #diff = true;
  #alike = null;
  #zoom = "both";
  #undoing = false;
  #saidEnough = false;
  #pictures = null;
  #listening = new AbortController();
  problem = null;

  constructor(parts) {
    Object.assign(this, parts);
    const { card, pace } = this;
    const on = (target, event, act) => target.addEventListener(event, act, { signal: this.#listening.signal });
    on(document, "keydown", (event) => this.#key(event));
    on(document, "click", (event) => this.#click(event));
    on(window, "resize", () => this.#fit());
    on(panes, "scroll", () => this.#drawSides());
    for (const sheet of document.querySelectorAll("dialog")) on(sheet, "close", () => pace.painted(true));
    $("single").checked = kept.get("elicit.single") ?? true;
    on($("single"), "change", () => kept.set("elicit.single", $("single").checked));
    document.querySelector("[data-do=guidelines]").hidden = !card.guidelines_html;
    document.querySelector("[data-do=reasons]").hidden = !card.reasons.length;
    $("question").textContent = card.question || "Which is better?";
    this.say(matchMedia("(hover: none)").matches ? "Look at both, then say which is better." : "Look at both, then press ← or →. ? shows all keys.");
  }

  close() {
    this.#listening.abort();
    this.outbox.close();
    this.leases.close();
    this.#pictures?.then((gallery) => gallery.close());
    for (const sheet of document.querySelectorAll("dialog[open]")) sheet.close();
  }

  // Showing

  /** Put the first lease on the screen, unless it is there. */
  show() {
    this.drawProgress();
    const lease = this.leases.first;
    const same = lease?.lease === this.#shown?.lease && !$("ballot").hidden;
    this.#shown = lease;
    if (!lease || same) return;
    $("notice").hidden = true;
    $("ballot").hidden = $("votes").hidden = false;
    $("context").hidden = !lease.context;
    fill($("context-text"), lease.context_html, lease.context);
    $("context").open = lease.context.length < 600;
    for (const side of SIDES) pane[side].scrollTop = 0;
    panes.scrollTo(0, 0);
    this.#draw();
    this.#ahead();
    this.pace.painted();
    requestAnimationFrame(() => this.pace.painted());
  }

  #draw() {
    const lease = this.#shown;
    for (const side of SIDES) {
      fill(prose(side), lease[`${side}_html`], lease[side]);
      if (lease.images?.includes(side)) this.#drawPicture(lease, side);
    }
    panes.classList.remove("compared");
    this.#alike = this.#diff ? markDifference(prose("left"), prose("right")) : null;
    panes.classList.toggle("compared", this.#alike === true);
    this.#fit();
    // What scrolls sideways has to be within reach of the keyboard.
    for (const wide of document.querySelectorAll(".text table, .text pre")) {
      if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    }
  }

  /** What knows of pictures; pages without them need not load it. */
  get #gallery() {
    this.#pictures ??= import("./pictures.js").then(({ Pictures }) => new Pictures(this.session.token));
    return this.#pictures;
  }

  async #drawPicture(lease, side) {
    const gallery = await this.#gallery;
    if (lease === this.#shown) gallery.show(lease, side, prose(side), () => this.#fit());
  }

  /** Fetch the pictures that come next, while this pair is read. */
  #ahead() {
    for (const lease of this.leases.open.slice(1)) {
      for (const side of lease.images ?? []) this.#gallery.then((gallery) => gallery.of(lease, side)).catch(() => {});
    }
  }

  async enlarge() {
    const { images } = this.#shown;
    if (!images) this.say("This pair has no pictures.");
    else (await this.#gallery).enlarge(this.#shown, images.includes(this.#side) ? this.#side : images[0]);
  }

  /** On a narrow screen: one text under the other where both fit, else beside each other to be swiped. */
  #fit() {
    panes.dataset.zoom = this.#zoom;
    panes.classList.remove("swiped");
    const narrow = matchMedia("(max-width: 48rem)").matches && this.#zoom === "both";
    panes.classList.toggle("swiped", narrow && panes.scrollHeight > panes.clientHeight + 1);
    $("flip").hidden = !panes.classList.contains("swiped") && this.#zoom === "both";
    this.#drawSides();
  }

  get #side() {
    if (this.#zoom !== "both") return this.#zoom;
    return panes.scrollLeft > (panes.scrollWidth - panes.clientWidth) / 2 ? "right" : "left";
  }

  #drawSides() {
    for (const button of $("flip").children) button.ariaPressed = button.dataset.side === this.#side;
  }

  drawProgress() {
    const { progress } = this.leases;
    if (!progress) return;
    const { votes, target, mine } = progress;
    $("progress").hidden = false;
    $("count").textContent = `${votes.toLocaleString("en")}${target ? ` of ${target.toLocaleString("en")}` : ""} votes`;
    $("count").title = `${plural(mine, "vote")} of yours`;
    $("bar").max = Math.max(target, votes, 1);
    $("bar").value = votes;
    $("left").textContent = this.pace.toGo(progress);
    if (!progress.stop) {
      this.#saidEnough = false;
      $("enough").close();
    } else if (this.leases.first && !this.#saidEnough) {
      this.#saidEnough = true;
      $("enough-why").textContent = sentence(progress.why);
      $("enough").showModal();
    }
  }

  /** A sentence below the pair; what waits for the next vote stays in view. */
  say(words, warn = false) {
    const extras = [...this.#reasons, ...(this.#note ? ["a note"] : [])].join(", ");
    const parts = [extras && make("strong", {}, sentence(`✎ With your next vote: ${extras}`)), " ", warn ? make("strong", {}, `▲ ${words}`) : words];
    $("said").replaceChildren(...parts.filter(Boolean));
    $("wrong").textContent = words;
  }

  // Voting

  #vote(key) {
    const [choice, strength = null] = VOTES[key];
    const lease = this.#shown;
    if (!lease || $("ballot").hidden || this.#undoing) return;
    if (this.pace.tooSoon) {
      this.say("Too quick: this pair had only just appeared. Press again if you meant it.", true);
      return;
    }
    const cast = { lease: lease.lease, token: lease.token, choice, strength, seconds: this.pace.seconds, reasons: this.#reasons, note: this.#note };
    this.pace.voted(cast.seconds);
    this.#reasons = [];
    this.#note = "";
    this.leases.shift();
    this.outbox.add(cast, lease.number);
    this.say(`Vote ${lease.number}: ${spoken(cast)}. Saving …`);
    this.show();
    this.more();
  }

  saved({ number, cast }, receipt) {
    const given = `${number}: ${spoken(cast)}.`;
    if ($("said").textContent.endsWith(`${given} Saving …`)) this.say(`Saved vote ${given} u takes it back.`);
    if (this.leases.progress) this.leases.progress.mine = receipt.votes;
  }

  lostOne(entry, problem) {
    this.pace.tookBack();
    this.say(`Vote ${entry.number} (${spoken(entry.cast)}) could not be counted: ${sentence(problem.message)}`, true);
  }

  /** The pair on the screen is no longer lent to this person. */
  gone() {
    this.say("The pair on the screen was handed back, since it had been open for long. Here is another.", true);
    this.show();
    this.more();
  }

  async undo() {
    if (this.#undoing) return;
    this.#undoing = true;
    try {
      const unsent = this.outbox.takeBack();
      const taken = unsent ? await this.#unsend(unsent) : await this.#void();
      if (!taken) {
        this.say("There is no vote of yours to take back.", true);
        return;
      }
      this.pace.tookBack();
      this.#reasons = taken.reasons ?? [];
      this.#note = taken.note ?? "";
      this.say(`Took back ${unsent ? `vote ${unsent.number}` : "your last vote"}: ${spoken(taken)}. The pair is open again.`);
    } catch (error) {
      this.say(`Nothing was taken back: ${sentence(error.message)}`, true);
    } finally {
      this.#undoing = false;
      this.more();
    }
  }

  async #unsend({ cast }) {
    if (!this.leases.putBack(cast.lease)) {
      await this.leases.fill();
      this.leases.putBack(cast.lease);
    }
    this.show();
    return cast;
  }

  async #void() {
    await this.outbox.send();
    if (this.outbox.waiting.length) throw new Error("your last vote may have reached the server, which does not answer now");
    const { study, token } = this.session;
    for (let cursor = ""; cursor !== null; ) {
      const page = await call("GET", `/v1/studies/${study}/votes?limit=50${cursor && `&cursor=${cursor}`}`, { token });
      const last = page.votes.find((vote) => !vote.voided);
      if (last) {
        const body = { why: "undo", again: true };
        const { lease } = await call("POST", `/v1/studies/${study}/votes/${last.vote}/void?html=true`, { token, body });
        if (lease) this.leases.putFirst(lease);
        this.show();
        return last;
      }
      cursor = page.next;
    }
    return null;
  }

  // Saying more

  reasons() {
    if (!this.card.reasons.length) {
      this.say("This study has no list of reasons. n writes a note instead.", true);
      return;
    }
    askReasons(this.card.reasons, this.#reasons, (reasons) => {
      this.#reasons = reasons;
      this.say("");
    });
  }

  note() {
    askNote(this.#note, (note) => {
      this.#note = note;
      this.say("");
    });
  }

  guidelines() {
    if (!this.card.guidelines_html) {
      this.say("This study has no guidelines. Vote as you see fit.");
      return;
    }
    fill($("guidelines").querySelector(".text"), this.card.guidelines_html, "");
    $("guidelines").showModal();
  }

  help() {
    ask($("help"), this.leave);
  }

  showLost() {
    tellLost(this.outbox.lost, () => this.outbox.forgetLost());
  }

  // Reading

  diff() {
    this.#diff = !this.#diff;
    document.querySelector("[data-do=diff]").ariaPressed = this.#diff;
    if (this.#shown) this.#draw();
    if (!this.#diff) this.say("Differences are not marked. d marks them.");
    else if (this.#alike) this.say("Differing words are bold and underlined.");
    else this.say("These two share too few words for marks to help.");
  }

  zoom(to = ZOOMS[(ZOOMS.indexOf(this.#zoom) + 1) % ZOOMS.length]) {
    this.#zoom = to;
    this.#fit();
    this.say({ both: "Both texts.", left: "The left text alone.", right: "The right text alone." }[to]);
  }

  prompt() {
    $("context").open = !$("context").open;
    this.#fit();
  }

  #flip(to = this.#side === "left" ? "right" : "left") {
    if (this.#zoom === "both") panes.scrollTo({ left: to === "left" ? 0 : panes.scrollWidth, behavior: "auto" });
    else this.zoom(to);
    this.#drawSides();
  }

  #scroll(by, rightOnly = false) {
    for (const target of rightOnly ? [pane.right] : [pane.left, pane.right, panes]) target.scrollBy(0, by);
  }

  // Keys and buttons

  #click(event) {
    const button = event.target.closest("button");
    if (!button || button.closest("dialog")) return;
    if (button.dataset.vote) this.#vote(button.dataset.vote);
    else if (button.dataset.do) this[button.dataset.do]();
    else if (button.dataset.side) this.#flip(button.dataset.side);
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const sheet = document.querySelector("dialog[open]");
    if (sheet) inSheet(sheet, event);
    // For a moment the focus stays in a sheet that was closed, where nobody can write.
    else if (!event.target.closest("input, textarea")?.offsetParent && this.#act(event)) event.preventDefault();
  }

  /** What a key does; whether it did something. */
  #act({ key, repeat, target }) {
    // Who speaks to the computer, or brushes the keys, may turn single characters off (WCAG 2.1.4).
    if (key.length === 1 && key !== " " && !$("single").checked) return false;
    const page = 0.9 * pane.left.clientHeight;
    const scrolls = { j: LINE, ArrowDown: LINE, k: -LINE, ArrowUp: -LINE, PageDown: page, PageUp: -page, Home: -1e7, End: 1e7 };
    if (key in scrolls) this.#scroll(scrolls[key]);
    else if (key === "J" || key === "K") this.#scroll(key === "J" ? LINE : -LINE, true);
    else if (key === " " && !$("flip").hidden && !target.closest("button, summary, a")) this.#flip();
    else if (key in VOTES) repeat || this.#vote(key);
    else if (key in ACTS && (this.#shown || "ug?".includes(key))) repeat || this[ACTS[key]]();
    else return false;
    return true;
  }
}
