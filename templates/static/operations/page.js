// Operations, live: after each sample (channel "operations") the server's part is fetched again and
// what differs is put into the page. Between samples only their age counts up.
import { live } from "../live.js";
import { morph } from "../morph.js";
import { followSignOut } from "../signed_out.js";

const POLL_SECONDS = 5;
const QUIET_SECONDS = 15; // samples that stop are to be seen too
const TAG = { live: ["live", ""], polling: ["polling", "warn"], offline: ["offline", "bad"] };

const part = () => document.querySelector("#operations");
let sampledAt = 0; // by this page's clock

/** "3 s", "2 min", "1 h". */
function duration(seconds) {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

function remember() {
  const age = document.querySelector("#sampled")?.dataset.age;
  if (age !== undefined) sampledAt = performance.now() - Number(age) * 1000;
}

function count() {
  const age = document.querySelector("#sampled");
  if (age) age.textContent = duration((performance.now() - sampledAt) / 1000);
}

async function refresh() {
  const answer = await fetch(location.pathname, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
  followSignOut(answer);
  if (!answer.ok) throw new Error(`error ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#operations");
  if (!fresh) throw new Error("no part of this page");
  const found = document.importNode(fresh, true);
  window.stockroom.localTimes(found);
  morph(part(), found);
  document.title = `${document.querySelector("#headline").textContent.trim()} · Operations · Stockroom`;
  remember();
  count();
}

const page = live("operations", {
  onSnapshot: (state) => { if (Object.keys(state).length) page.read(); }, // what fetchState gives has none
  fetchState: async () => {
    await refresh();
    return {};
  },
  pollSeconds: POLL_SECONDS,
  quietSeconds: QUIET_SECONDS,
  onStatus: (status) => {
    const tag = document.querySelector("#live-tag");
    const [words, kind] = TAG[status];
    tag.hidden = false;
    tag.textContent = words;
    tag.className = `tag ${kind}`;
    if (status === "offline") part().classList.add("old");
  },
});

remember();
setInterval(count, 1000);
