// The log of deliveries: filters with Back and Forward, rows that open, and the first page live.
// Its state is its address; without this file it works by links and the form.
import { live } from "../live.js";
import { morph } from "../morph.js";
import { atMostEvery, fetchPart } from "./deliveries_part.js";
import { fillSince, sendSince, watchSince } from "./deliveries_since.js";
import { pressing, selecting } from "./hands.js";

const $ = (selector) => document.querySelector(selector);
const REFRESH_MS = 2000;
const HANDS_OFF_MS = 1000; // between looks whether somebody is still at the rows

const results = $("#results");
const form = $("#filter");
const newer = $("#newer");
const tag = $("#live-tag");

const address = () => location.pathname + location.search;

// Filters, pages ---------------------------------------------------------------------------------

watchSince(form);

document.addEventListener("htmx:configRequest", (event) => {
  const { elt, formData } = event.detail;
  if (elt !== form) return;
  sendSince(form, formData);
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});

// Back and Forward go the way of all other requests, so that the latest one wins.
document.addEventListener("htmx:historyCacheMiss", (event) => {
  event.preventDefault();
  window.htmx.ajax("GET", event.detail.path, { source: results, target: results }).catch(() => {});
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target !== results || event.target !== results) return;
  const found = $("#found");
  newer.hidden = true;
  if (event.detail.requestConfig.elt !== form) fill(found.dataset);
  $("#announce").textContent = found.dataset.says;
  showLive();
  // The link that was followed is gone: go on from the rows.
  if (document.activeElement === document.body) results.querySelector(".scroll, a")?.focus({ preventScroll: true });
});

function fill({ q, endpoint, event_type: eventType, state, since, at }) {
  form.elements.q.value = q;
  form.elements.endpoint.value = endpoint;
  form.elements.event_type.value = eventType;
  for (const choice of form.elements.state) choice.checked = choice.value === state;
  fillSince(form, since, at);
}

// Rows open --------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.defaultPrevented) return;
  const row = event.target.closest("#results tr[data-id]");
  if (row && !event.target.closest("a, button, input, label") && getSelection().isCollapsed) row.querySelector("a").click();
});

// Live -------------------------------------------------------------------------------------------

let status = "";
let held = null; // the newest rows, not all shown while somebody is at the present ones
let waiting = 0;

const isFirst = () => "first" in $("#found").dataset;
const rows = (part) => [...part.querySelectorAll("tr[data-id]")];

/** Whether new rows would shift what somebody reads, points at or has the focus in. */
function inHands() {
  const scroll = $("#log-scroll");
  if (!scroll) return false;
  return scroll.matches(":hover") || scroll.contains(document.activeElement) && document.activeElement !== scroll
    || selecting(scroll) || scroll.getBoundingClientRect().top < 0;
}

let turns = 0; // an older answer never takes the place of a newer one

async function refresh() {
  const path = address();
  if (!isFirst() || document.hidden) return;
  turns += 1;
  const turn = turns;
  const part = await fetchPart(path, "found");
  if (turn !== turns || path !== address() || document.querySelector("#log .htmx-request, #log.htmx-request")) return;
  held = { part, path };
  takeHeld();
}

/** Show what came, as far as nothing moves under somebody's hands; the rest when they are off. */
function takeHeld() {
  clearTimeout(waiting);
  if (held?.path !== address()) held = null;
  else if (pressing() || held.told && inHands()) waiting = setTimeout(takeHeld, HANDS_OFF_MS);
  else if (inHands()) tell(held);
  else show(held.part);
}

function show(part) {
  held = null;
  newer.hidden = true;
  const found = $("#found");
  morph(found, part);
  window.htmx.process(found);
}

/** Bring the rows that are there up to date, and say how many more there are. */
function tell(news) {
  const old = new Map(rows($("#found")).map((row) => [row.id, row]));
  let more = 0;
  for (const row of rows(news.part)) {
    const shown = old.get(row.id);
    if (!shown) more += 1;
    else if (!selecting(shown)) morph(shown, row.cloneNode(true));
  }
  newer.firstElementChild.textContent = `${more} new`;
  newer.hidden = more === 0;
  news.told = true;
  waiting = setTimeout(takeHeld, HANDS_OFF_MS);
}

newer.addEventListener("click", () => {
  if (held?.path === address()) show(held.part);
  $("#log-scroll")?.focus({ preventScroll: true });
  $("#log").scrollIntoView({ block: "nearest" });
});

function showLive() {
  tag.hidden = !status || !isFirst();
  tag.textContent = status;
  tag.className = `tag ${{ live: "", polling: "warn", offline: "bad" }[status] ?? "off"}`;
}

const soon = atMostEvery(() => REFRESH_MS, refresh);
live("webhooks", {
  fetchState: refresh,
  onSnapshot: (event) => event && soon(),
  onStatus: (now) => {
    status = now;
    showLive();
  },
});
