// Search: hits with the words marked; each leads to its segment.

import { sendForJson, withQuery } from "./api.js";
import { walk } from "./meetings.js";
import { day, element, snippetNodes, titleOf } from "./text.js";

export class Search {
  #list;
  #more;
  #listener;
  #words = "";
  #cursor = null;
  #turn = 0;

  /** `listener` has onHit(meetingId, segmentId), onCount(n, more) and onRefused(error). */
  constructor({ list, more, listener }) {
    this.#list = list;
    this.#more = more;
    this.#listener = listener;
    more.addEventListener("click", () => !list.hidden && this.#read());
    list.addEventListener("keydown", walk);
  }

  async start(words) {
    this.#words = words;
    this.#cursor = null;
    this.#list.replaceChildren();
    await this.#read();
  }

  async #read() {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const body = await sendForJson(withQuery("search", { q: this.#words, limit: 20, cursor: this.#cursor }));
      if (turn !== this.#turn) return; // other words were asked for meanwhile
      this.#cursor = body.next_cursor;
      this.#list.append(...body.hits.map((hit) => this.#line(hit)));
      this.#more.hidden = this.#cursor === null || this.#list.hidden;
      this.#listener.onCount(this.#list.childElementCount, this.#cursor !== null);
    } catch (error) {
      if (turn === this.#turn) this.#listener.onRefused(error);
    }
  }

  #line({ meeting, segment, snippet }) {
    const button = document.createElement("button");
    button.type = "button";
    const words = element("span", "words", "");
    words.dir = "auto";
    words.append(...snippetNodes(snippet));
    const said = [segment.speaker ?? "Unknown", titleOf(meeting), day(segment.absolute_start_time)].join(" · ");
    button.append(words, " ", element("span", "", said));
    button.addEventListener("click", () => this.#listener.onHit(meeting.id, segment.segment_id));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }
}
