// What the admin page shows of each view: numbers as tables and small drawings. A view that is to be seen here is
// declared in studies/reporting/views.py, and drawn by a `panel` below.

import { bar, curve, interval, parts, percent } from "./charts.js";
import { $, make, plural, sentence } from "./client.js";

const FIRST = 20;

const logits = (value) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(2);
const money = (value) => (value > 0 && value < 0.0001 ? "<0.0001" : value < 1 ? `${Number(value.toPrecision(3))}` : value.toLocaleString("en", { maximumFractionDigits: 2 }));
const moment = (time) => make("time", { datetime: time }, time ? new Date(time).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }) : "–");
const number = (value) => value.toLocaleString("en");

/** Put in new content; what was open stays open, what had the focus keeps it. */
function redraw(place, ...content) {
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.keep : null;
  const open = new Set(Array.from(place.querySelectorAll("details[open]"), (one) => one.dataset.keep));
  place.replaceChildren(...content);
  for (const one of place.querySelectorAll("details")) one.open = open.has(one.dataset.keep);
  for (const one of place.querySelectorAll("[data-keep]")) if (one.dataset.keep === focused) one.focus();
  for (const one of place.querySelectorAll(".scroll")) if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
}

function facts(...rows) {
  const fact = ([name, value, small]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, small ? make("small", {}, small) : null));
  return make("dl", { class: "facts" }, ...rows.filter(Boolean).map(fact));
}

/** A table; a column is [title, cell(row), isNumber], the first names the row. */
function table(caption, columns, rows) {
  const head = columns.map(([title, , n]) => make("th", { scope: "col", class: n ? "n" : null }, title));
  const cell = (row) => ([title, show, n], place) => {
    const shown = [show(row)].flat();
    return place ? make("td", { class: n ? "n" : null, "data-name": title || null }, ...shown) : make("th", { scope: "row" }, ...shown);
  };
  const body = rows.map((row) => make("tr", {}, ...columns.map(cell(row))));
  const made = make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  return make("div", { class: "scroll", role: "region", "aria-label": caption }, made);
}

// Seconds between two looks at the same thing while the study moves: what is cheap, and what is counted over all votes.
export const OFTEN = 1;
const SELDOM = 5;

/** What is looked at: the views' names, how often, and `show(found, does)` with what they tell and what may be done. */
export const panels = [];

/** Draw what views tell, at the place that has the first one's name, else at the end of a section. */
function panel(section, names, draw, every = SELDOM) {
  const place = $(names[0]) ?? $(section).appendChild(make("div", { id: names[0], class: "view" }));
  panels.push({ names, every, show: (found, does) => draw(place, found, does) });
}

let last = null;
let all = false;

/** How sure an item's place is, by what the study is to find. */
const SURE = {
  top: (view) => [`P(top ${view.top})`, (row) => row.p_top],
  rank: () => ["P(above the next)", (row) => row.p_above ?? null],
};

panel("result", ["overview"], (_, [view]) => overview(view), OFTEN);

