// A voter's time: active seconds and what is left, from a clock that stops when nobody is there.

const LONGEST_GAP = 60;
const GUARD = 0.25;
// Votes from which on a time is told.
const FEWEST = 3;

const now = () => performance.now() / 1000;
const range = (low, high) => (low === high ? `${low}` : low ? `${low}–${high}` : `up to ${high}`);

export class Pace {
  #last = now();
  #painted = now();
  #ballot = 0;
  #votes = [];

  /** A sign of life: the time since the last one counts, up to the longest gap. */
  touch() {
    this.#ballot += Math.min(now() - this.#last, LONGEST_GAP);
    this.#last = now();
  }

  /** A pair has come on the screen; `again`: the same one, from behind something else. */
  painted(again = false) {
    this.#painted = now();
    if (again) return;
    this.#last = this.#painted;
    this.#ballot = 0;
  }

  /** Whether the pair has only just come: a vote now is taken for a slip of the finger. */
  get tooSoon() {
    return now() - this.#painted < GUARD;
  }

  get idle() {
    return now() - this.#last;
  }

  get seconds() {
    return Math.round(1000 * this.#ballot) / 1000;
  }

  voted(seconds) {
    this.#votes.push(seconds);
  }

  tookBack() {
    this.#votes.pop();
  }

  /** Mean active seconds for a vote, since what is left takes so many times as long. */
  get #each() {
    const times = this.#votes;
    return times.length < FEWEST ? null : times.reduce((sum, seconds) => sum + seconds, 0) / times.length;
  }

  /** How much more there is, in words: "about 16 more votes (9–25), 3–8 min". */
  toGo(progress) {
    if (progress.ended) return "nothing more to vote on";
    if (progress.stop) return "enough votes";
    if (!progress.left) return "learning how long this takes";
    const [low, middle, high] = progress.left;
    const more = `${middle} more ${middle === 1 ? "vote" : "votes"}`;
    const votes = low === high ? more : `about ${more} (${range(low, high)})`;
    const each = this.#each;
    return each === null ? votes : `${votes}, ${duration(low * each, high * each)}`;
  }
}

function duration(low, high) {
  if (high < 45) return "under 1 min";
  if (high < 90 * 60) return `${range(Math.round(low / 60), Math.max(1, Math.round(high / 60)))} min`;
  return `${range(Math.round(low / 3600), Math.max(1, Math.round(high / 3600)))} h`;
}
