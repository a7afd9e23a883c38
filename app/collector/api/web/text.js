// Texts for people, and nodes of texts: nothing here makes markup of a string.

const PLATFORMS = { google_meet: "Google Meet", zoom: "Zoom", teams: "Teams" };
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&#x27;": "'" };
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** An element with a class and a text. */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.textContent = text;
  return made;
}

/** The nodes of a search snippet: matches between <b> and </b>, the rest HTML-escaped. */
export function snippetNodes(snippet) {
  return snippet.split(/(<b>.*?<\/b>)/su).map((part) => {
    const match = /^<b>(.*)<\/b>$/su.exec(part);
    return match === null ? document.createTextNode(plain(part)) : element("mark", "", plain(match[1]));
  });
}

function plain(escaped) {
  return escaped.replace(/&(?:amp|lt|gt|quot|#39|#x27);/gu, (entity) => ENTITIES[entity]);
}

/** Seconds as m:ss or h:mm:ss. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function day(iso) {
  return iso === null ? "" : DAY.format(new Date(iso));
}

export function titleOf(meeting) {
  return meeting.data?.name || meeting.native_meeting_id || `Meeting ${meeting.id}`;
}

/** Platform, day and length of a meeting. */
export function factsOf(meeting) {
  const facts = [PLATFORMS[meeting.platform] ?? meeting.platform, day(meeting.start_time ?? meeting.created_at ?? null)];
  if (isOver(meeting) && meeting.start_time && meeting.end_time) {
    facts.push(clock((Date.parse(meeting.end_time) - Date.parse(meeting.start_time)) / 1000));
  }
  return facts.filter((fact) => fact !== "").join(" · ");
}

export function isOver(meeting) {
  return meeting.status === "completed" || meeting.status === "failed";
}
