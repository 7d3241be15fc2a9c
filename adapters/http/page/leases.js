// The queries this person holds: the one on the screen first, a few more ahead, so that the next is there at once.

import { call } from "./client.js";

const AHEAD = 3;
const MOST = 20;
const GIVE_UP = 600;

/** `idle()`: seconds without a sign of life, after which leases are let go for others. `onGone()`: the first is gone. */
export class Leases {
  #session;
  #outbox;
  #idle;
  #onGone;
  #filling = null;
  #holding = false;
  #seen = new Map();
  #beat;
  open = [];
  progress = null;
  why = "";
  after = null;

  constructor(session, outbox, idle, onGone) {
    this.#session = session;
    this.#outbox = outbox;
    this.#idle = idle;
    this.#onGone = onGone;
    this.#beat = setInterval(() => this.#hold(), 3000);
  }

  get first() {
    return this.open[0] ?? null;
  }

  /** Whether more should be asked for. */
  get low() {
    return this.open.length < AHEAD;
  }

  /** Ask for what is missing; the one on the screen stays first while it is held. Throws Problem. */
  fill() {
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = null;
    });
    return this.#filling;
  }

  async #fill() {
    const { study, token } = this.#session;
    const n = Math.min(MOST, Math.max(AHEAD, this.open.length) + this.#outbox.waiting.length);
    const asked = Date.now();
    const answer = await call("POST", `/v1/studies/${study}/leases?html=true`, { token, body: { n } });
    const before = this.open.map((lease) => lease.lease);
    const place = (lease) => (before.includes(lease.lease) ? before.indexOf(lease.lease) : MOST);
    for (const lease of answer.leases) {
      lease.until = asked + 1000 * lease.seconds;
      this.#seen.set(lease.lease, lease);
    }
    // Of one that holds more than was asked for, the server does not tell all.
    const told = new Set(answer.leases.map((lease) => lease.lease));
    const untold = answer.leases.length < n ? [] : this.open.filter((lease) => !told.has(lease.lease) && !this.expired(lease));
    const held = [...answer.leases, ...untold].filter((lease) => !this.#outbox.has(lease.lease));
    this.open = held.sort((a, b) => place(a) - place(b));
    while (this.#seen.size > 2 * MOST) this.#seen.delete(this.#seen.keys().next().value);
    ({ progress: this.progress, why: this.why = "", retry_after: this.after = null } = answer);
    if (before.length && before[0] !== this.first?.lease) this.#onGone();
  }

  /** The first was voted on. */
  shift() {
    return this.open.shift();
  }

  /** A query whose vote was not sent is open again; false where this page does not have its texts. */
  putBack(id) {
    const lease = this.#seen.get(id);
    if (lease) this.putFirst(lease);
    return Boolean(lease);
  }

  putFirst(lease) {
    lease.until ??= Date.now() + 1000 * lease.seconds;
    this.#seen.set(lease.lease, lease);
    this.open = [lease, ...this.open.filter((other) => other.lease !== lease.lease)];
  }

  expired(lease) {
    return Date.now() > lease.until;
  }

  close() {
    clearInterval(this.#beat);
  }

  /** Hold on to what is held, at a third of its time, while somebody is there. */
  async #hold() {
    if (this.#holding || this.#idle() > GIVE_UP) return;
    this.#holding = true;
    for (const lease of [...this.open]) {
      if (lease.until - Date.now() > (2 / 3) * 1000 * lease.seconds) continue;
      const asked = Date.now();
      try {
        const beat = await call("POST", `/v1/leases/${lease.lease}/heartbeat`, { token: this.#session.token });
        lease.seconds = beat.seconds;
        lease.until = asked + 1000 * beat.seconds;
      } catch (error) {
        if (error.status !== 404 && error.status !== 410) continue;
        const wasFirst = lease === this.first;
        this.open = this.open.filter((other) => other !== lease);
        if (wasFirst) this.#onGone();
      }
    }
    this.#holding = false;
  }
}
