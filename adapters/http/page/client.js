// What both pages share: who is asking, how the server is asked, and the little that is kept in this browser.

const PATIENCE = 20_000;

/** The server said no, or (status 0) nothing at all. `after`: seconds until asking again may help. */
export class Problem extends Error {
  constructor(status, detail, after = null) {
    super(detail);
    this.status = status;
    this.after = after;
  }

  /** Whether the same again may go well: no answer, too fast, or the server is in trouble. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

async function problem(answer) {
  const { detail } = await answer.json().catch(() => ({}));
  const after = Number.parseFloat(answer.headers.get("Retry-After"));
  return new Problem(answer.status, detail || `The server answered ${answer.status}`, after >= 0 ? after : null);
}

/** Ask and read the answer: JSON, or what `read` makes of the response. Throws Problem alone. */
export async function call(method, path, { token, body, key, headers = {}, signal = AbortSignal.timeout(PATIENCE), read } = {}) {
  const sent = { ...headers };
  if (token) sent.Authorization = `Bearer ${token}`;
  if (key) sent["Idempotency-Key"] = key;
  if (body) sent["Content-Type"] = "application/json";
  try {
    const answer = await fetch(path, { method, headers: sent, body: body && JSON.stringify(body), signal, cache: "no-store" });
    if (!answer.ok) throw await problem(answer);
    if (read) return await read(answer);
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0, "The server does not answer");
  }
}

/** What the link that opened this page carries, taken out of the address bar and the next screenshot. A reload finds it
 *  again until it has been `settled`. */
export function opened() {
  const found = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (!found.token && !found.invite) return history.state ?? {};
  history.replaceState(found, "", location.pathname);
  return found;
}

/** The link has done what it was for, or never will. */
export const settled = () => history.replaceState(null, "");

// A second link opened in this tab changes the fragment alone.
addEventListener("hashchange", () => {
  if (/[#&](token|invite)=/.test(location.hash)) location.reload();
});

/** JSON in this browser; `set` tells whether there was room. */
export const kept = {
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(name));
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};

/** A key nobody else has; crypto.randomUUID is there on https alone. */
export function freshKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; text is text, never HTML. */
export function make(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

export function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Words from elsewhere as one sentence: a capital first, a full stop last. */
export function sentence(text) {
  const line = text.trim().replace(/\s+/g, " ");
  return line && line[0].toUpperCase() + line.slice(1) + (/[.!?…]$/.test(line) ? "" : ".");
}

export const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