function overview(view) {
  last = view;
  const { progress, leaders, pairs } = view;
  const left = progress.left ? `${progress.left[0]} to ${progress.left[2]}` : "not known yet";
  redraw($("facts"), facts(
    ["Votes", number(progress.votes), progress.target ? `of ${number(progress.target)} at most` : "without a limit"],
    ["Votes left", progress.stop ? "none" : progress.left ? `about ${progress.left[1]}` : "–", progress.stop ? "" : `80 % interval ${left}`],
    view.expected !== null && [view.regret_name, percent(view.expected)],
    view.labels && ["Pairs labelled by votes", number(view.labels.by_votes), `of ${number(view.labels.a + view.labels.tie + view.labels.b)}`],
    view.labels && ["First better, tie, second", view.labels.by_votes + view.labels.by_machines ? [view.labels.a, view.labels.tie, view.labels.b].map(number).join(" · ") : "–", "pairs"],
    ["Seconds a vote", view.seconds_median === null ? "–" : view.seconds_median.toFixed(1), "median"],
    ["Went left", progress.votes ? percent(view.left_share) : "–", "of the decided votes"],
    ["Tie, both bad, skip", ["tie", "both_bad", "skip"].map((name) => number(view.counts[name] ?? 0)).join(" · "), "votes"],
    view.retired > 0 && ["Retired", number(view.retired), "items"],
  ));
  const verdict = progress.ended ? "Nothing more can be asked, and the stop rule is not met. " : progress.stop ? "You can stop voting. " : "Go on. ";
  redraw($("verdict"), make("strong", {}, verdict), sentence(progress.why));
  const least = Math.min(...leaders.map((row) => row.low));
  const most = Math.max(...leaders.map((row) => row.high));
  const clip = (text, full = text) => make("span", { class: "clip", dir: "auto", title: full.slice(0, 500) }, text);
  const [title, sure] = SURE[view.goal]?.(view) ?? ["P(best)", (row) => row.p_best];
  const columns = [
    ["Item", (row) => clip(`${row.rank}. ${row.text.slice(0, 300) || row.item}`, row.text)],
    ["90 % interval", (row) => interval(row.low, row.utility, row.high, least, most)],
    ["Utility", (row) => [logits(row.utility), make("small", {}, `${logits(row.low)} to ${logits(row.high)}`)], true],
    [title, (row) => (sure(row) === null ? "–" : [bar(sure(row)), percent(sure(row))]), true],
    ["Votes", (row) => number(row.votes), true],
  ];
  const labels = [
    ["Pair", (row) => row.pair],
    ["First", (row) => clip(row.a.slice(0, 300), row.a)],
    ["Second", (row) => clip(row.b.slice(0, 300), row.b)],
    ["Better", (row) => ({ a: "first", b: "second" })[row.label] ?? row.label],
    ["Sure", (row) => percent(row.probability), true],
    ["By", (row) => (row.votes ? plural(row.votes, "vote") : row.source)],
  ];
  const [rows, caption, shows] = leaders.length ? [leaders, "Leaderboard; utilities in logits", columns] : [pairs, "Pairs and their labels", labels];
  const shown = all ? rows : rows.slice(0, FIRST);
  const more = rows.length > FIRST && make("button", { type: "button", "data-keep": "all", click: showAll }, all ? `The first ${FIRST}` : `All ${rows.length}`);
  redraw($("leaders"), rows.length ? table(caption, shows, shown) : "", more || "");
  resized();
}

function showAll() {
  all = !all;
  overview(last);
}

export function resized() {
  if (!last) return;
  const width = Math.min(640, $("curves").clientWidth >= 800 ? $("curves").clientWidth / 2 - 8 : $("curves").clientWidth);
  const named = [[last.regret_name, last.regret], ["P(best) of the recommendation", last.p_best]];
  redraw($("curves"), ...named.filter(([, values]) => values.length).map(([title, values]) => curve(title, values, Math.max(width, 240))));
}

panel("people", ["annotators"], (place, [rows], { weigh, renew }) => {
  const state = (row) => (row.weight === 0 ? make("strong", { class: "flag" }, "quarantined") : row.weight < 1 ? make("strong", { class: "flag" }, `counts ${percent(row.weight)}`) : "counts in full");
  const columns = [
    ["Name", (row) => [make("bdi", {}, row.judge), make("small", {}, [row.scope === "judge" ? "script" : "", row.pools.join(", ")].filter(Boolean).join("; "))]],
    ["Votes", (row) => [number(row.votes), make("small", {}, [row.quota === null ? "" : `of ${number(row.quota)}`, row.leases ? `${row.leases} open` : ""].filter(Boolean).join(", "))], true],
    ["Seconds", (row) => (row.seconds === null ? "–" : row.seconds.toFixed(1)), true],
    ["Accuracy", (row) => (row.accuracy === null ? "–" : [percent(row.accuracy), make("small", {}, `${percent(row.low)} to ${percent(row.high)}`)]), true],
    ["Last vote", (row) => moment(row.last)],
    ["Checks", (row) => [state(row), findings(row)]],
    ["Change", (row) => make("div", { class: "act" }, act(row, row.weight > 0 ? "Quarantine" : "Restore", weigh), act(row, "New link", renew))],
  ];
  const act = (row, words, does) => make("button", { type: "button", "data-keep": `${words} ${row.judge}`, "aria-label": `${words}: ${row.judge}`, click: () => does(row) }, words);
  redraw(place, rows.length ? table("Annotators; accuracy with its 95 % interval", columns, rows) : make("p", {}, "Nobody votes yet. Make a link above."));
});

