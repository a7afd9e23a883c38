// Server-sent events from text that arrives in arbitrary pieces.
//
// The browser's EventSource can neither POST nor show comments, and comments carry the progress.
// Source: WHATWG HTML, "Server-sent events", interpretation of an event stream.

export class EventParser {
  #rest = "";
  #data = [];
  #onData;
  #onComment;

  /** `onData(text)` for every event, `onComment(text)` for every comment line. */
  constructor({ onData, onComment }) {
    this.#onData = onData;
    this.#onComment = onComment;
  }

  /** Read another piece; an incomplete line waits for the next one. */
  push(piece) {
    // a CR at the very end may be the first half of CRLF: it waits, so that it is not read as two line ends
    const text = this.#rest + piece;
    const held = text.endsWith("\r") ? 1 : 0;
    const lines = text.slice(0, text.length - held).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + text.slice(text.length - held);
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    if (line === "") {
      if (this.#data.length > 0) this.#onData(this.#data.join("\n"));
      this.#data = [];
    } else if (line.startsWith(":")) {
      this.#onComment(line.slice(1).trim());
    } else if (line.startsWith("data:")) {
      this.#data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
    }
  }
}
