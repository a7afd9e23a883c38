// The list of meetings, newest first, looked up again every few seconds while somebody looks.

import { sendForJson, withQuery } from "./api.js";
import { element, factsOf, isOver, titleOf } from "./text.js";

const PAUSE_MS = 5000;
const PAGE = 50;

export class MeetingList {
  #list;
  #more;
  #listener;
  #rest = []; // pages after the first
  #cursor = null;
  #shown = "";
  #current = null;
  #timer = 0;

  /** `listener` has onChosen(meeting), onCount(n) and onRefused(error). */
  constructor({ list, more, listener }) {
    this.#list = list;
    this.#more = more;
    this.#listener = listener;
    more.addEventListener("click", () => this.#readMore());
    list.addEventListener("keydown", walk);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  async refresh() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    try {
      const body = await sendForJson(withQuery("meetings", { limit: PAGE }));
      if (this.#rest.length === 0) this.#cursor = body.next_cursor;
      this.#show(body.meetings);
    } catch (error) {
      this.#listener.onRefused(error);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), PAUSE_MS);
  }

  /** Mark the meeting that is read. */
  mark(id) {
    this.#current = id;
    for (const button of this.#list.querySelectorAll("button")) {
      if (button.dataset.id === String(id)) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  async #readMore() {
    try {
      const body = await sendForJson(withQuery("meetings", { limit: PAGE, cursor: this.#cursor }));
      this.#rest.push(...body.meetings);
      this.#cursor = body.next_cursor;
      await this.refresh();
    } catch (error) {
      this.#listener.onRefused(error);
    }
  }

  #show(first) {
    const known = new Set(first.map((meeting) => meeting.id));
    const all = [...first, ...this.#rest.filter((meeting) => !known.has(meeting.id))];
    const meetings = all.filter((meeting) => meeting.native_meeting_id !== null); // the others are deleted
    this.#listener.onCount(meetings.length);
    this.#more.hidden = this.#cursor === null || this.#list.hidden;
    const state = JSON.stringify(meetings);
    if (state === this.#shown) return; // the focus stays where it is
    this.#shown = state;
    const focused = this.#list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    this.#list.replaceChildren(...meetings.map((meeting) => this.#line(meeting)));
    this.mark(this.#current);
    if (focused !== null) this.#list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  #line(meeting) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.id = meeting.id;
    const status = element("span", isOver(meeting) ? "" : "on", isOver(meeting) ? meeting.status : "going on");
    button.append(element("strong", "", titleOf(meeting)), " ", element("span", "", factsOf(meeting)), " ", status);
    button.addEventListener("click", () => this.#listener.onChosen(meeting.id));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }
}

/** Arrow keys go through the buttons of a list. */
export function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  if (step === undefined || next === undefined) return;
  event.preventDefault();
  next.focus();
}
