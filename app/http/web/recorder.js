// The microphone: start, stop, and why the browser said no.

// The first that the browser can write; the server reads them all.
const TYPES = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/mp4", "m4a"],
  ["audio/ogg;codecs=opus", "ogg"],
];

/** A recording under way; `stop()` gives it as a File, with the microphone released. */
export class Recording {
  #recorder;
  #stream;
  #chunks = [];
  #ending;

  /** Ask for the microphone and begin. Throws an Error whose message is for people. */
  static async start() {
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
      throw new Error(
        window.isSecureContext
          ? "This browser cannot record. Choose a file instead."
          : "Browsers allow the microphone only on https:// or on localhost. Open the page there, or choose a file.",
      );
    }
    try {
      return new Recording(await navigator.mediaDevices.getUserMedia({ audio: true }));
    } catch (error) {
      throw new Error(reason(error));
    }
  }

  constructor(stream) {
    const [type, ending] = TYPES.find(([each]) => MediaRecorder.isTypeSupported(each)) ?? ["", "webm"];
    this.#stream = stream;
    this.#ending = ending;
    this.#recorder = new MediaRecorder(stream, type === "" ? {} : { mimeType: type });
    this.#recorder.ondataavailable = (event) => this.#chunks.push(event.data);
    this.#recorder.start(1000); // a crash of the tab's encoder loses a second, not the whole
  }

  stop() {
    return new Promise((resolve) => {
      this.#recorder.onstop = () => {
        for (const track of this.#stream.getTracks()) track.stop();
        const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
        resolve(new File(this.#chunks, `recording-${stamp}.${this.#ending}`, { type: this.#recorder.mimeType }));
      };
      if (this.#recorder.state === "inactive") this.#recorder.onstop();
      else this.#recorder.stop();
    });
  }
}

function reason(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The browser refused the microphone. Allow it for this page in the address bar, then try again.";
    case "NotFoundError":
      return "No microphone was found.";
    case "NotReadableError":
      return "The microphone is in use by another program.";
    default:
      return `The microphone could not be opened (${error.name}).`;
  }
}
