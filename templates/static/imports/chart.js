// Rows per second of the last minute, from the growth of a counter.
import { count } from "./words.js";

const MOST_SECONDS = 60;
const LEAST_SECONDS = 10; // a short import fills the chart too
const SMOOTH_SECONDS = 1; // parts are read whole: shorter steps would only show their edges
const WIDTH = 300;
const HEIGHT = 56;

export class RateChart {
  constructor(svg, now, peak, from) {
    Object.assign(this, { svg, now, peak, from, points: [], last: null });
  }

  /** `total` only grows within a `phase`; a new phase begins a new count. */
  add(phase, total) {
    const at = performance.now() / 1000;
    const last = this.last;
    if (last && last.phase === phase && at - last.at < SMOOTH_SECONDS) return;
    if (last && last.phase === phase && total >= last.total) {
      this.points.push({ at, rate: (total - last.total) / (at - last.at) });
    }
    this.last = { phase, total, at };
    this.draw();
  }

  draw() {
    const now = performance.now() / 1000;
    this.points = this.points.filter((point) => now - point.at <= MOST_SECONDS);
    const span = Math.max(LEAST_SECONDS, this.points.length ? now - this.points[0].at : 0);
    this.from.textContent = `${Math.round(span)} s ago`;
    const top = Math.max(1, ...this.points.map((point) => point.rate));
    const line = this.points
      .map((point, n) => {
        const x = WIDTH * (1 - (now - point.at) / span);
        const y = HEIGHT - 4 - (HEIGHT - 8) * (point.rate / top);
        return `${n ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`;
      })
      .join(" ");
    this.svg.querySelector(".line").setAttribute("d", line);
    const first = this.points[0];
    const startX = first ? WIDTH * (1 - (now - first.at) / span) : 0;
    const endX = first ? WIDTH * (1 - (now - this.points.at(-1).at) / span) : 0;
    this.svg.querySelector(".area").setAttribute("d", line ? `${line} L${endX},${HEIGHT} L${startX},${HEIGHT}z` : "");
    this.now.textContent = this.points.length ? `${count(this.points.at(-1).rate)} rows/s` : "";
    this.peak.textContent = this.points.length ? `peak ${count(top)} rows/s` : "";
  }
}
