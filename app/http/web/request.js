// One transcription request: upload, then segments and progress as they come.
//
// XMLHttpRequest, because fetch() tells nothing about an upload under way. An answer that is not a
// stream (a proxy or an older server) is read as one body with all its segments.

import { EventParser } from "./sse.js";

const URL_PATH = "v1/audio/transcriptions"; // relative: the page may live under a proxy's path
const RETRY_AFTER_S = 2; // when a busy answer does not say

/** What went wrong, in the server's words; `retryAfterS` is there when the same request may be sent again. */
export class RequestError extends Error {
  constructor(message, { status = 0, retryAfterS = null } = {}) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Transcribe a file.
 *
 * `fields` are the form's fields beside the file; `key` is "" on an open server. `listener` has
 * onUpload(share), onSent(), onSegment({id, start, end, text}) and onProgress({done_s, total_s, eta_s}).
 * Gives {text, language, duration}; what the server did not tell is null.
 * Throws RequestError, or an AbortError once `signal` aborts: the server then stops the work.
 */
export function transcribe(file, fields, { key, signal, listener }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const answer = new Answer(listener);
    let n_read = 0;

    const read = () => {
      if (xhr.status === 200 && isStream(xhr)) {
        const text = xhr.responseText;
        answer.push(text.slice(n_read));
        n_read = text.length;
      }
    };
    const settle = (work) => {
      try {
        work();
      } catch (error) {
        reject(error);
        xhr.abort();
      }
    };

    xhr.open("POST", URL_PATH);
    xhr.setRequestHeader("Accept", "text/event-stream, application/json");
    if (key !== "") xhr.setRequestHeader("Authorization", `Bearer ${headerText(key)}`);
    xhr.upload.onprogress = (event) => event.lengthComputable && listener.onUpload(event.loaded / event.total);
    xhr.upload.onload = () => listener.onSent();
    xhr.onprogress = () => settle(read);
    xhr.onload = () =>
      settle(() => {
        if (xhr.status !== 200) throw refusal(xhr);
        read();
        resolve(isStream(xhr) ? answer.end() : answer.whole(parsed(xhr.responseText)));
      });
    xhr.onerror = () => reject(new RequestError("The server cannot be reached, or the connection broke off."));
    xhr.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => xhr.abort(), { once: true });

    xhr.send(form(file, fields));
  });
}

class Answer {
  #listener;
  #parser;
  #deltas = [];
  #done = null;
  #total_s = null;
  #n_segments = 0;

  constructor(listener) {
    this.#listener = listener;
    this.#parser = new EventParser({
      onData: (data) => this.#event(data),
      onComment: (comment) => this.#comment(comment),
    });
  }

  push(text) {
    this.#parser.push(text);
  }

  end() {
    this.#parser.push("\n\n"); // the last event, even when its blank line is missing
    if (this.#done === null) throw new RequestError("The connection ended before the transcript was complete.");
    return {
      text: this.#done.text ?? this.#deltas.join(""),
      language: this.#done.languages?.[0]?.code ?? null,
      duration: this.#total_s,
    };
  }

  whole(body) {
    if (typeof body?.text !== "string") throw new RequestError("The server's answer could not be read.");
    for (const segment of body.segments ?? []) this.#segment(segment, segment.text);
    return { text: body.text, language: body.language ?? null, duration: body.duration ?? null };
  }

  #event(data) {
    if (data === "[DONE]") return;
    const event = parsed(data);
    if (event?.error) throw new RequestError(event.error.message ?? "The server failed.");
    if (event?.type === "transcript.text.delta") {
      this.#deltas.push(event.delta);
      if (event.segment) this.#segment(event.segment, event.segment.text ?? event.delta);
    } else if (event?.type === "transcript.text.done") {
      this.#done = event;
    }
  }

  #comment(comment) {
    const progress = comment.startsWith("progress ") ? parsed(comment.slice("progress ".length)) : null;
    if (progress === null) return;
    this.#total_s = progress.total_s ?? null;
    this.#listener.onProgress(progress);
  }

  #segment({ id, start, end }, text) {
    this.#listener.onSegment({ id: id ?? this.#n_segments, start, end, text });
    this.#n_segments += 1;
  }
}

function form(file, fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append("file", file, file.name); // last: the server knows what is asked before the long part
  return body;
}

// A header carries bytes, written as one character each; the server compares the UTF-8 of a key.
function headerText(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function isStream(xhr) {
  return (xhr.getResponseHeader("Content-Type") ?? "").startsWith("text/event-stream");
}

function refusal(xhr) {
  const message = parsed(xhr.responseText)?.error?.message;
  const options = { status: xhr.status };
  if (xhr.status === 503 || xhr.status === 429) {
    const asked = Number.parseInt(xhr.getResponseHeader("Retry-After") ?? "", 10);
    options.retryAfterS = Number.isFinite(asked) && asked >= 0 ? asked : RETRY_AFTER_S;
  }
  return new RequestError(message ?? `The server answered ${xhr.status} without saying why.`, options);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
