// The list of endpoints and the page of one of them, live: after attempts (the channel `webhooks`)
// the server's part is fetched again, at most every 2 seconds.
import { live } from "../live.js";
import { pressing, selecting } from "./hands.js";

const PAUSE_MS = 2000;
const POLL_SECONDS = 5;
const TAG = { live: ["live", ""], polling: ["polling", "warn"], offline: ["offline", "bad"] };
const TOKEN = /name="csrfmiddlewaretoken" value="\w*"/g; // another one in each answer

let fetchedAt = -Infinity;
let timer = 0;
let shown = ""; // the answer that is shown

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig, serverResponse } = event.detail;
  if (requestConfig.elt !== target || !target.matches("[data-live]") || !event.detail.shouldSwap) return;
  const answer = serverResponse.replace(TOKEN, "");
  if (answer !== shown && !pressing() && !selecting(document.querySelector("main"))) {
    shown = answer;
    return;
  }
  event.detail.shouldSwap = false;
  if (answer !== shown) later();
});

async function refresh() {
  fetchedAt = performance.now();
  const target = document.querySelector("[data-live]");
  let answered = false;
  const done = ({ detail }) => { answered ||= detail.successful && detail.requestConfig.elt === target; };
  document.addEventListener("htmx:afterRequest", done);
  // What fails is said by base.js.
  await window.htmx.ajax("GET", location.pathname, { source: target, target, swap: "outerHTML show:none settle:0ms" }).catch(() => {});
  document.removeEventListener("htmx:afterRequest", done);
  if (!answered) throw new Error("no answer");
}

function later() {
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    stream.read();
  }, Math.max(0, fetchedAt + PAUSE_MS - performance.now()));
}

const stream = live("webhooks", {
  onSnapshot: (state) => { if (state.at) later(); },
  fetchState: async () => {
    await refresh();
    return {};
  },
  pollSeconds: POLL_SECONDS,
  onStatus: (status) => {
    const tag = document.querySelector("#live-tag");
    const [words, kind] = TAG[status];
    tag.hidden = false;
    tag.textContent = words;
    tag.className = `tag ${kind}`;
  },
});