function findings(row) {
  if (!row.findings.length) return null;
  const flags = row.findings.filter((one) => one.flag);
  const told = row.findings.map((one) => make("li", {}, one.flag ? make("strong", { class: "flag" }, "▲ ") : "", `${one.check.replaceAll("_", " ")}: ${sentence(one.why)}`));
  const words = flags.length ? `▲ ${plural(flags.length, "flag")}: ${flags.map((one) => one.check.replaceAll("_", " ")).join(", ")}` : `${plural(row.findings.length, "check")}, no flag`;
  return make("details", { "data-keep": `checks ${row.judge}` }, make("summary", { class: flags.length ? "flag" : null }, words), make("ul", { class: "plain" }, ...told));
}

panel("people", ["agreement"], (place, [view]) => {
  const range = (found) => (found ? found[0].toFixed(2) : "–");
  const ends = (found) => (found ? `95 % interval ${found[1].toFixed(2)} to ${found[2].toFixed(2)}` : "not defined yet");
  const one = (value) => (value === null ? "–" : value.toFixed(2));
  redraw(place, make("h3", {}, "Agreement"),
    make("p", { class: "hint" }, `${plural(view.people, "person", "people")}; ${plural(view.pairs, "pair")} that two or more voted on${view.pairs < view.fewest ? `, too few to tell how far people agree: at least ${view.fewest} are needed` : ""}.`),
    facts(["Krippendorff’s alpha", range(view.alpha_nominal), ends(view.alpha_nominal)], ["Ordinal alpha", range(view.alpha_ordinal), ends(view.alpha_ordinal)],
      ["Fleiss’ kappa", one(view.fleiss)], ["Cohen’s kappa", one(view.cohen), "mean over pairs of people"],
      ["One says what another said", range(view.ceiling), ends(view.ceiling)], ["The same, ties aside", range(view.ceiling_decided), ends(view.ceiling_decided)]));
});

/** What matters most now: a mark and a sentence, as on the terminal's router screen. */
function standing(view) {
  const unseen = `${view.accepted} of ${view.machines} machine labels are accepted unseen.`;
  if (view.alarm !== null) return ["✖", "ALARM: accepted labels were wrong too often. None is accepted now."];
  if (view.threshold === null) return ["○", "Not certified: no machine label is accepted unseen."];
  if (view.warning !== null) return ["▲", `WARNING: accepted labels seem to be wrong more often now. ${unseen}`];
  return ["✔", `Certified: ${unseen}`];
}

