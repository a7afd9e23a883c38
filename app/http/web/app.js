// The page: a file or a recording goes to the server, segments come back, and are saved as a file.

import { described, watchHealth } from "./health.js";
import { askForKey, key, wireKey } from "./key.js";
import { Progress } from "./progress.js";
import { Recording } from "./recorder.js";
import { RequestError, transcribe } from "./request.js";
import { clock, MEDIA_TYPES, render } from "./subtitles.js";
import { TranscriptView } from "./transcript.js";

const $ = (id) => document.getElementById(id);
const MAX_TRIES = 60; // a server that is busy for so long needs a person, not another try

const maxUploadBytes = Number(document.body.dataset.maxUploadBytes);
const view = new TranscriptView({ list: $("segments"), player: $("player"), hint: $("player-hint") });
const hurry = watchHealth(showHealth);

let file = null;
let recording = null;
let run = null; // the AbortController of the run under way
let asked = null; // the task and language of the last run
let finished = null; // its transcript, once it is complete

// --- what to transcribe

function choose(chosen) {
  if (!chosen) return;
  if (run !== null || recording !== null) {
    say("Finish or cancel what runs before choosing another file.");
    return;
  }
  $("file-name").textContent = chosen.name;
  $("file-hint").textContent = `${size(chosen.size)}, drop or choose another to replace it`;
  $("drop").classList.add("chosen");
  complain(chosen.size > maxUploadBytes ? `This file is larger than the ${size(maxUploadBytes)} that the server takes.` : "");
  file = chosen.size > maxUploadBytes ? null : chosen;
  finished = null;
  view.open(chosen);
  $("result").hidden = file === null;
  explain("Lines appear here as they are heard.");
  say("");
  enable();
}

$("file").addEventListener("change", (event) => {
  choose(event.target.files[0]);
  event.target.value = ""; // so that choosing the same file again is a change too
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("veil").hidden = !event.dataTransfer.types.includes("Files");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) $("veil").hidden = true;
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("veil").hidden = true;
  choose(event.dataTransfer.files[0]);
});

$("record").addEventListener("click", async () => {
  complain("");
  if (recording !== null) {
    const stopped = recording;
    recording = null;
    clearInterval(stopped.timer);
    showRecording(null);
    choose(await stopped.stop());
    return;
  }
  $("record").disabled = true;
  try {
    const started = await Recording.start();
    if (run !== null) {
      await started.stop(); // a run began while the browser asked
      return;
    }
    recording = started;
    const began = performance.now();
    recording.timer = setInterval(() => showRecording((performance.now() - began) / 1000), 500);
    showRecording(0);
    say("Recording.");
  } catch (error) {
    complain(error.message);
  } finally {
    enable();
  }
});

function showRecording(seconds) {
  $("record").classList.toggle("on", seconds !== null);
  $("record-label").textContent = seconds === null ? "Record" : `Stop ${clock(seconds)}`;
}

// --- one run: tries until it is answered, fails, or is cancelled

$("job").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (file === null || run !== null) return;
  run = new AbortController();
  begin();
  try {
    finish(await persist(run.signal));
  } catch (error) {
    fail(error);
  } finally {
    run = null;
    hurry(false);
    enable();
  }
});

$("cancel").addEventListener("click", () => run?.abort());

async function persist(signal) {
  for (let n_tries = 1; ; n_tries += 1) {
    try {
      return await attempt(signal);
    } catch (error) {
      // a stream that broke after segments came is not sent again by itself: they would come twice
      if (error.retryAfterS == null || view.segments.length > 0 || n_tries >= MAX_TRIES) throw error;
      await countDown(error, signal);
    }
  }
}

async function attempt(signal) {
  const progress = new Progress(view.duration);
  say("Uploading.");
  const fields = { model: "whisper-1", ...asked, response_format: "verbose_json", stream: "true" };
  const listener = {
    onUpload: (share) => progress.upload(share),
    onSent: () => {
      progress.sent();
      say("Waiting for the server.");
    },
    onSegment: (segment) => {
      view.add(segment);
      progress.at({ done_s: segment.end });
      if (view.segments.length > 1) return;
      explain("");
      enable();
    },
    onProgress: (told) => {
      progress.at(told);
      say("Transcribing.");
    },
  };
  try {
    const answer = await transcribe(file, fields, { key: key(), signal, listener });
    return { ...answer, seconds: progress.elapsed };
  } finally {
    progress.stop();
  }
}

