// The import page: choose a file, send it, watch it. One page for all of it, so that
// the file in hand is not lost when the import gets its address.
import { live } from "../live.js";
import { api } from "./api.js";
import { Rejects } from "./rejects.js";
import { Upload, unfinished } from "./upload.js";
import { ImportView } from "./view.js";
import { bytes, percent } from "./words.js";

const $ = (selector) => document.querySelector(selector);
const TAG = { live: ["live", ""], polling: ["polling", "warn"], offline: ["offline", "bad"], connecting: ["connecting", "off"] };

const mayWrite = $("#choose") !== null; // viewers get the page without what changes anything
const view = new ImportView();
let importId = null;
let rejects = null;
let stream = null;
let upload = null;
let snapshotAt = 0;
const IDLE_SECONDS = 5;
const QUIET_MS = 2500;

/** Show import `id` from now on; `first` is its state where the page brought it along. */
function follow(id, first = null) {
  if (importId === id) return;
  importId = id;
  rejects = new Rejects(id);
  if (location.pathname !== `/imports/${id}/`) history.replaceState(null, "", `/imports/${id}/`);
  if (first) show(first);
  stream?.close();
  stream = live(`import-${id}`, {
    onSnapshot: show,
    fetchState: () => api(`/api/imports/${id}/`),
    onStatus: (status) => {
      const [text, kind] = TAG[status] ?? TAG.connecting;
      if (view.snapshot?.ended) return;
      $("#live-tag").textContent = text;
      $("#live-tag").className = `tag ${kind}`;
    },
  });
}

function show(snapshot) {
  if (snapshot.id !== importId) return;
  view.show(snapshot);
  rejects.update(snapshot.rejected);
  snapshotAt = performance.now();
  if (mayWrite) offer(snapshot);
  if (snapshot.ended) {
    stream?.close();
    $("#live-tag").textContent = "ended";
    $("#live-tag").className = "tag off";
    if (upload?.active) upload.pause();
  }
}

/** What can be done in this state: send the rest of the file, pause, cancel. */
function offer(snapshot) {
  // Bytes that came a moment ago are being sent by another window.
  const waitsForFile = snapshot.state === "receiving" && !upload?.active && !snapshot.cancel_requested
    && snapshot.received_bytes < snapshot.size_bytes && snapshot.idle_seconds > IDLE_SECONDS;
  $("#choose").hidden = !waitsForFile;
  $("#options").hidden = importId !== null;
  if (waitsForFile) {
    $("#drop-title").textContent = `Choose ${snapshot.file_name} again to go on`;
    $("#drop-text").textContent = `${bytes(snapshot.received_bytes)} of ${bytes(snapshot.size_bytes)} (${percent(snapshot.received_bytes, snapshot.size_bytes)} %) are here already.`;
  }
  if (snapshot.ended) $("#pause").hidden = true;
  $("#cancel-text").textContent = snapshot.merged
    ? "Rows that were merged already stay in the catalogue; importing the file again later goes over them without harm."
    : "Nothing has changed in the catalogue so far.";
}

// A killed worker sends nothing: what is quiet is asked.
setInterval(() => {
  const quiet = performance.now() - snapshotAt > QUIET_MS;
  if (stream && view.snapshot && !view.snapshot.ended && quiet && !document.hidden) stream.read();
}, QUIET_MS);

async function choose(file) {
  if (!file) return;
  note("");
  try {
    const { print, upload: found } = await unfinished(file);
    if (importId !== null && found?.import !== importId) {
      note(`This is not the file that was being uploaded${found ? `, it belongs to import ${found.import}` : ""}. Choose ${view.snapshot.file_name} as it was, or cancel this import and start a new one.`);
      return;
    }
    if (importId === null && found) ask(file, print, found);
    else start(file, print, found);
  } catch (error) {
    note(`The upload could not start: ${error.message}`);
  }
}