panel("machines", ["routing", "judges"], (place, [view, judges]) => {
  if (!view) {
    const rows = judges.length ? table("Judges", [["Judge", (row) => row.judge], ["Kind", (row) => row.kind], ["Votes", (row) => number(row.votes), true]], judges) : "";
    redraw(place, make("p", {}, "This study has no router: nothing chooses between people and machines."), rows);
    return;
  }
  const [mark, said] = standing(view);
  const share = (part, total) => (total ? percent(part / total) : "–");
  const columns = [
    ["Judge", (row) => [make("bdi", {}, row.judge), make("small", {}, kindOf(row, judges))]],
    ["Verdicts", (row) => [number(row.verdicts), row.failed ? make("small", {}, `${row.failed} failed`) : null], true],
    ["Cost", (row) => money(row.cost), true],
    ["Orders differ", (row) => (row.swapped ? share(row.flips, row.swapped) : "not tried"), true],
    ["Agrees with people", (row) => (row.both ? [share(row.same, row.both), make("small", {}, `on ${row.both}`)] : "not known"), true],
    ["Leans to", (row) => (row.leans.length ? make("ul", { class: "plain" }, ...row.leans.map(lean)) : "–")],
  ];
  const decision = ({ to, chance, reason, audit }) => make("li", {}, make("strong", {}, to), ` ${percent(chance)} · ${reason}`, audit ? make("span", { class: audit === "wrong" ? "flag" : null }, audit === "wrong" ? " ✖ audit: wrong" : " ✔ audit: right") : null);
  redraw(place,
    make("p", { class: "card" }, make("strong", { class: "✖▲".includes(mark) ? "flag" : null }, `${mark} ${said}`), ` ${sentence(view.certificate)}`),
    parts([["machines", view.machines], ["people", view.people], ["waiting for people", view.waiting], ["nobody", view.nobody]]),
    facts(["Spent", money(view.spent), view.budget === null ? "no limit" : `of ${money(view.budget)}, ${share(view.spent, view.budget)}`],
      ["A vote costs", view.per_vote === null ? "–" : money(view.per_vote)], ["A bit costs", view.per_bit === null ? "–" : money(view.per_bit)],
      ["Audits", number(view.audits), `${view.wrong} wrong; ${view.audits_waiting} wait for people`],
      ["Accepted unseen", number(view.accepted), `of ${number(view.machines)}; at most ${percent(view.target)} may be wrong`]),
    view.judges.length ? table("Machine judges", columns, view.judges) : "",
    make("details", { "data-keep": "decisions" }, make("summary", {}, "Last decisions, newest first, with the chance that each had"), make("ul", { class: "plain" }, ...view.decisions.map(decision))));
});

function kindOf(row, judges) {
  const known = judges.find((one) => one.judge === row.judge);
  return known ? known.kind + (known.price ? `, ${money(known.price)} a verdict` : "") : "";
}

function lean({ name, value, low, high, humans }) {
  const sure = !(low <= 0 && 0 <= high);
  const [more, less] = { position: ["the first shown", "the second shown"], length: ["the longer", "the shorter"] }[name] ?? [`more ${name}`, `less ${name}`];
  const words = sure ? `▲ ${value > 0 ? more : less}` : `${name}: none shown`;
  const alone = humans || name === "position" ? "" : ", no people to compare with";
  return make("li", {}, `${words} (${logits(value)}; ${logits(low)} to ${logits(high)})${alone}`);
}

export function exports(place, download) {
  const formats = (name) => ["csv", "jsonl", "parquet"].map((format) => make("button", { type: "button", "aria-label": `Export ${name} as ${format}`, click: () => download(name, format) }, format));
  place.replaceChildren(...["votes", "items", "labels"].map((name) => make("div", {}, make("span", {}, sentence(name).slice(0, -1)), ...formats(name))));
}

export function replayed(place, job) {
  if (job.error) {
    place.textContent = sentence(job.error);
    return;
  }
  const rows = Object.entries(job.result ?? {}).map(([name, value]) => [name, value !== null && typeof value === "object" ? JSON.stringify(value) : `${value}`]);
  place.replaceChildren(table("Result", [["What", ([name]) => name.replaceAll("_", " ")], ["Value", ([, value]) => value]], rows));
}

export function events(place, log) {
  place.replaceChildren(...log.map((event) => make("li", {}, make("time", { datetime: event.time }, new Date(event.time).toLocaleTimeString()), make("span", {}, event.type.replaceAll("_", " ")), make("bdi", {}, event.judge ?? ""))));
}
