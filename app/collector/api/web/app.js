// The page: meetings, one of them open and filling while people speak, search, files, deletion.

import { save, send, sendForJson } from "./api.js";
import { askForKey, wireKey } from "./key.js";
import { Follower } from "./live.js";
import { MeetingList } from "./meetings.js";
import { Search } from "./search.js";
import { factsOf, isOver, titleOf } from "./text.js";
import { TranscriptView } from "./transcript.js";

const $ = (id) => document.getElementById(id);
const STATES = { live: "live", polling: "checked every 2 seconds", off: "" };

const view = new TranscriptView({ list: $("lines"), lastFinal: $("last-final") });
const meetings = new MeetingList({
  list: $("meetings"),
  more: $("more"),
  listener: {
    onChosen: (id) => (location.hash = `#${id}`),
    onCount: (n) => {
      complain("");
      if (!$("meetings").hidden) $("side-hint").textContent = n === 0 ? "No meetings yet." : "";
    },
    onRefused: refused,
  },
});
const search = new Search({
  list: $("hits"),
  more: $("more"),
  listener: {
    onHit: (id, segmentId) => (location.hash = `#${id}/${encodeURIComponent(segmentId)}`),
    onCount: (n, more) => {
      const found = n === 1 ? "1 place" : `${n} places`;
      $("side-hint").textContent = n === 0 ? "Nobody said this." : `${more ? "More than " : ""}${found}`;
    },
    onRefused: refused,
  },
});

let meeting = null; // the one that is open
let follower = null;

// --- one meeting

async function open(id, segmentId) {
  if (meeting?.id === id) {
    if (segmentId !== null) view.jump(segmentId);
    return;
  }
  close();
  const opening = { id };
  meeting = opening;
  meetings.mark(id);
  try {
    const body = await sendForJson(`transcripts/by-id/${id}?pending=true`);
    if (meeting !== opening) return; // another one was chosen meanwhile
    meeting = body;
    view.clear(startOf(body));
    view.merge(body.segments);
    follower = new Follower(body, body.seq, {
      onSegments: (segments) => changed(() => view.merge(segments, { announce: true })),
      onDrafts: (speaker, drafts) => changed(() => view.setDrafts(speaker, drafts)),
      onGone: (ids) => changed(() => view.remove(ids)),
      onStatus: (status) => {
        meeting = { ...meeting, status: status ?? meeting.status };
        showMeeting();
      },
      onState: (state) => showLive(state),
      onRefused: (error) => (error.status === 404 ? gone() : refused(error)),
    });
    showMeeting();
    if (segmentId === null || !view.jump(segmentId)) $("title").focus({ preventScroll: true });
  } catch (error) {
    if (meeting === opening) close();
    refused(error);
  }
}

function close() {
  follower?.stop();
  follower = null;
  meeting = null;
  meetings.mark(null);
  view.clear(0);
  showLive("off");
  $("title").textContent = "No meeting chosen";
  $("facts").textContent = "Choose a meeting to read what was said.";
  $("tools").hidden = true;
  $("empty").hidden = true;
}

function gone() {
  close();
  location.hash = "";
  complain("This meeting is no longer here.");
}

function changed(work) {
  complain("");
  work();
  $("empty").hidden = view.count > 0;
}

function showMeeting() {
  $("title").textContent = titleOf(meeting);
  const incomplete = meeting.complete === false ? " · some of it has not arrived" : "";
  $("facts").textContent = `${factsOf(meeting)} · ${isOver(meeting) ? meeting.status : "going on"}${incomplete}`;
  $("tools").hidden = false;
  $("end").hidden = isOver(meeting);
  $("delete").disabled = !isOver(meeting);
  $("delete").title = isOver(meeting) ? "" : "End the meeting first";
  $("empty").hidden = view.count > 0;
}

function showLive(state) {
  $("live").dataset.state = state;
  $("live").textContent = STATES[state];
}

// The first session's second 0; the first line's start if it is earlier.
function startOf(body) {
  const first = body.segments[0]?.absolute_start_time ?? body.start_time;
  const starts = [body.start_time, first].filter(Boolean).map((iso) => Date.parse(iso));
  return starts.length === 0 ? Date.now() : Math.min(...starts);
}

// --- what people do with it

for (const button of document.querySelectorAll("[data-format]")) {
  button.addEventListener("click", () => save(meeting, button.dataset.format).catch(refused));
}

$("end").addEventListener("click", async () => {
  try {
    const ended = await sendForJson(`meetings/by-id/${meeting.id}/end`, { method: "POST" });
    meeting = { ...meeting, status: ended.status, end_time: ended.end_time };
    showMeeting();
    meetings.refresh();
  } catch (error) {
    refused(error);
  }
});

$("delete").addEventListener("click", () => $("confirm").showModal());
$("confirm-no").addEventListener("click", () => $("confirm").close());
$("confirm-yes").addEventListener("click", async () => {
  $("confirm").close();
  const { id } = meeting;
  try {
    await send(`meetings/${id}`, { method: "DELETE" });
    close();
    location.hash = "";
    $("facts").textContent = "The transcript was deleted.";
    meetings.refresh();
  } catch (error) {
    refused(error);
  }
});

// --- search

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("words").value.trim();
  showHits(words !== "");
  if (words !== "") search.start(words);
});
$("search-close").addEventListener("click", () => {
  $("words").value = "";
  showHits(false);
  $("words").focus();
});

function showHits(shown) {
  $("hits").hidden = !shown;
  $("meetings").hidden = shown;
  $("search-close").hidden = !shown;
  $("more").hidden = true;
  $("side-title").textContent = shown ? "Found" : "Meetings";
  $("side-hint").textContent = shown ? "Searching." : "";
  if (!shown) meetings.refresh();
}

// --- the rest

function refused(error) {
  if (error.status === 403) askForKey();
  complain(error.message);
}

function complain(text) {
  $("problem").textContent = text;
  $("problem").hidden = text === "";
}

function follow() {
  const [id, segmentId] = location.hash.slice(1).split("/");
  if (/^\d+$/u.test(id)) open(Number(id), segmentId === undefined ? null : decodeURIComponent(segmentId));
  else if (meeting !== null) close();
}

window.addEventListener("hashchange", follow);
wireKey(() => {
  complain("");
  close();
  meetings.refresh();
  follow();
});
meetings.refresh();
follow();
