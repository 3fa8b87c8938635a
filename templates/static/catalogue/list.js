// The list of products: search as you type with Back and Forward, ticked rows, rows that open the
// dialog (panel.js), keys. Its state is its address; without this file it works by links and forms.
const $ = (selector) => document.querySelector(selector);
const PAUSE_MS = 1000; // typing that stops this long becomes an entry of the history

const results = $("#results");
const search = $("#search");
const input = $("#q");
let entryMade = false; // the present run of typing has its entry already: go on in that
let pause = 0;
let touched = null; // a product that was saved or made: its row is shown as such
let lastTick = null; // where a range with Shift begins

// Search, filters, order, pages ------------------------------------------------------------

const address = () => location.pathname + location.search;

/** Show `path` without touching the history: it is there already. */
function load(path) {
  get(path, "#results");
}

function get(path, target) {
  // It is refused when a newer request takes its place; what fails is said by base.js.
  window.htmx.ajax("GET", path, { source: target, target }).catch(() => {});
}

input.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => { entryMade = false; }, PAUSE_MS);
});

document.addEventListener("htmx:configRequest", (event) => {
  const { elt, formData } = event.detail;
  if (elt === search) {
    for (const [name, value] of [...formData]) {
      if (!value.trim()) formData.delete(name);
    }
    const same = `?${new URLSearchParams(formData)}` === (location.search || "?");
    search.setAttribute("hx-push-url", String(!same && !entryMade));
    search.setAttribute("hx-replace-url", String(!same && entryMade));
  } else if (elt.dataset.sets) {
    // The link was made before the last letters were typed or the last filter was chosen.
    const to = new URL(elt.href); // htmx keeps the first one it has had
    const chosen = new FormData(search);
    for (const name of ["q", "state", "sort"].filter((each) => each !== elt.dataset.sets)) {
      const value = chosen.get(name)?.trim();
      if (value) to.searchParams.set(name, value);
      else to.searchParams.delete(name);
    }
    event.detail.path = to.pathname + to.search;
    keep(elt.dataset.sets, to.searchParams.get(elt.dataset.sets));
  }
});

/** In the search form, for a search that is on its way. */
function keep(name, value) {
  let field = search.elements[name];
  if (!value) field?.remove();
  else {
    if (!field) {
      field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      $("#filters").append(field);
    }
    field.value = value;
  }
}

document.addEventListener("htmx:pushedIntoHistory", () => {
  entryMade = document.activeElement === input;
});

// Back and Forward go the way of all other requests, so that the latest one wins.
document.addEventListener("htmx:historyCacheMiss", (event) => {
  event.preventDefault();
  entryMade = false;
  load(event.detail.path);
});

let ticked = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target !== results) return;
  // The same page again, after a change: what was ticked stays ticked.
  const again = event.detail.requestConfig.elt === results && event.detail.pathInfo.requestPath === address();
  ticked = again ? boxes().filter((box) => box.checked).map((box) => box.value) : [];
});

// Not sooner: what htmx settles are the attributes of what has an id.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target !== results || event.target !== results) return;
  const found = $("#found");
  const { elt } = event.detail.requestConfig;
  if (elt !== search && (elt !== results || document.activeElement !== input)) {
    input.value = found.dataset.search;
  }
  document.title = `${found.dataset.search ? `${found.dataset.search} · ` : ""}Products · Stockroom`;
  for (const box of boxes()) box.checked = ticked.includes(box.value);
  lastTick = null;
  showTicked();
  showTouched();
  $("#announce").textContent = found.dataset.says;
  // The link that was followed is gone: go on from the rows.
  if (document.activeElement === document.body && !$("#panel").open) {
    results.querySelector(".scroll, a")?.focus({ preventScroll: true });
  }
});

// Ticked rows --------------------------------------------------------------------------------

const boxes = () => [...results.querySelectorAll("input[name=ids]")];

function showTicked() {
  const selection = $("#bulk");
  if (!selection) return;
  const everything = $("#everything");
  const all = boxes();
  const count = all.filter((box) => box.checked).length;
  for (const box of all) {
    box.disabled = Boolean(everything?.checked);
    box.closest("tr").classList.toggle("ticked", box.checked);
  }
  const head = $("#tick-all");
  head.checked = count === all.length;
  head.indeterminate = count > 0 && count < all.length;
  selection.classList.toggle("some", count > 0);
  $("#selected").textContent = everything?.checked ? everything.dataset.selected : `${count} selected`;
}

function tick(list, checked) {
  const everything = $("#everything");
  if (everything && !checked) everything.checked = false;
  for (const box of list) box.checked = checked;
  showTicked();
}

results.addEventListener("click", (event) => {
  const box = event.target;
  if (box.id === "untick") tick(boxes(), false);
  if (!box.matches?.("input[name=ids]")) return;
  const all = boxes();
  const at = all.indexOf(box);
  const from = event.shiftKey && lastTick !== null ? lastTick : at;
  lastTick = at;
  tick(all.slice(Math.min(from, at), Math.max(from, at) + 1), box.checked);
});
// With Shift a click would select the text between.
results.addEventListener("mousedown", (event) => {
  if (event.shiftKey && event.target.closest(".tick")) event.preventDefault();
});
results.addEventListener("change", (event) => {
  if (event.target.id === "tick-all") tick(boxes(), event.target.checked);
  if (event.target.id === "everything") tick(boxes(), event.target.checked);
});
results.addEventListener("keydown", (event) => {
  // Return in a box would press the form's first button. It leads there instead.
  if (event.key !== "Enter" || !event.target.matches("input[type=checkbox]")) return;
  event.preventDefault();
  if (!event.target.closest("#bulk")) $("#bulk.some [name=action]")?.focus();
});
window.addEventListener("pageshow", showTicked);

// Rows open the dialog -----------------------------------------------------------------------

const plain = (event) => event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;

function open(link) {
  link.focus({ preventScroll: true }); // where the focus comes back to
  get(link.getAttribute("href"), "#panel-content");
}

document.addEventListener("click", (event) => {
  if (!plain(event) || event.defaultPrevented) return;
  const link = event.target.closest("a[data-panel]");
  if (link) {
    event.preventDefault();
    open(link);
    return;
  }
  const row = event.target.closest("#results tr[data-id]");
  if (row && !event.target.closest("a, button, input, label") && getSelection().isCollapsed) open(row.querySelector("a[data-panel]"));
});

for (const name of ["product-saved", "product-created", "product-deleted", "products-changed"]) {
  document.addEventListener(name, (event) => {
    touched = event.detail?.id ?? null;
    load(address());
  });
}

function showTouched() {
  const row = touched && results.querySelector(`tr[data-id="${CSS.escape(touched)}"]`);
  touched = null;
  row?.classList.add("touched");
}

// Keys ---------------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape" && event.target === input && input.value) {
    event.preventDefault();
    input.value = "";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (event.key === "/" && !$("dialog[open]") && !event.target.closest("textarea, select, input:not([type=checkbox])")) {
    event.preventDefault();
    input.focus();
    input.select();
  }
});
