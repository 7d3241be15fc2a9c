// The voting page: who votes, and what is on the screen when there is no pair. The pair itself is ballot.js.

import { Ballot } from "./ballot.js";
import { $, call, kept, make, opened, plural, sentence } from "./client.js";
import { Leases } from "./leases.js";
import { Outbox } from "./outbox.js";
import { Pace } from "./pace.js";

const SESSION = "elicit.session";
const SLOW = 60;

const pace = new Pace();
const tabs = new BroadcastChannel("elicit.voting");
const me = Math.random();
let session = null;
let ballot = null;
let timer = 0;

// -- What stands there instead of a pair

/** Say what is the matter; `form`: the id of one to fill in, or buttons as [words, act]. */
function notice(title, text, form = "", buttons = []) {
  const news = $("notice").hidden || $("notice-title").textContent !== title;
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  for (const id of ["accept", "login"]) $(id).hidden = id !== form;
  $("choices").replaceChildren(...buttons.map(([words, act]) => make("button", { type: "button", class: "main", click: act }, words)));
  $("wrong").textContent = "";
  $("notice").hidden = false;
  $("ballot").hidden = $("votes").hidden = true;
  if (news) ($(form)?.querySelector("input") ?? $("notice-title")).focus();
}

/** Try; what the server refuses is said below the form. */
async function trying(form, act) {
  const button = form.querySelector("button");
  button.disabled = true;
  $("wrong").textContent = "";
  try {
    await act();
  } catch (error) {
    $("wrong").textContent = sentence(error.message);
  }
  button.disabled = false;
}

function askForToken(why) {
  notice("Welcome", why, "login");
  $("login").onsubmit = (event) => {
    event.preventDefault();
    trying($("login"), async () => {
      const pasted = $("token").value.trim();
      const found = new URLSearchParams(pasted.split("#")[1] ?? "");
      const token = found.get("token") ?? pasted;
      await enter(token, found.get("study") ?? "");
      $("token").value = "";
    });
  };
}

function askForName(study, invite) {
  notice("Welcome", "You are invited to compare pairs: two texts at a time, and you say which is better.", "accept");
  $("accept").onsubmit = (event) => {
    event.preventDefault();
    trying($("accept"), async () => {
      const body = { judge: $("name").value.trim().replace(/\s+/g, " ") };
      const admitted = await call("POST", `/v1/invites/${encodeURIComponent(invite)}/accept`, { body });
      // Kept at once: an invite may be good for one acceptance only.
      kept.set(SESSION, { token: admitted.token, study: admitted.study || study });
      await enter(admitted.token, admitted.study || study);
    });
  };
}

function leave() {
  close();
  kept.set(SESSION, null);
  session = null;
  $("progress").hidden = true;
  askForToken("You have signed out. Open your link again, or paste your token.");
}

// -- Coming in

/** Open the study that a token opens. Throws Problem. */
async function enter(token, study) {
  if (!study) {
    const cards = await call("GET", "/v1/studies", { token });
    if (cards.length > 1) {
      const open = (card) => enter(token, card.study).catch((error) => failed(error, token, card.study));
      notice("Which study?", "Your token opens several.", "", cards.map((card) => [card.title || card.study, () => open(card)]));
      return;
    }
    if (!cards.length) throw new Error("This token opens no study.");
    study = cards[0].study;
  }
  const card = await call("GET", `/v1/studies/${encodeURIComponent(study)}`, { token });
  if (card.scope === "admin") {
    notice("This token runs the study", "Votes are given with a token of one's own. The admin page makes them.", "", [
      ["Open the admin page", () => location.assign(`/admin#token=${encodeURIComponent(token)}`)],
    ]);
    return;
  }
  close();
  session = { token, study: card.study, judge: card.judge };
  kept.set(SESSION, session);
  open(card);
}

function failed(error, token, study) {
  if (error.status === 401) {
    askForToken("Your link or token is no longer valid. Ask whoever runs the study for a new one, and paste it here.");
  } else if (error.passing) {
    notice("The server does not answer", "This page tries again by itself. Votes you gave are kept in this browser.");
    timer = setTimeout(() => enter(token, study).catch((again) => failed(again, token, study)), 1000 * (error.after ?? 5));
  } else {
    askForToken(sentence(error.message));
  }
}

