// What two texts do not share, word by word: the rules of the terminal's voting screen (tui/difference.py).

// A word; a character of a script without blanks between words; or a run of one sign.
const WORD = /[\u3040-\u30ff\u3400-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u9fff])[\p{L}\p{N}_])+(?:['’][\p{L}_]+)?|([^\p{L}\p{N}_\s])\1*/gu;

// The work grows with the number of equal pairs of words; above this, some three thousand words, nothing is marked.
const MOST_WORK = 250_000;
const LEAST_SHARED = 0.35;

/** The spans [start, end) of each text that the other has not, and the share of words they have in common. */
export function difference(left, right) {
  const texts = [left, right];
  const words = texts.map((text) => Array.from(text.matchAll(WORD), (match) => ({ word: match[0], at: match.index })));
  const same = words.map((list) => new Uint8Array(list.length));
  for (const [i, j, size] of withoutIslands(match(...words.map((list) => list.map(({ word }) => word))), words)) {
    same[0].fill(1, i, i + size);
    same[1].fill(1, j, j + size);
  }
  const total = words[0].length + words[1].length;
  const shared = total ? (sum(same[0]) + sum(same[1])) / total : 1;
  const [ours, theirs] = texts.map((text, side) => spans(text, words[side], same[side]));
  return { left: ours, right: theirs, shared };
}

/** Mark the differing words of two elements. Whether marks help: texts with little in common would be marked throughout. */
export function markDifference(left, right) {
  const found = difference(left.textContent, right.textContent);
  if (found.shared < LEAST_SHARED) return false;
  wrap(left, found.left);
  wrap(right, found.right);
  return true;
}

function wrap(element, marks) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  let offset = 0;
  let next = 0;
  for (const text of texts) {
    const end = offset + text.length;
    const pieces = document.createDocumentFragment();
    let at = offset;
    while (next < marks.length && marks[next][0] < end) {
      const [from, to] = [Math.max(marks[next][0], offset), Math.min(marks[next][1], end)];
      const marked = document.createElement("span");
      marked.className = "differs";
      marked.textContent = text.data.slice(from - offset, to - offset);
      pieces.append(text.data.slice(at - offset, from - offset), marked);
      at = to;
      if (marks[next][1] > end) break;
      next += 1;
    }
    if (at > offset) {
      pieces.append(text.data.slice(at - offset));
      text.replaceWith(pieces);
    }
    offset = end;
  }
}

const sum = (list) => list.reduce((total, one) => total + one, 0);

/** Drop equal runs no longer than the differences on both their sides: a shared "of the" in two sentences that say
 * different things would only make the marks hard to read. */
function withoutIslands(found, words) {
  const lengths = words.map((list) => {
    const sums = [0];
    for (const { word } of list) sums.push(sums.at(-1) + word.length);
    return sums;
  });
  const gap = (a, b) => Math.max(...[0, 1].map((side) => lengths[side][b[side]] - lengths[side][a[side] + a[2]]));
  const last = [words[0].length, words[1].length, 0];
  const left = [[0, 0, 0]];
  found.forEach((block, place) => {
    const size = lengths[0][block[0] + block[2]] - lengths[0][block[0]];
    const least = Math.min(gap(left.at(-1), block), gap(block, found[place + 1] ?? last));
    if (!(size > 0 && size <= least)) left.push(block);
  });
  return left;
}

/** Equal runs, in order: the longest, and so on to its left and its right (Ratcliff and Obershelp, 1988). */
function match(ours, theirs) {
  const places = new Map();
  theirs.forEach((word, j) => {
    if (!places.has(word)) places.set(word, []);
    places.get(word).push(j);
  });
  if (sum(ours.map((word) => places.get(word)?.length ?? 0)) > MOST_WORK) return [];
  const found = [];
  const open = [[0, ours.length, 0, theirs.length]];
  while (open.length) {
    const [low, high, from, to] = open.pop();
    let best = [low, from, 0];
    let runs = new Map();
    for (let i = low; i < high; i += 1) {
      const longer = new Map();
      for (const j of places.get(ours[i]) ?? []) {
        if (j < from) continue;
        if (j >= to) break;
        const size = (runs.get(j - 1) ?? 0) + 1;
        longer.set(j, size);
        if (size > best[2]) best = [i - size + 1, j - size + 1, size];
      }
      runs = longer;
    }
    const [i, j, size] = best;
    if (!size) continue;
    found.push(best);
    open.push([low, i, from, j], [i + size, high, j + size, to]);
  }
  found.sort((a, b) => a[0] - b[0]);
  const joined = [];
  for (const [i, j, size] of found) {
    const before = joined.at(-1);
    if (before && before[0] + before[2] === i && before[1] + before[2] === j) before[2] += size;
    else joined.push([i, j, size]);
  }
  return joined;
}

/** The differing words as spans; neighbours become one with the blank between them. */
function spans(text, words, same) {
  const found = [];
  words.forEach(({ word, at }, place) => {
    if (same[place]) return;
    const before = found.at(-1);
    if (before && /^ ?$/.test(text.slice(before[1], at))) before[1] = at + word.length;
    else found.push([at, at + word.length]);
  });
  return found;
}
