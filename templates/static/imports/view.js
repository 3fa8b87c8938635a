// Shows one import from its snapshots (products/imports/progress.py): steps, bar, words, counts, log.
import { RateChart } from "./chart.js";
import { bytes, count, duration, left, percent, plural } from "./words.js";

const $ = (selector) => document.querySelector(selector);
const ORDER = ["upload", "read", "check", "merge", "done"];
const STEP_OF = {
  receiving: "upload", reading: "read", checking: "check", ready: "check",
  queued: "merge", merging: "merge", done: "done",
};
const YES = $("#approve") ? "your yes" : "an editor's yes"; // viewers have no such button
const LOG_LINES = 200;
const RATE_SECONDS = 4;
const IDLE_SECONDS = 5; // without a byte: nobody is sending
const SILENT_SECONDS = 4; // without a heartbeat: the worker is gone
const MILESTONES = 10; // lines that the log gets on the way through a merge

/** Show or hide a button that viewers' pages don't have. */
function offer(selector, possible) {
  const button = $(selector);
  if (button) button.hidden = !possible;
}

export class ImportView {
  constructor() {
    this.chart = new RateChart($("#chart"), $("#rate-now"), $("#rate-peak"), $("#rate-from"));
    this.seenRejects = new Set();
    this.milestone = 0;
    this.logged = new Set();
    this.samples = [];
    this.upload = null; // what this tab itself sends: {sent, size, perSecond, secondsLeft, state}
    this.snapshot = null;
    this.openedEnded = null;
  }

  /** Show a snapshot; older ones than what is shown are passed over by the caller. */
  show(s) {
    this.openedEnded ??= s.ended;
    this.#sample(s);
    this.snapshot = s;
    $("#progress").hidden = false;
    document.querySelector('[data-field="file_name"]').textContent = s.file_name;
    document.querySelector('[data-field="about"]').textContent = about(s);
    this.#counts(s);
    this.#steps(s);
    this.#bar(s);
    this.#notices(s);
    this.#question(s);
    this.#buttons(s);
    this.#log(s);
    const phase = ["merging", "done"].includes(s.state) ? "merge" : "read";
    this.chart.add(phase, phase === "merge" ? s.merged : s.rows);
    document.title = `${title(s)} · ${s.file_name} · Stockroom`;
  }