async function countDown({ message, retryAfterS }, signal) {
  complain(message);
  say("The server is busy; another try follows by itself.");
  const notice = document.createElement("p");
  notice.className = "countdown";
  notice.setAttribute("aria-live", "off"); // a number every second is no news to a listener
  $("problem").append(notice);
  const until = performance.now() + Math.max(1, retryAfterS) * 1000;
  for (;;) {
    const left = Math.ceil((until - performance.now()) / 1000);
    if (left <= 0) break;
    notice.textContent = `Trying again in ${left} s`;
    await pause(200, signal);
  }
  complain("");
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    }, { once: true });
  });
}

function begin() {
  complain("");
  // an empty language means: detect it
  asked = { task: $("task").value, language: $("language").value };
  finished = null;
  view.clear();
  explain("Lines appear here as they are heard.");
  $("result").hidden = false;
  hurry(true);
  enable();
}

function finish({ text, language, duration, seconds }) {
  const length = duration ?? view.duration;
  finished = { text, language, duration: length };
  // words without times: not from this server, but perhaps from another one behind the same proxy
  if (view.segments.length === 0) explain(text.trim() || "No speech was heard in this audio.");
  const speed = length === null ? "" : `, ${(length / seconds).toFixed(1)}× real time`;
  const spoken = [...$("language").options].find((option) => option.value !== "" && option.value === language);
  const heard = spoken === undefined ? "" : ` Language: ${spoken.text}.`;
  say(`Done: ${length === null ? "all" : clock(length)} transcribed in ${seconds.toFixed(1)} s${speed}.${heard}`);
}

function fail(error) {
  if (error.name === "AbortError") {
    complain("");
    say(view.segments.length > 0 ? "Cancelled. What had arrived is kept." : "Cancelled.");
    return;
  }
  say("");
  complain(error instanceof RequestError ? error.message : `The page failed: ${error.message}`);
  if (error.status === 401) askForKey();
}

// --- saving

$("downloads").addEventListener("click", (event) => {
  const format = event.target.dataset.format;
  if (format === undefined) return;
  const segments = view.segments.map(({ id, start, end, text }) => ({ id, start, end, text }));
  const transcript = {
    task: asked.task,
    language: finished?.language ?? (asked.language || null),
    duration: finished?.duration ?? view.duration,
    text: finished?.text ?? segments.map((segment) => segment.text).join("").trim(),
    segments,
  };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([render(transcript, format)], { type: MEDIA_TYPES[format] }));
  link.download = `${file.name.replace(/\.[^.]*$/, "") || "transcript"}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});

// --- what the page says

function enable() {
  const [start, cancel] = [$("start"), $("cancel")];
  const focused = document.activeElement;
  $("choices").disabled = run !== null;
  $("file").disabled = recording !== null;
  $("record").disabled = false;
  start.disabled = file === null || run !== null || recording !== null;
  cancel.hidden = run === null;
  // the keyboard's place does not vanish with the button that had it
  if (focused === start && run !== null) cancel.focus();
  if (focused === cancel && cancel.hidden) start.focus();
  const nothing = finished === null && view.segments.length === 0;
  for (const button of $("downloads").querySelectorAll("button")) button.disabled = nothing;
}

function say(text) {
  $("status").textContent = text;
}

function complain(text) {
  $("problem").textContent = text;
  $("problem").hidden = text === "";
}

function explain(text) {
  $("empty").textContent = text;
  $("empty").hidden = text === "";
}

function showHealth(health) {
  const shown = described(health);
  $("health").dataset.state = shown.state;
  $("health-state").textContent = shown.label;
  $("health-model").textContent = shown.model;
  $("health-busy").textContent = shown.busy;
  $("health-queue").textContent = shown.queue;
}

function size(bytes) {
  if (bytes < 1_000_000) return `${Math.max(1, Math.round(bytes / 1000))} kB`;
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}

wireKey(() => {
  complain("");
  if (file !== null && view.segments.length === 0) $("job").requestSubmit();
});
enable();
