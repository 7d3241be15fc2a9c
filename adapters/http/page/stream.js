// Server-sent events by fetch: EventSource cannot send a token.

import { call } from "./client.js";

const LONGEST_PAUSE = 30;

export const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

/** Each event after `last`, for ever; comes back by itself and misses none. `onLink(problem)`: null when connected. */
export async function follow(path, token, last, signal, onEvent, onLink) {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": last };
      const read = async (answer) => {
        onLink(null);
        failures = 0;
        for await (const [id, data] of blocks(answer.body)) {
          last = id ?? last;
          onEvent(data);
        }
      };
      await call("GET", path, { token, headers, signal, read });
    } catch (problem) {
      if (signal.aborted) return;
      onLink(problem);
      if (problem.status === 401) return;
    }
    await wait(Math.min(LONGEST_PAUSE, 2 ** failures) * (0.75 + Math.random() / 2));
  }
}

async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const found = (rest + value.replaceAll("\r", "")).split("\n\n");
    rest = found.pop();
    for (const block of found) {
      const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line) ?? []);
      const values = (name) => fields.filter((field) => field[1] === name).map((field) => field[2]);
      const data = values("data").join("\n");
      if (data) yield [values("id").at(-1), JSON.parse(data)];
    }
  }
}
