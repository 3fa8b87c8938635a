// The page of a job, live: bar, words and counts from its snapshots (the channel stocksync-<id>).
// When its state changes, the server's own words take the place of all of it.
import { bytes, count, left, plural } from "../imports/words.js";
import { live } from "../live.js";

const $ = (selector) => document.querySelector(selector);
const TAG = { live: ["live", ""], polling: ["polling", "warn"], offline: ["offline", "bad"] };
const SILENT_SECONDS = 4; // without a heartbeat: the worker is gone
const QUIET_MS = 2500;
const HOLD_MS = 1500;

const { id } = $("#job").dataset;
let standing = "";
let snapshotAt = performance.now();

const words = (field, tiles) => (field === "trees" ? plural(tiles.trees, "tree") : count(tiles[field]));

async function fetchState() {
  const answer = await fetch(`/api/stocksync/jobs/${id}/`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`error ${answer.status}`);
  return answer.json();
}

function show(state) {
  const page = $("#job");
  if ("ended" in page.dataset) return;
  snapshotAt = performance.now();
  // What the server's words depend on.
  const now = [state.state, state.cancel_requested, Boolean(state.error), state.silent_seconds > SILENT_SECONDS].join();
  if (state.state !== page.dataset.state || (standing && standing !== now)) refresh();
  standing = now;
  if (state.state !== page.dataset.state) return; // its figures come with its words
  const { counts } = state;
  const sum = (each) => Object.values(each).reduce((all, one) => all + one, 0);
  const tiles = { ...counts, refused: sum(counts.refused), commands: sum(counts.commands) };
  for (const tile of page.querySelectorAll("[data-field]")) tile.textContent = words(tile.dataset.field, tiles);
  for (const tag of page.querySelectorAll("[data-code]")) {
    const refused = counts.refused[tag.dataset.code] ?? 0;
    tag.hidden = !refused;
    tag.querySelector("b").textContent = count(refused);
  }
  if (state.state !== "running") return;
  $("#bar").value = state.percent;
  document.title = `${Math.floor(state.percent)} % · ${state.file_name} · Stockroom`;
  if (state.cancel_requested || state.error || state.silent_seconds > SILENT_SECONDS) return;
  if (state.read_bytes < state.size_bytes) $("#words").textContent = `Reading ${bytes(state.read_bytes)} of ${bytes(state.size_bytes)}`;
  $("#left").textContent = left(state.seconds_left);
}

/** The page's part as the server writes it: words, buttons, what was found. */
async function refresh() {
  const before = $("#job").dataset.state;
  await window.htmx.ajax("GET", location.pathname + location.search, { target: "#job", swap: "outerHTML" });
  const page = $("#job");
  document.title = page.dataset.title;
  if ("ended" in page.dataset) {
    stream.close();
    clearInterval(asking);
  } else if (page.dataset.state !== before) stream.read();
}

/** Buttons that come where Cancel was: they take no click that was meant for it. */
function hold(buttons) {
  for (const button of buttons) button.disabled = true;
  setTimeout(() => { for (const button of buttons) button.disabled = false; }, HOLD_MS);
}

// The button that was pressed goes with what is swapped: the focus stays in the page.
let within = false;
document.addEventListener("htmx:beforeSwap", () => { within = $("#job").contains(document.activeElement); });
document.addEventListener("htmx:afterSwap", () => hold(document.querySelectorAll("#job form[action$='/repeat/'] button")));
document.addEventListener("htmx:afterSettle", () => {
  if (within && document.activeElement === document.body) $("#job h1").focus();
});

const stream = live(`stocksync-${id}`, {
  onSnapshot: show,
  fetchState,
  pollSeconds: 2,
  onStatus: (status) => {
    const tag = $("#live");
    if (!tag) return;
    const [words, kind] = TAG[status];
    tag.hidden = false;
    tag.textContent = words;
    tag.className = `tag ${kind}`;
  },
});

// A killed worker sends nothing: what is quiet is asked.
const asking = setInterval(() => {
  if (performance.now() - snapshotAt > QUIET_MS && !document.hidden) stream.read();
}, QUIET_MS);
