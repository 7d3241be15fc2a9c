// The voting page: who votes, and what is there when there is no pair. The pair is ballot.js.

import { Ballot } from "./ballot.js";
import { $, call, kept, make, opened, plural, sentence, settled } from "./client.js";
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

// What stands there instead of a pair

/** Say what is the matter; under it buttons, [words, act] each. */
function notice(title, text, buttons = []) {
  const news = $("notice").hidden || $("notice-title").textContent !== title;
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  $("choices").replaceChildren(...buttons.map(([words, act]) => make("button", { class: "main", click: act }, words)));
  $("notice").hidden = false;
  $("ask").hidden = $("ballot").hidden = $("votes").hidden = true;
  if (!news) return;
  $("wrong").textContent = "";
  $("notice-title").focus();
}

/** Ask for one thing; what the server says against it is told below. */
function askFor(asked, hint, secret, act) {
  const input = $("answer");
  $("asked").textContent = asked;
  $("hint").textContent = hint;
  Object.assign(input, { value: "", type: secret ? "password" : "text", autocomplete: secret ? "current-password" : "username" });
  $("ask").hidden = false;
  input.focus();
  $("ask").onsubmit = async (event) => {
    event.preventDefault();
    $("wrong").textContent = "";
    input.readOnly = true;
    await act(input.value.trim()).catch((error) => {
      $("wrong").textContent = sentence(error.message);
    });
    input.readOnly = false;
  };
}

function askForToken(why) {
  notice("Welcome", why);
  // Whoever pastes the whole link means its token.
  askFor("Your token", "It is part of your link.", true, (pasted) => enter(/[#&]token=([^&]+)/.exec(pasted)?.[1] ?? pasted));
}

async function askForName(invite) {
  const path = `/v1/invites/${encodeURIComponent(invite)}`;
  const study = await call("GET", path);
  notice(study.title || study.study, invitation(study));
  askFor("Your name in this study", "Whoever runs the study sees it, and nobody else who votes.", false, async (judge) => {
    const { token } = await call("POST", `${path}/accept`, { body: { judge } });
    // Kept at once: an invite may be good for one acceptance only.
    kept.set(SESSION, { token });
    await enter(token);
  });
}

/** What is asked of whom is invited, by whom, and how long it takes. */
function invitation({ author, question, votes, seconds, deadline }) {
  const minutes = votes && Math.max(1, Math.round((votes * seconds) / 60));
  return [
    `${author ? `${author} invites you` : "You are invited"} to compare pairs: you see two at a time and say which is better.`,
    question && `The question: ${question}`,
    `A pair takes about ${Math.max(1, Math.round(seconds))} seconds. ${votes ? `${plural(votes, "vote is", "votes are")} asked of you, about ${plural(minutes, "minute")} in all.` : "Give as many votes as you like."} You may stop at any time and go on later.`,
    deadline && `Open until ${new Date(deadline).toLocaleString([], { dateStyle: "long", timeStyle: "short" })}.`,
  ].filter(Boolean).join("\n");
}

function leave() {
  close();
  kept.set(SESSION, null);
  session = null;
  $("progress").hidden = true;
  askForToken("You have signed out. Open your link again, or paste your token.");
}

// Coming in

/** Open the study that a token opens. Throws Problem. */
async function enter(token) {
  const [card] = await call("GET", "/v1/studies", { token });
  if (card.scope === "admin") {
    notice("This token runs the study", "Votes are given with a token of one's own. The admin page makes them.", [
      ["Open the admin page", () => location.assign(`/admin#token=${encodeURIComponent(token)}`)],
    ]);
    return;
  }
  settled();
  close();
  session = { token, study: card.study, judge: card.judge };
  kept.set(SESSION, session);
  open(card);
}

/** Come in by `act`; again by itself while the server is away. */
async function comeIn(act) {
  try {
    await act();
  } catch (error) {
    if (!error.passing) {
      refused(error);
      return;
    }
    notice("The server does not answer", "This page tries again by itself. Votes you gave are kept in this browser.");
    timer = setTimeout(() => comeIn(act), 1000 * (error.after ?? 5));
  }
}

function refused(error) {
  settled();
  askForToken(error.status === 401 ? "Your link or token is no longer valid. Ask whoever runs the study for a new one, and paste it here." : sentence(error.message));
}

function open(card) {
  document.title = `${card.title || card.study}: voting`;
  $("title").textContent = card.title || card.study;
  $("tools").hidden = false;
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
  more();
}

function close() {
  clearTimeout(timer);
  ballot?.close();
  ballot = null;
  $("tools").hidden = true;
  drawNet();
}

// The next pair, or why there is none

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
    refused(problem);
    return;
  }
  const { leases } = asking;
  asking.show();
  if (!leases.first) resting(leases, problem);
  if (problem || leases.low) timer = setTimeout(more, 1000 * (problem ? problem.after ?? 5 : leases.after ?? SLOW));
}

function resting({ progress, why, after }, problem) {
  const goesOn = "This page goes on by itself.";
  const buttons = progress?.mine ? [["Undo my last vote", () => ballot?.undo()]] : [];
  if (problem?.passing) notice("No connection", `${sentence(problem.message)} Your votes are kept in this browser and will be sent. ${goesOn}`);
  else if (problem) notice("Nothing to vote on", `${sentence(problem.message)} ${goesOn}`, buttons);
  else notice("Nothing to compare now", `${sentence(why) || "There is no pair for you."} ${after === null ? "" : goesOn}`, buttons);
}

/** What is not at the server yet, in words. */
function drawNet() {
  const outbox = ballot?.outbox;
  const waiting = outbox?.waiting.length ?? 0;
  const lost = outbox?.lost.length ?? 0;
  const problem = outbox?.problem ?? ballot?.problem;
  const said = [];
  if (problem) {
    said.push(problem.status || navigator.onLine ? sentence(problem.message) : "You are offline.");
    if (waiting) said.push(`${plural(waiting, "vote")} ${waiting === 1 ? "is" : "are"} kept in this browser and will be sent.`);
  }
  if (outbox?.fleeting) said.push("This browser stores nothing: stay on this page until your votes are sent.");
  const words = said.join(" ");
  // Said again only when it changed, or a reader would hear it at every try.
  if ($("net").dataset.said === words + lost) return;
  $("net").dataset.said = words + lost;
  $("net").replaceChildren(words);
  if (lost) $("net").append(make("button", { click: () => ballot.showLost() }, `${plural(lost, "vote")} could not be counted`));
}

// One tab votes at a time, the one opened last; else the same pair could be voted on in two of them.
tabs.onmessage = ({ data }) => {
  if (!ballot || data.voting === me || data.as !== `${session.study} ${session.judge}`) return;
  const { token } = session;
  close();
  notice("Voting goes on in another tab", "This tab rests, so that no pair is voted on twice.", [
    ["Vote in this tab instead", () => comeIn(() => enter(token))],
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
if (link.invite) comeIn(() => askForName(link.invite));
else if (link.token || known) {
  const { token } = link.token ? link : known;
  comeIn(() => enter(token));
} else askForToken("To vote, open the link you were given, or paste the token that is part of it.");
