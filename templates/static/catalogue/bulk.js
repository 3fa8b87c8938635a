// The page of a bulk change, live: the bar and the counts from its snapshots (the channel bulk-<id>).
// When its state changes, the server's own words take the place of all of it.
import { live } from "../live.js";

const $ = (selector) => document.querySelector(selector);
const TAG = { live: ["live", ""], polling: ["polling", "warn"], offline: ["offline", "bad"] };
const whole = new Intl.NumberFormat("en");

const id = $("#bulk").dataset.id;
let newest = "";

function left(seconds) {
  if (seconds === null) return "";
  if (seconds < 1) return "nearly there";
  return seconds < 90 ? `about ${Math.round(seconds)} s left` : `about ${Math.round(seconds / 60)} min left`;
}

async function fetchState() {
  const answer = await fetch(`/api/bulk-changes/${id}/`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`error ${answer.status}`);
  return answer.json();
}

function show(state) {
  const page = $("#bulk");
  if ("ended" in page.dataset) return;
  const now = `${state.state} ${state.cancel_requested}`;
  if (state.state !== page.dataset.state || (newest && newest !== now)) refresh();
  newest = now;
  for (const [name, number] of [["changed", state.changed], ["others", state.matched - state.changed]]) {
    const tile = page.querySelector(`[data-field="${name}"]`);
    if (tile) tile.textContent = whole.format(number);
  }
  if (state.percent !== null) $("#bulk-bar").value = state.percent;
  if (state.state !== "running" || state.cancel_requested || state.error) return;
  const about = state.expected_exact ? "" : "about ";
  $("#bulk-words").textContent = `${whole.format(state.matched)} of ${about}${whole.format(state.expected)} products`;
  $("#bulk-left").textContent = left(state.seconds_left);
}

/** The page's part as the server writes it: words, buttons, the undo at the end. */
async function refresh() {
  const stateBefore = $("#bulk").dataset.state;
  await window.htmx.ajax("GET", location.pathname + location.search, { target: "#bulk", swap: "outerHTML" });
  if ("ended" in $("#bulk").dataset) stream.close();
  else if ($("#bulk").dataset.state !== stateBefore) stream.read();
}

// The button that was pressed goes with what is swapped: the focus stays in the page.
let within = false;
document.addEventListener("htmx:beforeSwap", () => { within = $("#bulk").contains(document.activeElement); });
document.addEventListener("htmx:afterSettle", () => {
  if (within && document.activeElement === document.body) $("#bulk h1").focus();
});

const stream = live(`bulk-${id}`, {
  onSnapshot: show,
  fetchState,
  pollSeconds: 2,
  onStatus: (status) => {
    const tag = $("#bulk-live");
    const [words, kind] = TAG[status];
    tag.hidden = false;
    tag.textContent = words;
    tag.className = `tag ${kind}`;
  },
});