  /** The present step's progress over the last seconds: what it will be next, not what it was. */
  #sample(s) {
    const now = performance.now() / 1000;
    const [part] = this.#progress(s);
    if (this.samples.at(-1)?.state !== s.state) this.samples = [];
    this.samples.push({ state: s.state, at: now, part });
    while (now - this.samples[0].at > RATE_SECONDS) this.samples.shift();
  }

  /** Units of the present step per second, or null while that is not known. */
  #rate() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return first && last.at - first.at >= 1 ? (last.part - first.part) / (last.at - first.at) : null;
  }

  #progress(s) {
    return {
      receiving: [this.#sent(s), s.size_bytes],
      reading: [s.read_bytes, s.size_bytes],
      checking: [s.checked, s.to_merge],
      merging: [s.merged, s.to_merge],
    }[s.state] ?? [1, 1];
  }

  /** What this tab's own upload says is fresher than the server's snapshots. */
  showUpload(upload) {
    this.upload = upload;
    if (this.snapshot) this.#bar(this.snapshot), this.#steps(this.snapshot);
  }

  #counts(s) {
    const checked = ["checking", "ready"].includes(s.state);
    const values = {
      rows: s.rows, duplicates: s.duplicates, rejected: s.rejected,
      created: checked ? s.would_create : s.created,
      updated: checked ? s.would_update : s.updated,
      unchanged: checked ? s.would_keep : s.unchanged,
    };
    for (const [name, value] of Object.entries(values)) {
      for (const element of document.querySelectorAll(`[data-field="${name}"]`)) element.textContent = count(value);
    }
    $('[data-label="created"]').textContent = checked ? "would be created" : "created";
    $('[data-label="updated"]').textContent = checked ? "would be updated" : "updated";
    $("#rejected-tile").classList.toggle("bad", s.rejected > 0);
  }

  #steps(s) {
    const stopped = ["failed", "cancelled"].includes(s.state);
    const now = stopped ? this.#stoppedAt(s) : STEP_OF[s.state];
    const words = {
      upload: `Upload · ${percent(this.#sent(s), s.size_bytes)} %`,
      read: s.rows ? `Read · ${plural(s.rows, "row")}` : "Read",
      check: s.to_merge && s.check_first ? `Check · ${percent(s.checked, s.to_merge)} %` : "Check",
      merge: s.state === "queued" ? "Merge · queued" : s.to_merge ? `Merge · ${percent(s.merged, s.to_merge)} %` : "Merge",
      done: s.state === "failed" ? "Failed" : s.state === "cancelled" ? "Cancelled" : "Done",
    };
    for (const item of document.querySelectorAll("#steps li")) {
      const step = item.dataset.step;
      if (step === "check") item.hidden = !s.check_first;
      const behind = ORDER.indexOf(step) < ORDER.indexOf(now) || s.state === "done";
      item.className = behind ? "done" : step === now ? (stopped ? "failed" : "now") : "";
      item.textContent = words[step];
      if (step === now) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    }
  }

  #stoppedAt(s) {
    if (s.received_bytes < s.size_bytes) return "upload";
    if (!s.read_at) return "read";
    return s.merge_started_at ? "merge" : s.check_first ? "check" : "merge";
  }

  #sent(s) {
    return this.upload ? Math.max(this.upload.sent, s.received_bytes) : s.received_bytes;
  }

  #bar(s) {
    const bar = $("#bar");
    const [part, all] = this.#progress(s);
    if (all === null || (s.state === "queued" && !s.ended)) bar.removeAttribute("value");
    else bar.value = (100 * part) / (all || 1);
    bar.classList.toggle("bad", s.state === "failed");
    bar.classList.toggle("paused", s.state === "cancelled" || (s.state === "receiving" && (this.upload ? this.upload.state === "paused" : s.idle_seconds > IDLE_SECONDS)));
    $("#words").textContent = this.#words(s);
    $("#left").textContent = this.#left(s);
  }

  #words(s) {
    const perSecond = s.state === "merging" ? this.#rate() : s.per_second;
    const rate = perSecond ? ` · ${count(perSecond)} rows/s` : "";
    if (s.silent_seconds > SILENT_SECONDS) return `No sign of the worker for ${Math.round(s.silent_seconds)} s; another one takes over by itself`;
    if (s.cancel_requested && !s.ended) return "Cancelling…";
    switch (s.state) {
      case "receiving": {
        const sent = `${bytes(this.#sent(s))} of ${bytes(s.size_bytes)}`;
        if (this.upload?.state === "paused") return `Paused at ${sent}`;
        if (this.upload?.state === "waiting") return `Connection lost at ${sent}, trying again…`;
        if (this.upload?.perSecond) return `Uploading ${sent} · ${bytes(this.upload.perSecond)}/s`;
        if (!this.upload && s.idle_seconds > IDLE_SECONDS) return `Waiting for the rest of the file: ${sent} are here`;
        return this.upload ? `Uploading ${sent}` : `Uploading ${sent} from another window`;
      }
      case "reading": return `Reading ${bytes(s.read_bytes)} of ${bytes(s.size_bytes)}${rate}`;
      case "checking": return `Checking ${count(s.checked)} of ${count(s.to_merge)} products`;
      case "ready": return `Checked, waiting for ${YES}`;
      case "queued": return s.waits_for ? `Waiting for import ${s.waits_for} to finish merging` : "Waiting for a worker";
      case "merging": return s.to_merge === null ? "Looking for duplicates in the file" : `Merging ${count(s.merged)} of ${plural(s.to_merge, "product")}${rate}`;
      case "done": return done(s);
      case "failed": return "Failed";
      default: return "Cancelled";
    }
  }

  #left(s) {
    if (s.state === "receiving") return this.upload?.state === "sending" ? left(this.upload.secondsLeft, "of upload ") : "";
    if (s.silent_seconds > SILENT_SECONDS) return "";
    if (["reading", "checking", "merging"].includes(s.state)) {
      const rate = this.#rate();
      const [part, all] = this.#progress(s);
      return rate && all ? left((all - part) / rate) : "";
    }
    if (s.state === "done" && s.received_at) {
      const seconds = (new Date(s.finished_at) - Math.max(new Date(s.received_at), new Date(s.created_at))) / 1000;
      return `${duration(seconds)} after the upload`;
    }
    return "";
  }

  #notices(s) {
    const notices = [];
    if (s.error) notices.push([s.state === "failed" ? "bad" : "warn", s.ended ? s.error : `A step failed and is tried again: ${s.error}`]);
    if (s.ignored_columns.length) notices.push(["", `Columns that are not used: ${s.ignored_columns.join(", ")}`]);
    if (s.state === "done" && !s.rows) notices.push(["warn", "The file has a header but no rows; nothing was changed."]);
    if (s.state === "done" && s.rejected && s.rows > s.rejected) notices.push(["warn", `${count(s.rejected)} of ${plural(s.rows, "row")} did not go in; the table below says why.`]);
    if (s.state === "done" && s.rows && s.rows === s.rejected) notices.push(["bad", "No row could be imported. The table below says why for each line."]);
    if (s.undecodable) notices.push(["warn", `${plural(s.undecodable, "line")} could not be read as ${s.encoding === "utf-8" ? "UTF-8" : "Windows-1252"}.`]);
    $("#notices").replaceChildren(...notices.map(([kind, text]) => {
      const note = document.createElement("p");
      note.className = `notice ${kind}`;
      note.textContent = text;
      return note;
    }));
  }

  #question(s) {
    $("#question").hidden = s.state !== "ready" || s.cancel_requested;
    const sentences = [`${plural(s.would_create, "product")} would be created, ${count(s.would_update)} updated, ${count(s.would_keep)} stay as they are.`];
    if (s.duplicates) sentences.push(`${plural(s.duplicates, "row")} of the file give way to a later row with the same SKU.`);
    if (s.rejected) sentences.push(`${plural(s.rejected, "row")} can't go in; the table below says why.`);
    $("#question-text").textContent = sentences.join(" ");
  }

  #buttons(s) {
    offer("#cancel", !(s.ended || s.cancel_requested || s.state === "ready"));
    $("#see-products").hidden = s.state !== "done";
    offer("#another", s.ended);
    offer("#repeat", ["failed", "cancelled"].includes(s.state) && s.file_kept);
    $("#chart-card").hidden = s.ended && this.chart.points.length < 3; // too short to be a curve
    $("#live-cards").hidden = this.openedEnded; // nothing was live while somebody looked
    offer("#windows-1252", s.ended && s.undecodable && s.file_kept && s.encoding === "utf-8");
    $("#rejects-csv").href = `/imports/${s.id}/rejects.csv`;
  }

  #log(s) {
    for (const [name, at, text] of happened(s)) {
      if (this.logged.has(name)) continue;
      this.logged.add(name);
      this.#line(text, name === "failed", at);
      $("#announce").textContent = text;
    }
    const part = s.state === "merging" ? Math.floor((MILESTONES * s.merged) / (s.to_merge || 1)) : 0;
    if (part > this.milestone && part < MILESTONES) this.#line(`Merged ${count(s.merged)} of ${plural(s.to_merge, "product")}`);
    this.milestone = part;
    for (const reject of [...s.recent_rejects].reverse()) {
      const key = reject.line;
      if (this.seenRejects.has(key)) continue;
      this.seenRejects.add(key);
      this.#line(`Line ${count(reject.line)}: ${reject.column ? `${reject.column}: ` : ""}${reject.reason}`, true);
    }
  }

  #line(text, bad, at = null) {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = (at ? new Date(at) : new Date()).toLocaleTimeString("en-GB");
    const words = document.createElement("span");
    words.textContent = text;
    if (bad) words.className = "bad";
    item.append(time, words);
    $("#log").prepend(item);
    while ($("#log").children.length > LOG_LINES) $("#log").lastChild.remove();
  }
}

