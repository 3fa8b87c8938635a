// The moment in a curve that one points at, or reaches with the arrow keys: its time and its amount.
// Points are [at, amount] with seconds since 1970, or [place, amount, time] with the time as text.
const WIDTH = 600;
const TIMES = {
  time: new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }),
  minute: new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" }),
};

const $ = (selector) => document.querySelector(selector);
let read = ""; // what `points` was made of
let points = [];
let looking = false;
let pointedAt = null; // clientX, while the pointer is above the curve

function load(slider) {
  const { points: text } = slider.closest(".plot").dataset;
  if (text === read) return;
  read = text;
  points = JSON.parse(text);
}

const share = ([at]) => (at - points[0][0]) / (points.at(-1)[0] - points[0][0] || 1);

function show() {
  const slider = $("#moment");
  if (!slider) return;
  load(slider);
  const point = points[Math.min(Number(slider.value), points.length - 1)];
  const time = TIMES[slider.closest(".plot").dataset.moments ?? "time"];
  const [at, amount, said = time.format(new Date(at * 1000))] = point;
  const words = `${said} · ${amount}`;
  slider.setAttribute("aria-valuetext", words);
  const x = (WIDTH * share(point)).toFixed(1);
  $("#at-moment").textContent = looking ? words : "";
  slider.closest(".plot").querySelector(".moment").setAttribute("d", looking ? `M${x},0V200` : "");
}

/** Moves to the point that is nearest to the pointer: they need not be evenly spaced. */
function point() {
  const slider = $("#moment");
  load(slider);
  const { left, width } = slider.closest(".plot").getBoundingClientRect();
  const wanted = (pointedAt - left) / width;
  const far = (number) => Math.abs(share(points[number]) - wanted);
  let nearest = 0;
  for (let number = 1; number < points.length; number += 1) if (far(number) < far(nearest)) nearest = number;
  slider.value = nearest;
}

function look(now) {
  looking = now;
  show();
}

document.addEventListener("pointermove", (event) => {
  if (!event.target.closest?.(".plot")) {
    pointedAt = null;
    if (looking && document.activeElement !== $("#moment")) look(false);
    return;
  }
  pointedAt = event.clientX;
  point();
  look(true);
});
document.addEventListener("keydown", () => { pointedAt = null; });
document.addEventListener("input", (event) => {
  if (event.target.id !== "moment") return;
  if (pointedAt !== null) point(); // the browser takes them for evenly spaced
  look(true);
});
document.addEventListener("focusin", (event) => event.target.id === "moment" && look(true));
document.addEventListener("focusout", (event) => event.target.id === "moment" && look(false));
document.addEventListener("refreshed", show);
show();
