// Pages of streams, live: after snapshots (the channel that data-live names) the server's part is
// fetched again, at most once a second, and what differs is put into the page.
import { live } from "../live.js";
import { morph } from "../morph.js";
import { followSignOut } from "../signed_out.js";

const PAUSE_MS = 1000;
const QUIET_MS = 2500; // snapshots that stop are to be seen too
const TYPING_MS = 200;
const TAG = { live: ["live", ""], polling: ["polling", "warn"], offline: ["offline", "bad"] };

const part = () => document.querySelector("[data-live]");
const form = () => document.querySelector("#find-form");

let fetchedAt = -Infinity;
let timer = 0;
let said = null; // what onStatus was told last

async function refresh() {
  fetchedAt = performance.now();
  const { pathname, search } = location;
  const answer = await fetch(pathname + search, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
  followSignOut(answer);
  if (!answer.ok) throw new Error(`error ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
  if (!fresh) throw new Error("no part of this page");
  if (location.search !== search) return later(0); // the filter was changed meanwhile
  const found = document.importNode(fresh, true);
  for (const each of found.querySelectorAll("[data-needs-script]")) each.hidden = false;
  window.stockroom.localTimes(found);
  morph(part(), found);
  showStatus(); // the tag may be in the part
  part().dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
}

function showStatus() {
  if (!said) return;
  const tag = document.querySelector("#live-tag");
  const [words, kind] = TAG[said];
  tag.hidden = false;
  tag.textContent = words;
  tag.className = `tag ${kind}`;
}

function later(pause = PAUSE_MS) {
  clearTimeout(timer);
  timer = setTimeout(stream.read, Math.max(0, fetchedAt + pause - performance.now()));
}

const stream = live(part().dataset.live, {
  onSnapshot: (state) => { if (Object.keys(state).length) later(); }, // what fetchState gives has none
  fetchState: async () => {
    await refresh();
    return {};
  },
  pollSeconds: 2,
  onStatus: (status) => {
    said = status;
    showStatus();
    if (status === "offline") part().classList.add("old");
  },
});

setInterval(() => {
  if (performance.now() - fetchedAt > QUIET_MS && !document.hidden) stream.read();
}, QUIET_MS);

// The filter: as one types, and by Enter.
let typing = 0;
function filter() {
  clearTimeout(typing);
  if (!form()) return;
  const query = new URLSearchParams(new FormData(form()));
  if (!query.get("find")) query.delete("find");
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  stream.read();
}
document.addEventListener("input", (event) => {
  if (event.target.id !== "find") return;
  clearTimeout(typing);
  typing = setTimeout(filter, TYPING_MS);
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "find-form") return;
  event.preventDefault();
  filter();
});
