// How far a run is: share done, audio seconds per second, time left, time gone.

import { clock } from "./subtitles.js";

const $ = (id) => document.getElementById(id);

/** Shows itself from its making until `stop()`; `total_s` is the audio's length, null if unknown. */
export class Progress {
  #began = performance.now();
  #sent = null;
  #ticking = setInterval(() => ($("fact-elapsed").textContent = clock(this.elapsed)), 500);
  #total_s;
  #done_s = 0;

  constructor(total_s) {
    this.#total_s = total_s;
    $("running").hidden = false;
    $("bar").removeAttribute("value");
    for (const fact of document.querySelectorAll("#running dd")) fact.textContent = "–";
  }

  stop() {
    clearInterval(this.#ticking);
    $("running").hidden = true;
  }

  /** Seconds since the upload was complete: the server's time, not the network's. */
  get elapsed() {
    return (performance.now() - (this.#sent ?? this.#began)) / 1000;
  }

  upload(share) {
    $("fact-done").textContent = `${Math.round(share * 100)} % sent`;
    $("bar").value = share;
  }

  sent() {
    this.#sent = performance.now();
    $("fact-done").textContent = "–";
    $("bar").removeAttribute("value"); // moves without a value until the first segment
  }

  at({ done_s, total_s, eta_s }) {
    this.#total_s = total_s ?? this.#total_s;
    this.#done_s = Math.max(this.#done_s, Math.min(done_s, this.#total_s ?? done_s));
    if (this.#done_s === 0) return;
    const speed = this.#done_s / Math.max(this.elapsed, 0.001);
    $("fact-speed").textContent = `${speed.toFixed(1)}× real time`;
    if (this.#total_s === null) {
      $("fact-done").textContent = clock(this.#done_s);
      return;
    }
    const left_s = eta_s ?? (this.#total_s - this.#done_s) / speed;
    $("bar").value = this.#done_s / this.#total_s;
    $("fact-done").textContent = `${clock(this.#done_s)} of ${clock(this.#total_s)}`;
    $("fact-left").textContent = Number.isFinite(left_s) ? `about ${clock(Math.ceil(left_s))}` : "–";
  }
}
