// Votes on their way: in this browser's storage first, then at the server, each under a key of its own, so that
// sending one again can never make two of it.

import { call, freshKey, kept } from "./client.js";

const REMEMBERED = 50;
const LONGEST_PAUSE = 30;

/** Sends in order. `onReceipt(entry, receipt)`, `onLost(entry, problem)`, `onChange()`. */
export class Outbox {
  #name;
  #token;
  #tell;
  #sending = null;
  #timer = 0;
  #failures = 0;
  #memory = null;
  problem = null;

  constructor({ study, judge, token }, tell) {
    this.#name = `elicit.outbox.${study}.${judge}`;
    this.#token = token;
    this.#tell = tell;
    addEventListener("online", this.#retry);
  }

  get #state() {
    return this.#memory ?? { waiting: [], lost: [], voted: [], ...kept.get(this.#name) };
  }

  #save(state) {
    // Where the browser keeps nothing, this page's memory is all there is.
    this.#memory = kept.set(this.#name, state) ? null : state;
  }

  get waiting() {
    return this.#state.waiting;
  }

  get lost() {
    return this.#state.lost;
  }

  /** Whether votes are kept only as long as this page is open. */
  get fleeting() {
    return this.#memory !== null;
  }

  /** Whether a vote on this lease was given, in whichever tab. */
  has(lease) {
    const { waiting, lost, voted } = this.#state;
    return voted.includes(lease) || [...waiting, ...lost].some((entry) => entry.cast.lease === lease);
  }

  add(cast, number) {
    const state = this.#state;
    state.waiting.push({ key: freshKey(), cast, number, tried: false });
    this.#save(state);
    this.#tell.onChange();
    this.send();
  }

  /** Take the newest vote back, if it cannot have reached the server yet; its entry, or null. */
  takeBack() {
    const state = this.#state;
    if (!state.waiting.length || state.waiting.at(-1).tried) return null;
    const entry = state.waiting.pop();
    this.#save(state);
    this.#tell.onChange();
    return entry;
  }

  /** The person has read what could not be counted. */
  forgetLost() {
    this.#save({ ...this.#state, lost: [] });
    this.#tell.onChange();
  }

  #retry = () => this.send();

  close() {
    clearTimeout(this.#timer);
    removeEventListener("online", this.#retry);
  }

  /** Send what waits; resolves when nothing is left, or when a pause is needed. */
  send() {
    clearTimeout(this.#timer);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #sendAll() {
    for (let state = this.#state; state.waiting.length; state = this.#state) {
      const [entry] = state.waiting;
      entry.tried = true;
      this.#save(state);
      let receipt = null;
      let problem = null;
      try {
        receipt = await call("POST", "/v1/votes", { token: this.#token, body: entry.cast, key: entry.key });
      } catch (error) {
        problem = error;
      }
      // A token that opens nothing says nothing about the vote: it waits for a token that does.
      this.problem = problem?.passing || problem?.status === 401 ? problem : null;
      if (this.problem) {
        this.#pause();
        return;
      }
      this.#failures = 0;
      this.#settle(entry, receipt, problem);
    }
  }

  #settle(entry, receipt, problem) {
    const after = this.#state;
    after.waiting = after.waiting.filter((other) => other.key !== entry.key);
    if (receipt) after.voted = [...after.voted, entry.cast.lease].slice(-REMEMBERED);
    else after.lost.push({ ...entry, why: problem.message });
    this.#save(after);
    this.#tell.onChange();
    if (receipt) this.#tell.onReceipt(entry, receipt);
    else this.#tell.onLost(entry, problem);
  }

  #pause() {
    this.#failures += 1;
    const pause = Math.max(this.problem.after ?? 0, Math.min(LONGEST_PAUSE, 2 ** (this.#failures - 1)));
    // Many pages that lost the same server should not all come back at once.
    if (this.problem.passing) this.#timer = setTimeout(this.#retry, 1000 * pause * (0.75 + Math.random() / 2));
    this.#tell.onChange();
  }
}
