// Requests to the collector: with the key in a header, and refusals in the server's words.

import { key } from "./key.js";

/** What went wrong, in the server's words. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.name = "Refusal";
    this.status = status;
  }
}

/** Send a request; gives the response if it is 2xx or 304, else throws a Refusal. The path is relative. */
export async function send(path, { method = "GET", headers = {} } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (key() !== "") sent["X-API-Key"] = headerText(key());
  let response;
  try {
    response = await fetch(path, { method, headers: sent, cache: "no-store" });
  } catch {
    throw new Refusal("The server cannot be reached.", 0);
  }
  if (response.ok || response.status === 304) return response;
  const body = await response.json().catch(() => null);
  throw new Refusal(body?.detail ?? `The server answered ${response.status} without saying why.`, response.status);
}

/** Send a request and read its JSON body. */
export async function sendForJson(path, options) {
  return (await send(path, options)).json();
}

/** A path with query parameters; those that are null are left out. */
export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

/** Save a transcript as a file, under the name that the server gives it. */
export async function save(meeting, format) {
  const response = await send(`transcripts/by-id/${meeting.id}?format=${format}`, { headers: { Accept: "*/*" } });
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name ?? `transcript.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// A header carries bytes, written as one character each.
function headerText(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
