// Calls the worker at BASE_URL with the official SDK in every way it has, and prints what came back
// as one JSON object: { name of the call: its result }. AUDIO is a short WAV, BROKEN no audio at all.
import { File } from "node:buffer";
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

globalThis.File ??= File; // Node 18, as Debian 12 has it, keeps it in a module

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "unused", maxRetries: 2 });
const audio = () => fs.createReadStream(process.env.AUDIO);
const { transcriptions, translations } = client.audio;
const results = {};

async function record(name, call) {
  try {
    results[name] = await call();
  } catch (error) {
    results[name] = {
      error: error.constructor.name,
      status: error.status,
      message: error.message,
      param: error.param,
      code: error.code,
      requestId: error.requestID,
    };
  }
}

await record("json", () => transcriptions.create({ file: audio(), model: "whisper-1", response_format: "json" }));
await record("default", () => transcriptions.create({ file: audio(), model: "gpt-4o-transcribe" }));
await record("verbose", () =>
  transcriptions.create({
    file: audio(),
    model: "whisper-1",
    response_format: "verbose_json",
    timestamp_granularities: ["word", "segment"],
  }),
);
for (const response_format of ["text", "srt", "vtt"]) {
  await record(response_format, () => transcriptions.create({ file: audio(), model: "whisper-1", response_format }));
}
await record("logprobs", () =>
  transcriptions.create({
    file: audio(),
    model: "gpt-4o-mini-transcribe",
    response_format: "json",
    include: ["logprobs"],
    chunking_strategy: { type: "server_vad", threshold: 0.4, prefix_padding_ms: 200, silence_duration_ms: 500 },
  }),
);
await record("bytes", async () =>
  transcriptions.create({ file: await toFile(fs.readFileSync(process.env.AUDIO)), model: "whisper-1", language: "en" }),
);
await record("stream", async () => {
  const events = [];
  const stream = await transcriptions.create({ file: audio(), model: "gpt-4o-transcribe", stream: true });
  for await (const event of stream) events.push(event);
  return events;
});
await record("translation", () => translations.create({ file: audio(), model: "whisper-1" }));
await record("broken", () =>
  transcriptions.create({ file: fs.createReadStream(process.env.BROKEN), model: "whisper-1" }),
);
await record("models", async () => (await client.models.list()).data.map((model) => model.id));
await record("model", () => client.models.retrieve("Systran/faster-whisper-small"));

console.log(JSON.stringify(results));
