// The keys, the buttons for them, and their words.

import { $, make } from "./client.js";

/** Key -> [choice, strength]. */
export const VOTES = {
  ArrowLeft: ["left"], h: ["left"], ArrowRight: ["right"], l: ["right"],
  1: ["left", 3], 2: ["left", 2], 3: ["left", 1], 4: ["tie"], "=": ["tie"],
  5: ["right", 1], 6: ["right", 2], 7: ["right", 3], 0: ["both_bad"], s: ["skip"],
};
/** Key -> what of the ballot it calls. */
export const ACTS = { u: "undo", r: "reasons", n: "note", g: "guidelines", "?": "help", d: "diff", z: "zoom", p: "prompt", o: "enlarge" };

const CHOICES = { left: "LEFT", right: "RIGHT", tie: "tie", both_bad: "both bad", skip: "skipped" };
const STRENGTHS = { 1: "slightly better", 2: "clearly better", 3: "far better" };

/** A vote in words: "LEFT, clearly better". */
export const spoken = ({ choice, strength }) => CHOICES[choice] + (strength ? `, ${STRENGTHS[strength]}` : "");

const SCALE = [
  ["ArrowLeft", "Left is better"], ["1", "far"], ["2", "clearly"], ["3", "slightly"], ["4", "tie"],
  ["5", "slightly"], ["6", "clearly"], ["7", "far"], ["ArrowRight", "Right is better"],
];
const MORE = [
  ["0", "both bad"], ["s", "skip"], ["u", "undo"], ["r", "reasons"], ["n", "note"], ["d", "differences"], ["z", "zoom"],
];
const HELP = [
  ["← h", "left is better"], ["→ l", "right is better"], ["1 2 3", "left far, clearly, slightly better"],
  ["4 =", "a tie: equally good"], ["5 6 7", "right slightly, clearly, far better"], ["0", "both are bad"],
  ["s", "skip this pair"], ["u", "undo the last vote, as often as you like"],
  ["r", "reasons for the vote you are about to give"], ["n", "a note on this pair"], ["g", "the guidelines of this study"],
  ["p", "the prompt, open or folded"], ["d", "mark the differing words, or not"], ["z", "zoom: both, left alone, right alone"],
  ["o", "enlarge a picture; then + - its size, Space the other one"],
  ["j k", "scroll both texts down, up"], ["J K", "scroll the right text alone"],
  ["Space", "the other text, when one shows"], ["?", "this help"],
];

const cap = (key) => make("kbd", { "aria-hidden": "true" }, { ArrowLeft: "←", ArrowRight: "→" }[key] ?? key);

function button(key, words, look) {
  const [side, strength] = VOTES[key] ?? [];
  const name = strength ? `${side} ${words} better` : null;
  const does = key in VOTES ? { "data-vote": key } : { "data-do": ACTS[key], "aria-pressed": key === "d" ? "true" : null };
  return make("button", { type: "button", class: look, "aria-label": name, "aria-keyshortcuts": key, ...does }, cap(key), ` ${words}`);
}

for (const [key, words] of SCALE) $("scale").append(button(key, words, VOTES[key][0]));
for (const [key, words] of MORE) $("more").append(button(key, words, "quiet"));
$("tools").append(button("g", "Guidelines", "quiet"), button("?", "Help", "quiet"));
for (const [keys, words] of HELP) {
  const caps = keys.split(" ").map((key) => make("kbd", {}, key));
  $("keys").append(make("div", {}, make("dt", {}, ...caps), make("dd", {}, words)));
}
