// The list of segments and the player: a line plays from its start, and the line that plays is marked.
//
// Everything a server or a file name says enters the page as text, never as markup.

import { clock } from "./subtitles.js";

export class TranscriptView {
  #list;
  #player;
  #hint;
  #segments = [];
  #lines = [];
  #current = null;
  #address = null;

  constructor({ list, player, hint }) {
    this.#list = list;
    this.#player = player;
    this.#hint = hint;
    list.addEventListener("click", (event) => {
      const line = event.target.closest("button");
      if (line !== null) this.#play(this.#lines.indexOf(line));
    });
    list.addEventListener("keydown", (event) => this.#walk(event));
    player.addEventListener("timeupdate", () => this.#mark());
    player.addEventListener("seeked", () => this.#mark());
    player.addEventListener("loadedmetadata", () => this.#findLength());
    player.addEventListener("error", () => this.#cannotPlay());
  }

  get segments() {
    return this.#segments;
  }

  /** The audio's length in seconds; null while, or because, the browser does not know it. */
  get duration() {
    return Number.isFinite(this.#player.duration) ? this.#player.duration : null;
  }

  /** Forget the lines and load another file into the player. */
  open(file) {
    this.clear();
    if (this.#address !== null) URL.revokeObjectURL(this.#address);
    this.#address = URL.createObjectURL(file);
    this.#player.hidden = false;
    this.#hint.textContent = "Click a line to play it.";
    this.#hint.classList.remove("bad");
    this.#player.src = this.#address;
  }

  clear() {
    this.#segments = [];
    this.#lines = [];
    this.#current = null;
    this.#list.replaceChildren();
  }

  add(segment) {
    this.#segments.push(segment);
    const line = document.createElement("button");
    line.type = "button";
    const time = document.createElement("span");
    time.className = "time";
    time.textContent = `${clock(segment.start, 1)} – ${clock(segment.end, 1)}`;
    const words = document.createElement("span");
    words.className = "words";
    words.dir = "auto";
    words.textContent = segment.text.trim();
    line.append(time, " ", words);
    const item = document.createElement("li");
    item.append(line);
    this.#lines.push(line);
    this.#list.append(item);
  }

  #play(index) {
    if (this.#player.hidden) return;
    this.#player.currentTime = this.#segments[index].start;
    // A refusal (no sound device, a policy of the browser) leaves the player at the right place.
    this.#player.play().catch(() => {});
  }

  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = this.#lines[this.#lines.indexOf(document.activeElement) + step];
    if (step === undefined || next === undefined) return;
    event.preventDefault();
    next.focus();
  }

  #mark() {
    const at = this.#player.currentTime;
    // 50 ms of grace: a player may stop a few samples before the place it was sent to
    const index = this.#segments.findLastIndex((segment) => segment.start <= at + 0.05);
    const line = index >= 0 && at < this.#segments[index].end ? this.#lines[index] : null;
    if (line === this.#current) return;
    this.#current?.removeAttribute("aria-current");
    line?.setAttribute("aria-current", "true");
    if (!this.#player.paused) line?.scrollIntoView({ block: "nearest" });
    this.#current = line;
  }

  // A recording of the browser's own does not say how long it is; a look past its end finds out.
  #findLength() {
    if (this.#player.duration !== Infinity) return;
    this.#player.addEventListener("durationchange", () => (this.#player.currentTime = 0), { once: true });
    this.#player.currentTime = Number.MAX_SAFE_INTEGER;
  }

  #cannotPlay() {
    if (!this.#player.hasAttribute("src")) return;
    this.#player.hidden = true;
    this.#hint.textContent = "This browser cannot play the file; the server may still read it.";
    this.#hint.classList.add("bad");
  }
}