function open(card) {
  document.title = `${card.title || card.study}: voting`;
  $("title").textContent = card.title || card.study;
  $("whose").textContent = `You vote as ${card.judge}.`;
  const outbox = new Outbox(session, {
    onReceipt: (entry, receipt) => ballot?.saved(entry, receipt),
    onLost: (entry, problem) => ballot?.lostOne(entry, problem),
    onChange: () => drawNet(),
  });
  const leases = new Leases(session, outbox, () => pace.idle, () => ballot?.gone());
  ballot = new Ballot({ card, session, outbox, leases, pace, more, leave });
  tabs.postMessage({ voting: me, as: `${session.study} ${session.judge}` });
  drawNet();
  outbox.send();
  remember();
  more();
}

function close() {
  clearTimeout(timer);
  ballot?.close();
  ballot = null;
  drawNet();
}

async function remember() {
  const { study, token } = session;
  const page = await call("GET", `/v1/studies/${study}/votes?limit=30`, { token }).catch(() => ({ votes: [] }));
  pace.remember(page.votes.filter((vote) => !vote.voided && vote.seconds != null).map((vote) => vote.seconds));
  ballot?.drawProgress();
}

// -- The next pair, or why there is none

/** Ask for leases until there are enough, and show what there is; goes on by itself. */
async function more() {
  const asking = ballot;
  clearTimeout(timer);
  let problem = null;
  try {
    await asking.leases.fill();
  } catch (error) {
    problem = error;
  }
  if (ballot !== asking) return;
  asking.problem = problem;
  drawNet();
  if (problem?.status === 401) {
    close();
    failed(problem, "", "");
    return;
  }
  const { leases } = asking;
  asking.show();
  if (!leases.first) resting(leases, problem);
  if (problem || leases.low) timer = setTimeout(more, 1000 * Math.max(1, problem ? problem.after ?? 5 : leases.after ?? SLOW));
}

function resting(leases, problem) {
  const goesOn = "This page goes on by itself.";
  if (problem?.passing) notice("No connection", `${sentence(problem.message)} Votes you gave are kept in this browser and will be sent. ${goesOn}`);
  else if (problem) notice("Nothing to vote on", `${sentence(problem.message)} ${goesOn}`);
  else notice("Nothing to compare now", `${sentence(leases.why) || "There is no pair for you."} ${leases.after === null ? "" : goesOn} Thank you for your votes.`);
  const undo = [["Undo my last vote", () => ballot?.undo()]];
  $("choices").replaceChildren(...(leases.progress?.mine ? undo : []).map(([words, act]) => make("button", { type: "button", class: "quiet", click: act }, words)));
}

/** What is not at the server yet, in words. */
function drawNet() {
  const said = [];
  const outbox = ballot?.outbox;
  const waiting = outbox?.waiting.length ?? 0;
  const problem = outbox?.problem ?? ballot?.problem;
  if (problem) {
    const why = problem.status === 0 ? (navigator.onLine ? "The server does not answer" : "You are offline") : problem.message;
    const votes = waiting ? `${plural(waiting, "vote")} ${waiting === 1 ? "is" : "are"} kept in this browser and will be sent.` : "You can go on for a few pairs.";
    said.push(`${sentence(why)} ${votes}`);
  } else if (waiting > 3) said.push(`${plural(waiting, "vote")} on the way.`);
  if (outbox?.fleeting) said.push("This browser stores nothing: stay on this page until your votes are sent.");
  const lost = outbox?.lost.length ?? 0;
  const button = lost && make("button", { type: "button", click: () => ballot.showLost() }, `${plural(lost, "vote")} could not be counted`);
  const words = said.join(" ");
  // Said again only when it changed, or a reader would hear it at every try.
  if ($("net").dataset.said === words + lost) return;
  $("net").dataset.said = words + lost;
  $("net").replaceChildren(words, ...(button ? [button] : []));
}

// One tab votes at a time, the one opened last; else the same pair could be voted on in two of them.
tabs.onmessage = ({ data }) => {
  if (!ballot || data.voting === me || data.as !== `${session.study} ${session.judge}`) return;
  const { token, study } = session;
  close();
  notice("Voting goes on in another tab", "This tab rests, so that no pair is voted on twice.", "", [
    ["Vote in this tab instead", () => enter(token, study).catch((error) => failed(error, token, study))],
  ]);
};

for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll", "touchmove"]) {
  addEventListener(sign, () => pace.touch(), { capture: true, passive: true });
}
addEventListener("online", () => ballot && more());
addEventListener("offline", drawNet);
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !ballot) return;
  pace.painted(true);
  more();
});

const link = opened();
const known = kept.get(SESSION);
if (link.invite) askForName(link.study ?? "", link.invite);
else if (link.token || known) {
  const { token, study = "" } = link.token ? link : known;
  enter(token, study).catch((error) => failed(error, token, study));
} else askForToken("To vote, open the link you were given, or paste the token that is part of it.");
