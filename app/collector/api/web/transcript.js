// The lines of one meeting, merged by segment_id, in the order in which they were said.
//
// Everything a server says enters the page as text, never as markup.

import { clock, element } from "./text.js";

const VOICES = 6;

export class TranscriptView {
  #list;
  #lastFinal;
  #lines = new Map(); // by segment_id: {segment, item, at}
  #order = []; // the same lines, as they are shown
  #voices = new Map();
  #start_ms = 0;

  constructor({ list, lastFinal }) {
    this.#list = list;
    this.#lastFinal = lastFinal;
  }

  get count() {
    return this.#order.length;
  }

  /** Forget everything; times are shown since `start_ms`. */
  clear(start_ms) {
    this.#lines.clear();
    this.#order = [];
    this.#voices.clear();
    this.#start_ms = start_ms;
    this.#list.replaceChildren();
    this.#lastFinal.textContent = "";
  }

  /** Add or replace segments; `announce`: tell the last final to who cannot see it. */
  merge(segments, { announce = false } = {}) {
    const follow = this.#isAtEnd();
    let spoken = null;
    for (const segment of segments) {
      if (segment.deleted === true || segment.hidden_by !== undefined) this.#remove(idOf(segment));
      else if (this.#put(segment) && segment.completed) spoken = segment;
    }
    if (announce && spoken !== null) this.#lastFinal.textContent = [spoken.speaker, spoken.text].filter(Boolean).join(": ");
    if (announce && follow) this.#order.at(-1)?.item.scrollIntoView({ block: "nearest" });
  }

  /** Replace the drafts of one speaker. */
  setDrafts(speaker, drafts) {
    const kept = new Set(drafts.map(idOf));
    for (const { segment } of [...this.#order]) {
      if (!segment.completed && segment.speaker === speaker && !kept.has(idOf(segment))) this.#remove(idOf(segment));
    }
    this.merge(drafts, { announce: true });
  }

  remove(ids) {
    for (const id of ids) this.#remove(id);
  }

  /** Go to a segment and mark it; false if it is not here. */
  jump(id) {
    this.#list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    const line = this.#lines.get(id);
    if (line === undefined) return false;
    line.item.setAttribute("aria-current", "true");
    line.item.focus({ preventScroll: true });
    line.item.scrollIntoView({ block: "center" });
    return true;
  }

  #put(segment) {
    const id = idOf(segment);
    const known = this.#lines.get(id);
    if (known !== undefined) {
      // frames and answers may cross: what is older than what is shown is no news
      if ((segment.seq ?? Infinity) < (known.segment.seq ?? 0)) return false;
      if (known.segment.completed && !segment.completed) return false;
      if (known.segment.completed && known.segment.text === segment.text && known.segment.speaker === segment.speaker) {
        known.segment = segment;
        return false;
      }
    }
    if (known !== undefined) this.#remove(id);
    const line = { segment, item: this.#render(segment), at: Date.parse(segment.absolute_start_time) };
    const place = this.#placeOf(line);
    this.#order.splice(place, 0, line);
    this.#lines.set(id, line);
    this.#list.insertBefore(line.item, this.#order[place + 1]?.item ?? null);
    this.#group(place);
    this.#group(place + 1);
    return true;
  }

  #remove(id) {
    const line = this.#lines.get(id);
    if (line === undefined) return;
    const place = this.#order.indexOf(line);
    this.#order.splice(place, 1);
    this.#lines.delete(id);
    line.item.remove();
    this.#group(place);
  }

  #placeOf(line) {
    let place = this.#order.length; // what comes is nearly always the newest
    while (place > 0 && before(line, this.#order[place - 1])) place -= 1;
    return place;
  }

  // the name stands once above the lines that one person says in a row
  #group(place) {
    const line = this.#order[place];
    line?.item.classList.toggle("same", place > 0 && this.#order[place - 1].segment.speaker === line.segment.speaker);
  }

  #render(segment) {
    const item = document.createElement("li");
    item.tabIndex = -1;
    item.classList.toggle("draft", !segment.completed);
    const speaker = element("span", "speaker", segment.speaker ?? "Unknown");
    speaker.classList.add(`voice-${this.#voiceOf(segment.speaker)}`);
    const at = element("time", "", clock((Date.parse(segment.absolute_start_time) - this.#start_ms) / 1000));
    at.dateTime = segment.absolute_start_time;
    at.title = new Date(segment.absolute_start_time).toLocaleString();
    const words = element("span", "words", segment.text.trim());
    words.dir = "auto";
    item.append(speaker, " ", at, " ", words);
    return item;
  }

  #voiceOf(speaker) {
    if (!this.#voices.has(speaker)) this.#voices.set(speaker, this.#voices.size % VOICES);
    return this.#voices.get(speaker);
  }

  #isAtEnd() {
    const page = document.documentElement;
    return page.scrollHeight - page.scrollTop - page.clientHeight < 120;
  }
}

// Drafts of some producers have no id: their speaker and start stand for it.
function idOf(segment) {
  return segment.segment_id ?? `draft:${segment.speaker}:${segment.start}`;
}

function before(one, other) {
  if (one.at !== other.at) return one.at < other.at;
  if (one.segment.start !== other.segment.start) return one.segment.start < other.segment.start;
  return idOf(one.segment) < idOf(other.segment);
}
