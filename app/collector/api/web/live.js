// What is being said in one meeting: by WebSocket, and by asking every two seconds while there is none.

import { send } from "./api.js";
import { key } from "./key.js";

const POLL_MS = 2000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Follow a meeting from `seq` on. `listener` has onSegments(list), onDrafts(speaker, list), onGone(ids),
 * onStatus(status), onState("live" | "polling") and onRefused(error).
 */
export class Follower {
  #meeting;
  #seq;
  #listener;
  #socket = null;
  #stopped = false;
  #subscribed = false;
  #pause_ms = FIRST_PAUSE_MS;
  #timers = { poll: 0, connect: 0 };
  #asking = null;
  #again = false;

  constructor(meeting, seq, listener) {
    this.#meeting = meeting;
    this.#seq = seq;
    this.#listener = listener;
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timers.poll);
    clearTimeout(this.#timers.connect);
    this.#socket?.close();
  }

  #connect() {
    const address = new URL("ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    if (key() !== "") address.searchParams.set("api_key", key()); // a browser's WebSocket cannot send headers
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ action: "subscribe", meetings: [this.#room()] }));
    socket.onmessage = (event) => this.#socket === socket && this.#frame(parsed(event.data));
    socket.onclose = () => this.#socket === socket && this.#closed();
    this.#schedulePoll(POLL_MS);
  }

  #room() {
    const { id, platform, native_meeting_id } = this.#meeting;
    return { platform, native_id: native_meeting_id, meeting_id: id, since_seq: this.#seq };
  }

  #closed() {
    if (this.#stopped) return;
    this.#subscribed = false;
    this.#listener.onState("polling");
    this.#timers.connect = setTimeout(() => this.#connect(), this.#pause_ms * (0.75 + Math.random() / 2));
    this.#pause_ms = Math.min(LONGEST_PAUSE_MS, this.#pause_ms * 2);
    this.#schedulePoll(0);
  }

  #frame(frame) {
    if (this.#stopped || frame === null) return;
    if (frame.type === "subscribed" && (frame.meetings ?? []).length > 0) {
      this.#subscribed = true;
      this.#pause_ms = FIRST_PAUSE_MS;
      this.#listener.onState("live");
      return;
    }
    if (frame.type === "error" || frame.type === "unsubscribed") { // of a deleted meeting: the next question is a 404
      this.#socket.close();
      return;
    }
    if (frame.meeting?.id !== this.#meeting.id) return;
    if (frame.seq <= this.#seq && frame.prev_seq < this.#seq) return; // an answer was faster
    if (frame.prev_seq > this.#seq) {
      this.#catchUp(); // something was lost on the way
      return;
    }
    if (frame.type === "transcript") {
      this.#listener.onSegments(frame.confirmed ?? []);
      this.#listener.onDrafts(frame.speaker ?? null, frame.pending ?? []);
    } else if (frame.type === "transcript_retract") {
      this.#listener.onGone(frame.segment_ids ?? []);
    } else if (frame.type === "meeting.status") {
      this.#listener.onStatus(frame.payload?.status);
    }
    if (frame.seq > this.#seq) this.#seq = frame.seq;
  }

  #schedulePoll(after_ms) {
    clearTimeout(this.#timers.poll);
    if (this.#stopped || this.#subscribed) return;
    this.#timers.poll = setTimeout(async () => {
      if (this.#subscribed) return;
      if (!document.hidden) await this.#catchUp();
      this.#schedulePoll(POLL_MS);
    }, after_ms);
  }

  /** Ask for what changed; a question that is under way may be too early, so it is asked again. */
  #catchUp() {
    this.#again = this.#asking !== null;
    this.#asking ??= this.#askUntilDone().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #askUntilDone() {
    do {
      this.#again = false;
      await this.#ask();
    } while (this.#again && !this.#stopped);
  }

  async #ask() {
    try {
      const path = `transcripts/by-id/${this.#meeting.id}?pending=true&since_seq=${this.#seq}`;
      const response = await send(path, { headers: { "If-None-Match": `W/"${this.#meeting.id}-${this.#seq}"` } });
      if (response.status === 304 || this.#stopped) return;
      const body = await response.json();
      if (this.#stopped || body.seq < this.#seq) return;
      this.#listener.onSegments(body.segments);
      this.#listener.onStatus(body.status);
      this.#seq = body.seq;
    } catch (error) {
      if (this.#stopped) return;
      this.#listener.onRefused(error);
      clearTimeout(this.#timers.poll);
      this.#timers.poll = setTimeout(() => this.#catchUp(), POLL_MS); // also while the socket is open
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
