// A page's live state: one stream of server-sent events, polling where it fails.
//
//   import { live } from "./live.js";
//   const page = live("import-7", {
//     onSnapshot: (state) => …,          // each state, from the stream or by REST
//     fetchState: () => fetch(…).then((answer) => answer.json()),
//     pollSeconds: 3,                    // between polls while the stream is away
//     onStatus: (status) => …,           // "live", "polling" or "offline", for a badge
//     onEvent: { done: (data) => … },    // other events of the channel, by name
//   });
//   page.close();
//
// An event may be lost, so the state is read by REST whenever something may have been missed: when
// the stream opens, after `stream-reset`, and when it has been quiet for QUIET_SECONDS. A hidden tab
// holds no stream: browsers allow six connections to a host, over all tabs.

const SILENT_SECONDS = 45; // three keep-alives: a stream this silent is cut or held back by a proxy
const QUIET_SECONDS = 30; // keep-alives but no snapshot: the last one may have been lost
const REOPEN_SECONDS = 30; // between attempts at a stream that was refused
const RESET_SPREAD_MS = 500; // pages that are told to read again don't all do it at once

export function live(channel, { onSnapshot, fetchState, pollSeconds = 3, onStatus, onEvent = {},
  silentSeconds = SILENT_SECONDS, quietSeconds = QUIET_SECONDS, reopenSeconds = REOPEN_SECONDS }) {
  let source = null;
  let status = "";
  let closed = false;
  let reading = false; // a read is under way …
  let again = false; // … and what it reads may be too old
  let heardAt = 0; // anything from the stream
  let stateAt = -Infinity; // a state, from the stream or by REST
  let arrivals = 0; // snapshots from the stream
  let openedAt = 0;
  let timer = 0;

  const now = () => performance.now() / 1000;

  function say(next) {
    if (next !== status && !closed) {
      status = next;
      onStatus?.(status);
    }
  }

  async function read() {
    if (closed) return;
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    do {
      again = false;
      const before = arrivals;
      try {
        const state = await fetchState();
        if (closed) break;
        stateAt = now();
        // What came by the stream meanwhile is newer than the answer.
        if (before === arrivals) onSnapshot(state);
        say(isLive() ? "live" : "polling");
      } catch {
        if (!isLive()) say("offline");
      }
    } while (again && !closed);
    reading = false;
  }

  const isLive = () => source?.readyState === EventSource.OPEN && now() - heardAt < silentSeconds;

  function open() {
    shut();
    openedAt = heardAt = now();
    source = new EventSource(`/events/${encodeURIComponent(channel)}/`);
    source.addEventListener("stream-open", () => {
      heardAt = now();
      say("live");
      read();
    });
    source.addEventListener("stream-reset", () => {
      heardAt = now();
      setTimeout(read, Math.random() * RESET_SPREAD_MS);
    });
    source.addEventListener("keep-alive", () => {
      heardAt = now();
      say("live");
    });
    source.addEventListener("snapshot", (event) => {
      heardAt = stateAt = now();
      arrivals += 1;
      say("live");
      onSnapshot(JSON.parse(event.data));
    });
    for (const [name, handle] of Object.entries(onEvent)) {
      source.addEventListener(name, (event) => {
        heardAt = now();
        handle(JSON.parse(event.data));
      });
    }
    // The browser comes back by itself, except after a refusal (signed out, no such channel).
    source.addEventListener("error", () => tick());
  }

  function shut() {
    source?.close();
    source = null;
  }

  function tick() {
    if (closed || document.hidden) return;
    const time = now();
    if (isLive()) {
      if (time - stateAt > quietSeconds) read();
      return;
    }
    if (time - stateAt >= pollSeconds) read();
    const refused = source === null || source.readyState === EventSource.CLOSED;
    const silent = source?.readyState === EventSource.OPEN;
    if ((refused || silent) && time - openedAt > reopenSeconds) open();
  }

  function onVisibility() {
    if (closed) return;
    if (document.hidden) {
      shut();
      clearInterval(timer);
    } else {
      start();
    }
  }

  function start() {
    clearInterval(timer);
    timer = setInterval(tick, Math.min(pollSeconds, 1) * 1000);
    if (!document.hidden) open();
  }

  // A page kept for "back" must not keep its stream: the next page would lack a connection.
  const onPageHide = () => shut();
  const onPageShow = (event) => event.persisted && onVisibility();

  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("pagehide", onPageHide);
  window.addEventListener("pageshow", onPageShow);
  start();

  return {
    /** End it for good. */
    close() {
      closed = true;
      shut();
      clearInterval(timer);
      document.removeEventListener("visibilitychange", onVisibility);
      window.removeEventListener("pagehide", onPageHide);
      window.removeEventListener("pageshow", onPageShow);
    },
    /** Read the state by REST now. */
    read,
    get status() {
      return status;
    },
  };
}
