// The sheets that open over a pair, and their keys; Escape is the browser's.

import { $, make, sentence } from "./client.js";
import { spoken } from "./keys.js";

/** Safe HTML from the server, else the text itself. */
export function fill(element, html, text) {
  if (html) element.innerHTML = html;
  else element.textContent = text;
}

/** Open a sheet; `keep` when it is closed by its first button. */
export function ask(sheet, keep) {
  sheet.returnValue = "";
  sheet.addEventListener("close", () => sheet.returnValue && keep(), { once: true });
  sheet.showModal();
}

const boxes = () => [...$("boxes").querySelectorAll("input")];

export function askReasons(reasons, chosen, keep) {
  const box = (reason, place) => {
    const input = make("input", { type: "checkbox", value: reason });
    input.checked = chosen.includes(reason);
    return make("label", { class: "box" }, input, make("kbd", { "aria-hidden": "true" }, place < 9 ? place + 1 : ""), reason);
  };
  $("boxes").replaceChildren(...reasons.map(box));
  ask($("reasons"), () => keep(boxes().flatMap((input) => (input.checked ? [input.value] : []))));
  boxes()[0].focus();
}

export function askNote(text, keep) {
  $("note-text").value = text;
  ask($("note"), () => keep($("note-text").value.trim()));
  $("note-text").focus();
}

export function tellLost(lost, forget) {
  const told = ({ number, cast, why }) => make("li", {}, `Vote ${number} (${spoken(cast)}): ${sentence(why)}`);
  $("lost-list").replaceChildren(...lost.map(told));
  ask($("lost"), forget);
}

export function inSheet(sheet, event) {
  const { key } = event;
  const inputs = sheet.id === "reasons" ? boxes() : [];
  const at = inputs.indexOf(document.activeElement);
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[key];
  const ticked = inputs[key - 1] ?? (key === "x" ? inputs[at] : null);
  if (step && inputs.length) inputs[(at + step + inputs.length) % inputs.length].focus();
  else if (ticked) {
    ticked.checked = !ticked.checked;
    ticked.focus();
  } else if (key === "Enter" && (at >= 0 || (event.target.id === "note-text" && !event.shiftKey))) sheet.close("keep");
  else if (key === "r" && inputs.length) sheet.close("keep");
  else if ({ guidelines: "g", help: "?", enough: "c", picture: "o" }[sheet.id] === key) sheet.close("");
  else return;
  event.preventDefault();
}
