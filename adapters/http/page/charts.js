// Small drawings in SVG, in the page's colours; what they show stands beside them in words or numbers.

import { dress, make } from "./client.js";

export const svg = (tag, attributes = {}, ...children) => dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** A share that never says none or all where it is not. */
export function percent(share) {
  if (share > 0 && share < 0.01) return "<1 %";
  if (share > 0.99 && share < 1) return ">99 %";
  return `${Math.round(100 * share)} %`;
}

/** An interval with its middle on a scale from `least` to `most`; zero is marked where it is on it. */
export function interval(low, middle, high, least, most) {
  const width = 160;
  const x = (value) => 4 + ((width - 8) * (value - least)) / (most - least || 1);
  const zero = least < 0 && most > 0 ? svg("line", { x1: x(0), x2: x(0), y1: 0, y2: 20, class: "zero" }) : null;
  const line = svg("line", { x1: x(low), x2: x(high), y1: 10, y2: 10, class: "range" });
  return svg("svg", { viewBox: `0 0 ${width} 20`, class: "interval", "aria-hidden": "true" }, zero, line, svg("circle", { cx: x(middle), cy: 10, r: 4 }));
}

/** A share as a bar. */
export function bar(share) {
  const full = svg("rect", { width: 60 * Math.min(1, Math.max(0, share)), height: 8, rx: 2, class: "full" });
  return svg("svg", { viewBox: "0 0 60 8", class: "bar", "aria-hidden": "true" }, svg("rect", { width: 60, height: 8, rx: 2, class: "empty" }), full);
}

/** Counts as one bar of parts: [name, count]; parts are told apart by the words below and by gaps, not by colour alone. */
export function parts(counts) {
  const total = counts.reduce((sum, [, count]) => sum + count, 0) || 1;
  let at = 0;
  const drawn = counts.map(([, count], place) => {
    const width = (600 * count) / total;
    at += width;
    return count ? svg("rect", { x: at - width, width: Math.max(1, width - 2), height: 16, rx: 2, class: `part${place}` }) : null;
  });
  const told = counts.map(([name, count], place) =>
    make("li", {}, svg("svg", { viewBox: "0 0 12 12", class: "key", "aria-hidden": "true" }, svg("rect", { width: 12, height: 12, rx: 2, class: `part${place}` })), `${name} ${count.toLocaleString("en")}, ${percent(count / total)}`));
  return make("div", {}, svg("svg", { viewBox: "0 0 600 16", class: "parts", preserveAspectRatio: "none", "aria-hidden": "true" }, ...drawn), make("ul", { class: "legend" }, ...told));
}

/** One value per vote, from vote 0 on, between 0 and 1; drawn as wide as `width` pixels. */
export function curve(title, values, width) {
  const [height, left, right, top, bottom] = [200, 46, 12, 10, 26];
  const last = Math.max(values.length - 1, 1);
  const most = Math.max(...values, 0) > 0.5 ? 1 : 0.5;
  const x = (vote) => left + ((width - left - right) * vote) / last;
  const y = (value) => top + (height - top - bottom) * (1 - value / most);
  const step = niceStep(last, width / 90);
  const marks = [];
  for (let vote = 0; vote <= last; vote += step) marks.push(svg("text", { x: x(vote), y: height - 8, "text-anchor": "middle" }, vote.toLocaleString("en")));
  for (const share of [0, 0.5, 1].map((part) => part * most)) {
    marks.push(svg("line", { x1: left, x2: width - right, y1: y(share), y2: y(share), class: "grid" }));
    marks.push(svg("text", { x: left - 8, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`));
  }
  // More points than pixels would only cost time.
  const every = Math.max(1, Math.floor(values.length / width));
  const points = values.flatMap((value, vote) => (vote % every && vote !== last ? [] : [`${x(vote).toFixed(1)} ${y(value).toFixed(1)}`]));
  const now = values.length ? `${percent(values.at(-1))} after ${values.length - 1} votes` : "no vote yet";
  const end = values.length ? svg("circle", { cx: x(values.length - 1), cy: y(values.at(-1)), r: 4 }) : null;
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img", "aria-label": `${title} by votes: ${now}` }, ...marks, svg("path", { d: `M${points.join("L")}` }), end);
  return make("figure", {}, make("figcaption", {}, make("strong", {}, title), ` ${now}`), drawn);
}

function niceStep(last, most) {
  const raw = last / Math.max(2, most);
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= raw) ?? 1;
}
