// A part of a page that is fetched again while things happen, to be laid over what is shown
// (morph.js), and its times.

/** The part's root with this id, as the server has it now; the times are the reader's already. */
export async function fetchPart(path, id) {
  const answer = await fetch(path, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const part = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
  if (!part) throw new Error("no part"); // signed out
  window.stockroom.localTimes(part);
  showTimes(part);
  for (const element of part.querySelectorAll("[data-needs-script]")) element.hidden = false;
  return part;
}

/** `run` again and again when asked to, one at a time, each at least `ms` after the last began. */
export function atMostEvery(ms, run) {
  let beganAt = -Infinity;
  let timer = 0;
  const begin = () => {
    timer = 0;
    beganAt = performance.now();
    run().catch(() => {}); // live.js says when the server is away
  };
  return () => {
    if (!timer) timer = setTimeout(begin, Math.max(0, beganAt + ms() - performance.now()));
  };
}

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** The times that base.js does not know: how far ahead one is, in the words of words.py; a day without its year. */
export function showTimes(root) {
  for (const time of root.querySelectorAll("time[data-day]")) {
    const at = new Date(time.dateTime);
    time.textContent = DAY.format(at);
    time.title = EXACT.format(at);
  }
  showUntil(root);
}

function showUntil(root) {
  for (const time of root.querySelectorAll("time[data-until]")) {
    const at = new Date(time.dateTime);
    const text = until((at - Date.now()) / 1000);
    if (time.textContent !== text) time.textContent = text;
    time.title = EXACT.format(at);
  }
}

function until(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 60) return `in ${Math.floor(seconds)} s`;
  if (seconds < 3600) return `in ${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86400) return `in ${Math.floor(seconds / 3600)} h`;
  return `in ${Math.floor(seconds / 86400)} days`;
}

setInterval(() => showUntil(document), 1000);
document.addEventListener("htmx:load", () => showTimes(document));
showTimes(document);
