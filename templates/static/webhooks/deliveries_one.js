// One delivery: while it is on its way, what happens is shown at once.
import { live } from "../live.js";
import { morph } from "../morph.js";
import { atMostEvery, fetchPart } from "./deliveries_part.js";
import { pressing, selecting } from "./hands.js";

const REFRESH_MS = 2000;
const FAR_MS = 15000; // its next attempt is far: others' attempts call in vain
const HANDS_OFF_MS = 1000;

const shown = () => document.querySelector("#delivery");
let stream = null;

let turns = 0; // an older answer never takes the place of a newer one

async function refresh() {
  turns += 1;
  const turn = turns;
  const part = await fetchPart(location.pathname, "delivery");
  if (turn !== turns) return;
  if (pressing() || selecting(shown())) {
    setTimeout(soon, HANDS_OFF_MS);
    return;
  }
  const before = shown().dataset.state;
  morph(shown(), part);
  if (before !== part.dataset.state) {
    const { textContent } = document.querySelector("#state").parentElement;
    document.querySelector("#announce").textContent = textContent;
  }
  if (!("live" in part.dataset)) stream?.close();
}

const soon = atMostEvery(() => ("far" in shown().dataset ? FAR_MS : REFRESH_MS), refresh);
if ("live" in shown().dataset) stream = live("webhooks", { fetchState: refresh, onSnapshot: (event) => event && soon() });

// Its time has come: look, also where nobody calls.
setInterval(() => {
  const due = [...document.querySelectorAll("#delivery[data-live] time[data-until]")].some((time) => new Date(time.dateTime) < Date.now());
  if (due && !document.hidden) soon();
}, REFRESH_MS);