/** An unfinished upload goes on as it was begun: whoever has chosen otherwise must know. */
function ask(file, print, found) {
  const encoding = [...$("#encoding").options].find((option) => option.value === found.encoding)?.text ?? found.encoding;
  $("#found-text").textContent = `${found.file_name} was begun ${new Date(found.created_at).toLocaleString("en-GB")} and is here to ${percent(found.offset, found.size_bytes)} %. `
    + `It goes on as it was begun: read as ${encoding}, new products are ${found.new_products_active ? "active" : "inactive"}, ${found.check_first ? "checked first" : "not checked first"}.`;
  $("#found").hidden = false;
  $("#go-on").focus();
  $("#go-on").onclick = () => start(file, print, found);
  $("#start-anew").onclick = async () => {
    try {
      await api(`/api/imports/${found.import}/cancel/`, { method: "POST" });
    } catch (error) {
      if (error.status !== 409) { // 409: it has ended meanwhile
        note(`The other import could not be cancelled: ${error.message}`);
        return;
      }
    }
    start(file, print, null);
  };
}

function start(file, print, found) {
  const form = new FormData($("#options"));
  const options = {
    encoding: form.get("encoding"),
    new_products: form.get("new_products"),
    check_first: String(form.get("check_first") === "on"),
  };
  $("#choose").hidden = $("#found").hidden = true;
  $("#pause").hidden = false;
  $("h1").tabIndex = -1;
  $("h1").focus(); // the field that had it is gone
  const state = { sent: found?.offset ?? 0, size: file.size, perSecond: null, secondsLeft: null, state: "sending" };
  upload = new Upload(file, print, {
    url: found?.url ?? null,
    options,
    onImport: follow,
    onProgress: (progress) => view.showUpload(Object.assign(state, progress)),
    onState: (name, message) => {
      view.showUpload(Object.assign(state, { state: name }));
      $("#pause").hidden = name === "sent" || Boolean(view.snapshot?.ended || view.snapshot?.cancel_requested);
      $("#pause").textContent = ["paused", "failed"].includes(name) ? "Resume upload" : "Pause upload";
      if (name === "failed") window.stockroom.toast(message, "error");
      if (name === "failed" && importId === null) { $("#choose").hidden = false; note(message); }
    },
  });
  upload.start();
  if (found) follow(found.import);
}

function note(text) {
  $("#choose-note").textContent = text;
  $("#choose-note").hidden = !text;
}

async function act(button, path, body) {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    return await api(`/api/imports/${importId}/${path}/`, { method: "POST", body });
  } catch (error) {
    window.stockroom.toast(error.message, "error");
    return null;
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
}

async function cancel(event) {
  const snapshot = await act(event.currentTarget, "cancel");
  $("#cancel-dialog").close();
  if (!snapshot) return;
  show(snapshot);
  if (upload?.active) upload.pause();
  $("#pause").hidden = true;
}
async function repeat(event, options) {
  const snapshot = await act(event.currentTarget, "repeat", options);
  if (snapshot) location.assign(`/imports/${snapshot.id}/`);
}

function listen() {
  $("#file").addEventListener("change", (event) => { choose(event.target.files[0]); event.target.value = ""; });
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); $("#drop").classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); $("#drop").classList.remove("over"); });
  }
  document.addEventListener("drop", (event) => { if (!$("#choose").hidden) choose(event.dataTransfer.files[0]); });
  $("#pause").addEventListener("click", () => (["paused", "failed"].includes(upload.state) ? upload.resume() : upload.pause()));
  $("#approve").addEventListener("click", async (event) => {
    const snapshot = await act(event.currentTarget, "approve");
    if (snapshot) show(snapshot);
  });
  $("#really-cancel").addEventListener("click", cancel);
  $("#leave").addEventListener("click", cancel);
  $("#windows-1252").addEventListener("click", (event) => repeat(event, { encoding: "cp1252", check_first: true }));
  $("#repeat").addEventListener("click", (event) => repeat(event, {}));
}

if (mayWrite) listen();
addEventListener("beforeunload", (event) => { if (upload?.active && upload.state !== "paused") event.preventDefault(); });

const first = document.getElementById("snapshot");
if (first) {
  const snapshot = JSON.parse(first.textContent);
  follow(snapshot.id, snapshot);
} else {
  $("#choose").hidden = false;
}