const done = (s) => `Done: ${count(s.created)} created, ${count(s.updated)} updated, ${count(s.unchanged)} unchanged`
  + (s.rejected ? `, ${count(s.rejected)} rejected` : "");

/** What the log tells of an import so far, with the instants that the server keeps. */
function happened(s) {
  const lines = [["began", s.created_at, `Upload of ${bytes(s.size_bytes)} began`]];
  if (s.received_at) lines.push(["received", s.received_at, "Upload complete"]);
  if (s.read_at) lines.push(["read", s.read_at, `Read ${plural(s.rows, "row")}`]);
  if (s.state === "ready") lines.push(["ready", null, `Checked, waiting for ${YES}`]);
  if (s.state === "queued" && s.waits_for) lines.push(["queued", null, `Waiting for import ${s.waits_for} to finish merging`]);
  if (s.merge_started_at) lines.push(["merging", s.merge_started_at, "Merge began"]);
  if (s.silent_seconds > SILENT_SECONDS) lines.push([`silent ${s.merged} ${s.read_bytes}`, null, "No sign of the worker; another one takes over"]);
  if (s.state === "done") lines.push(["done", s.finished_at, done(s)]);
  if (["failed", "cancelled"].includes(s.state)) lines.push([s.state, s.finished_at, s.error ? `${s.state_label}: ${s.error}` : s.state_label]);
  return lines;
}

function about(s) {
  const started = new Date(s.created_at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const who = s.created_by ? ` by ${s.created_by}` : "";
  return `${bytes(s.size_bytes)} · started ${started}${who} · new products are ${s.new_products_active ? "active" : "inactive"}`;
}

function title(s) {
  if (s.state === "merging" && s.to_merge) return `${percent(s.merged, s.to_merge)} %`;
  if (s.state === "receiving") return `${percent(s.received_bytes, s.size_bytes)} %`;
  if (s.state === "ready") return `Waiting for ${YES}`;
  return s.state_label;
}
