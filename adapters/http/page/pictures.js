// The pictures of pairs: fetched with the token, shown in their panes, and enlarged over the page.

import { $, call, make, sentence } from "./client.js";

const MOST = 24;
const STEP = 1.5;
const LARGEST = 10;

export class Pictures {
  #token;
  #coming = new Map();

  constructor(token) {
    this.#token = token;
  }

  /** The address of a picture in this page. */
  of(lease, side) {
    const path = `/v1/leases/${lease.lease}/images/${side}`;
    if (!this.#coming.has(path)) {
      const coming = call("GET", path, { token: this.#token, read: (answer) => answer.blob() }).then(URL.createObjectURL);
      coming.catch(() => this.#coming.delete(path));
      this.#coming.set(path, coming);
      for (const old of [...this.#coming.keys()].slice(0, -MOST)) this.#forget(old);
    }
    return this.#coming.get(path);
  }

  #forget(path) {
    this.#coming.get(path).then(URL.revokeObjectURL, () => {});
    this.#coming.delete(path);
  }

  close() {
    for (const path of [...this.#coming.keys()]) this.#forget(path);
  }

  /** Put a picture before a text. `loaded` is told when its size is known. */
  async show(lease, side, target, loaded) {
    const picture = make("img", { alt: `picture on the ${side}`, load: loaded });
    const button = make("button", { type: "button", class: "picture", "aria-label": `Enlarge the picture on the ${side}`, click: () => this.enlarge(lease, side) }, picture);
    target.prepend(button);
    try {
      picture.src = await this.of(lease, side);
    } catch (error) {
      button.replaceWith(make("p", { class: "hint" }, `The picture on the ${side} did not come: ${sentence(error.message)}`));
    }
  }

  /** Over the whole page; + and - change its size, Space shows the other one at the same place. */
  async enlarge(lease, side) {
    const sheet = $("picture");
    const picture = make("img");
    const frame = make("div", { class: "frame", tabindex: "0", role: "region" }, picture);
    const name = make("h2");
    let scale = 1;
    const size = (to) => {
      scale = Math.min(LARGEST, Math.max(1, to));
      const { clientWidth: width, clientHeight: height } = frame;
      const fit = Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
      const [at, place] = [frame.getBoundingClientRect(), picture.getBoundingClientRect()];
      // What is in the middle stays there.
      const x = (at.left + width / 2 - place.left) / (place.width || 1);
      const y = (at.top + height / 2 - place.top) / (place.height || 1);
      picture.style.width = `${picture.naturalWidth * fit * scale}px`;
      frame.scrollTo(x * picture.clientWidth - width / 2, y * picture.clientHeight - height / 2);
    };
    const draw = async () => {
      name.textContent = { left: "◀ Left", right: "Right ▶" }[side];
      picture.alt = `picture on the ${side}, enlarged`;
      frame.ariaLabel = picture.alt;
      picture.src = await this.of(lease, side);
    };
    const other = { left: "right", right: "left" };
    const acts = {
      "+": () => size(scale * STEP),
      "-": () => size(scale / STEP),
      " ": () => {
        if (!lease.images.includes(other[side])) return;
        side = other[side];
        draw();
      },
    };
    const button = (key, words) => make("button", { type: "button", "aria-keyshortcuts": key === " " ? "Space" : key, click: acts[key] }, words);
    picture.onload = () => size(scale);
    picture.onclick = () => size(scale > 1 ? 1 : STEP ** 2);
    sheet.onkeydown = (event) => {
      const act = acts[event.key === "=" ? "+" : event.key];
      if (!act || (event.key === " " && event.target.closest("button"))) return;
      act();
      event.preventDefault();
    };
    const ends = [button("+", "Larger"), button("-", "Smaller"), lease.images.length > 1 ? button(" ", "The other one") : null];
    sheet.replaceChildren(make("form", { method: "dialog" }, name, frame, make("p", { class: "ends" }, ...ends, make("button", { class: "main" }, "Close"))));
    sheet.showModal();
    frame.focus();
    await draw();
  }
}
