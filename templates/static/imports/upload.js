// Sends a file by the tus protocol (vendor/tus.min.js): in parts of a second or two,
// pausing, and going on after a lost connection, a reload or a closed laptop.
import { api } from "./api.js";
import { fingerprint } from "./fingerprint.js";

const PART_SECONDS = 1.5;
const MIN_PART = 1024 * 1024;
const MAX_PART = 32 * 1024 * 1024;
// About ten minutes of tries; after that, or when the browser says it is online again, Resume.
const RETRY_MS = [0, 500, 1000, 2000, 4000, ...Array(70).fill(8000)];
const SPEED_SECONDS = 8; // how far back the shown speed looks

/** The unfinished upload of `file`, as the server tells it, or null. */
export async function unfinished(file) {
  const print = await fingerprint(file);
  const found = await api(`/api/uploads/?fingerprint=${encodeURIComponent(print)}`);
  return { print, upload: found[0] ?? null };
}

/**
 * One file on its way. Callbacks: onImport(id), onProgress({sent, size, perSecond, secondsLeft}),
 * onState("sending" | "paused" | "waiting" | "sent" | "failed", message).
 */
export class Upload {
  constructor(file, print, { url = null, options = {}, onImport, onProgress, onState }) {
    this.file = file;
    this.callbacks = { onImport, onProgress, onState };
    this.samples = [];
    this.state = "sending";
    let partStart = performance.now();
    this.tus = new tus.Upload(file, {
      endpoint: "/api/uploads/",
      uploadUrl: url,
      chunkSize: 2 * MIN_PART,
      retryDelays: RETRY_MS,
      storeFingerprintForResuming: false, // the server knows what is unfinished
      metadata: { filename: file.name, filetype: file.type, fingerprint: print, ...options },
      onBeforeRequest: (request) => {
        partStart = performance.now();
        request.setHeader("X-CSRFToken", window.stockroom.csrf());
      },
      onAfterResponse: (request, response) => {
        const id = response.getHeader("Stockroom-Import");
        if (id) onImport(Number(id));
      },
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        const again = status < 400 || status >= 500 || [409, 423, 429].includes(status);
        if (again) this.#move("waiting");
        return again;
      },
      onChunkComplete: (size) => {
        const seconds = (performance.now() - partStart) / 1000;
        const fit = (size / Math.max(seconds, 0.01)) * PART_SECONDS;
        this.tus.options.chunkSize = Math.round(Math.min(MAX_PART, Math.max(MIN_PART, fit)));
      },
      onProgress: (sent, size) => {
        if (this.state === "waiting") this.#move("sending");
        onProgress({ sent, size, ...this.#speed(sent, size) });
      },
      onSuccess: () => this.#move("sent"),
      onError: (error) => this.#move("failed", message(error)),
    });
    addEventListener("online", () => { if (["waiting", "failed"].includes(this.state)) this.resume(); });
  }

  start() { this.#move("sending"); this.tus.start(); }

  async pause() { await this.tus.abort(); this.#move("paused"); }

  async resume() {
    await this.tus.abort();
    this.samples = [];
    this.start();
  }

  get active() { return !["sent", "failed"].includes(this.state); }

  #move(state, text = "") {
    this.state = state;
    this.callbacks.onState(state, text);
  }

  #speed(sent, size) {
    const now = performance.now() / 1000;
    this.samples.push([now, sent]);
    while (now - this.samples[0][0] > SPEED_SECONDS) this.samples.shift();
    const [then, before] = this.samples[0];
    if (now - then < 0.3) return { perSecond: null, secondsLeft: null };
    const perSecond = Math.max(0, (sent - before) / (now - then));
    return { perSecond, secondsLeft: perSecond ? (size - sent) / perSecond : null };
  }
}

function message(error) {
  const text = error.originalResponse?.getBody() ?? "";
  try {
    return JSON.parse(text).error.message;
  } catch {
    return "The connection was lost. Resume goes on where it stopped.";
  }
}
