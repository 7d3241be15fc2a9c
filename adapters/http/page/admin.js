// The admin page: who runs the study, what is fetched when, and what its forms and buttons do. What it shows is in
// panels.js.

import { $, call, kept, make, opened, sentence, settled } from "./client.js";
import { OFTEN, events, exports, panels, replayed, resized } from "./panels.js";
import { follow, wait } from "./stream.js";

const ADMIN = "elicit.admin";
const EVENTS = 20;
const ANYWAY = 60;

let token = "";
let study = "";
let following = new AbortController();
let dirty = true;
let hurry = false;
const log = [];

const path = (...rest) => ["/v1/studies", encodeURIComponent(study), ...rest].join("/");
const api = (method, rest, body) => call(method, rest ? path(rest) : path(), { token, body });

// Coming in

async function enter(given) {
  const [card] = await call("GET", "/v1/studies", { token: given });
  if (card.scope !== "admin") throw new Error("This token votes, and does not run the study. Open your own link to vote.");
  settled();
  token = given;
  study = card.study;
  kept.set(ADMIN, token);
  $("login").hidden = true;
  $("page").hidden = $("tools").hidden = false;
  tell("");
  draw.card(card);
  following.abort();
  following = new AbortController();
  log.length = 0;
  exports($("exports"), download);
  watch(following.signal);
  // From a little before now: the log may be long.
  const since = await api("GET", "leaderboard?limit=1").then((page) => page.model_version - EVENTS, () => 0);
  follow(path("events"), token, Math.max(0, since), following.signal, happened, linked);
}

function leave(why = "") {
  following.abort();
  kept.set(ADMIN, null);
  token = "";
  $("login").hidden = false;
  $("page").hidden = $("tools").hidden = true;
  $("live").textContent = "";
  away("");
  tell(why);
  $("token").focus();
}

/** Coming in failed: the token is no good, or the server is away for a while. */
async function refused(error, first) {
  if (!error.passing) {
    leave(sentence(error.message));
    return;
  }
  tell(`${sentence(error.message)} This page tries again by itself.`);
  await wait(error.after ?? 5);
  enter(first).catch((again) => refused(again, first));
}

/** What became of what was asked for; it stands until something else is asked for. */
function tell(words) {
  $("net").textContent = words;
}

/** What keeps this page from showing the newest; it goes by itself. */
function away(words) {
  if ($("away").textContent !== words) $("away").textContent = words;
}

/** Do what a button or form asks; what the server refuses is said at the top. */
async function trying(act) {
  try {
    tell("");
    await act();
  } catch (error) {
    if (error.status === 401) leave("This token is no longer valid.");
    else tell(sentence(error.message));
  }
  dirty = hurry = true;
}

// What is shown, and when it is looked at again

const draw = {
  card(card) {
    document.title = `${card.title || card.study}: admin`;
    $("title").textContent = card.title || card.study;
    $("pause").textContent = card.paused ? "Resume" : "Pause";
    $("pause").dataset.paused = card.paused ? "yes" : "";
  },
};
const look = { card: [OFTEN, () => api("GET", "")] };
for (const { names, every, show } of panels) {
  look[names[0]] = [every, () => Promise.all(names.map((name) => api("GET", name)))];
  draw[names[0]] = (found) => show(found, { weigh, renew });
}

/** Look again where something happened, each thing at most as often as it may be asked for. */
async function watch(signal) {
  const seen = {};
  const due = {};
  for (let round = 0; !signal.aborted; round += 1) {
    if (dirty || round % ANYWAY === 0) for (const name of Object.keys(look)) due[name] = true;
    dirty = false;
    const now = Object.keys(look).filter((name) => due[name] && (hurry || round % look[name][0] === 0) && !document.hidden);
    hurry = false;
    await Promise.all(now.map(async (name) => {
      due[name] = false;
      try {
        const found = await look[name][1]();
        const text = JSON.stringify(found);
        // Drawn again only when it changed, so that nothing moves under a pointer or a screen reader for nothing.
        if (!signal.aborted && seen[name] !== text) draw[name](found);
        seen[name] = text;
      } catch (error) {
        due[name] = true;
        if (signal.aborted) return;
        if (error.status === 401) leave("This token is no longer valid.");
        else away(sentence(error.message));
      }
    }));
    if (now.length && !Object.values(due).some(Boolean) && $("live").className) away("");
    await wait(1);
  }
}

function happened(event) {
  dirty = true;
  log.unshift(event);
  log.length = Math.min(log.length, EVENTS);
  events($("events"), log);
}

