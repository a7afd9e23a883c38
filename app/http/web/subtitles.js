// A transcript as a file: srt, vtt, json, txt. Pure.
//
// Byte for byte what the server gives for the same segments (tests compare the two), so saving a
// transcript costs no second transcription.
// Source: SRT as OpenAI lays it out; W3C WebVTT for cue text; the server's formats.

const LINE_ENDS = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f]/g;
// \s also holds the byte order mark, which is no white space to the server
const EDGES = /^[^\S\ufeff]+|[^\S\ufeff]+$/g;

export const MEDIA_TYPES = {
  srt: "application/x-subrip",
  vtt: "text/vtt",
  json: "application/json",
  txt: "text/plain",
};

/** The file's text; `transcript` is {task, language, duration, text, segments: [{id, start, end, text}]}. */
export function render(transcript, format) {
  switch (format) {
    case "srt":
      return srt(transcript.segments);
    case "vtt":
      return vtt(transcript.segments);
    case "json":
      return `${JSON.stringify(transcript, null, 2)}\n`;
    default:
      return `${transcript.text}\n`;
  }
}

/** 3661.5 -> "1:01:01.5": for people. */
export function clock(seconds, digits = 0) {
  const scale = 10 ** digits;
  const whole = Math.floor(seconds * scale + 1e-6);
  const hours = Math.floor(whole / scale / 3600);
  const minutes = Math.floor(whole / scale / 60) % 60;
  const rest = (whole / scale) % 60;
  const tail = rest.toFixed(digits).padStart(digits > 0 ? 3 + digits : 2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

function srt(segments) {
  // SRT has no escapes, so an arrow in speech is written short
  const parts = cues(segments).map(
    (cue, index) => `${index + 1}\n${stamp(cue.startMs, ",")} --> ${stamp(cue.endMs, ",")}\n${cue.text.replace(/-{2,}>/g, "->")}`,
  );
  return parts.length > 0 ? `${parts.join("\n\n")}\n\n\n` : "";
}

function vtt(segments) {
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("-->", "--&gt;");
  const parts = cues(segments).map((cue) => `${stamp(cue.startMs, ".")} --> ${stamp(cue.endMs, ".")}\n${escaped(cue.text)}\n\n`);
  return `WEBVTT\n\n${parts.join("")}`;
}

// The segments that have text, in an order every player accepts.
function cues(segments) {
  const kept = [];
  let earliestMs = 0;
  for (const segment of segments) {
    const text = segment.text.split(LINE_ENDS).map(clean).filter(Boolean).join("\n");
    if (text === "") continue;
    const ownMs = Math.round(segment.start * 1000);
    const startMs = Math.max(ownMs, earliestMs);
    const endMs = Math.max(Math.round(segment.end * 1000), ownMs + 1, startMs + 1);
    kept.push({ startMs, endMs, text });
    earliestMs = startMs;
  }
  return kept;
}

function clean(line) {
  return line.replaceAll("\t", " ").replace(CONTROLS, "").replace(EDGES, "");
}

function stamp(ms, point) {
  const pad = (value, width = 2) => String(value).padStart(width, "0");
  const seconds = Math.floor(ms / 1000);
  return `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}${point}${pad(ms % 1000, 3)}`;
}