function linked(problem) {
  $("live").className = problem ? "" : "on";
  $("live").textContent = problem ? "connecting again" : "live";
  dirty = true;
  if (problem?.status === 401) leave("This token is no longer valid.");
}

// What may be done

function sure(title, text, yes, act) {
  $("sure-title").textContent = title;
  $("sure-text").textContent = text;
  $("sure-yes").textContent = yes;
  $("sure-why").value = "";
  const sheet = $("sure");
  sheet.returnValue = "";
  sheet.addEventListener("close", () => sheet.returnValue && trying(() => act($("sure-why").value.trim())), { once: true });
  sheet.showModal();
}

/** Any name is a name behind the question mark; in a path, .. is a way to elsewhere. */
const whose = (row) => `?judge=${encodeURIComponent(row.judge)}`;

function weigh(row) {
  const [title, text, yes, weight] = row.weight > 0
    ? [`Quarantine ${row.judge}?`, "The votes stay in the log and teach nobody; new ones are kept the same way. You can restore them.", "Quarantine", 0]
    : [`Restore ${row.judge}?`, "The votes count in full again.", "Restore", 1];
  sure(title, text, yes, (why) => api("PATCH", `annotators${whose(row)}`, { weight, why }));
}

function renew(row) {
  sure(`A new link for ${row.judge}?`, "The link or token given before ends at once.", "Make a new link", async () => {
    const admitted = await api("POST", `tokens${whose(row)}`);
    secret(`A link for ${admitted.judge}`, `/#${new URLSearchParams({ study: admitted.study || study, token: admitted.token })}`, "It is shown this once. Whoever has it votes under this name.");
  });
}

function secret(title, link, text) {
  $("secret-title").textContent = title;
  $("secret-text").textContent = text;
  $("secret-link").value = location.origin + link;
  $("copied").textContent = "";
  $("secret").showModal();
  $("secret-link").select();
}

$("copy").onclick = async () => {
  $("secret-link").select();
  try {
    await navigator.clipboard.writeText($("secret-link").value);
    $("copied").textContent = "Copied.";
  } catch {
    // Browsers give the clipboard to https alone.
    $("copied").textContent = "The link is marked: copy it with Ctrl C.";
  }
};

const number = (id) => ($(id).value ? Number($(id).value) : null);
const pools = (id) => $(id).value.split(",").map((pool) => pool.trim()).filter(Boolean);

function submits(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    await trying(act);
    button.disabled = false;
  });
}

submits($("login").querySelector("form"), async () => {
  const pasted = $("token").value.trim();
  await enter(new URLSearchParams(pasted.split("#")[1] ?? "").get("token") ?? pasted);
  $("token").value = "";
});
submits($("invite"), async () => {
  const made = await api("POST", "invites", { uses: number("uses"), hours: number("hours"), quota: number("invite-quota"), pools: pools("invite-pools") });
  secret("An invite", made.path, `Good for ${made.uses} ${made.uses === 1 ? "person" : "people"} until ${new Date(made.expires).toLocaleString()}.`);
});
submits($("enrol"), async () => {
  const admitted = await api("POST", "annotators", { judge: $("judge").value.trim(), scope: $("scope").value, quota: number("quota"), pools: pools("pools") });
  $("judge").value = "";
  const link = `/#${new URLSearchParams({ study: admitted.study || study, token: admitted.token })}`;
  secret(`A link for ${admitted.judge}`, link, "It is shown this once. Whoever has it votes under this name. A script uses the part after “token=”.");
});
submits($("replay"), async () => {
  const body = { selector: $("selector").value.trim() || null, router: $("router").value.trim() || null };
  $("replayed").textContent = "Replaying …";
  try {
    let job = await api("POST", "replays", body);
    for (const asked = study; !job.done && asked === study; job = await api("GET", `replays/${job.job}`)) await wait(1);
    replayed($("replayed"), job);
  } catch (error) {
    $("replayed").textContent = sentence(error.message);
  }
});

async function download(table, format) {
  await trying(async () => {
    const read = (answer) => answer.blob();
    const file = await call("GET", path("exports", `${table}.${format}`), { token, read, signal: AbortSignal.timeout(600_000) });
    const link = make("a", { href: URL.createObjectURL(file), download: `${study}-${table}.${format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
}

$("pause").onclick = () => trying(async () => draw.card(await api("PATCH", "", { paused: !$("pause").dataset.paused })));
$("leave").onclick = () => leave("You have signed out.");
addEventListener("resize", resized);
document.addEventListener("visibilitychange", () => {
  dirty = true;
});

const first = opened().token ?? kept.get(ADMIN);
if (first) enter(first).catch((error) => refused(error, first));
else $("token").focus();
