// The table of rejected rows, by line, more on request.
import { api } from "./api.js";
import { count } from "./words.js";

const $ = (selector) => document.querySelector(selector);
const FIRST = 50;
const REFRESH_MS = 2000;

export class Rejects {
  constructor(importId) {
    this.url = `/api/imports/${importId}/rejects/?page_size=${FIRST}`;
    this.next = null;
    this.shown = 0;
    this.total = 0;
    this.busy = false;
    $("#more-rejects").addEventListener("click", () => this.#load(this.next));
  }

  /** Fill the table when there are rejects it does not show yet. */
  update(total) {
    if (total === this.total && total >= 0) return;
    this.total = total;
    $("#rejects").hidden = total === 0;
    if (this.#more) this.#soon();
    this.#words();
  }

  #soon() {
    if (this.timer) return;
    this.timer = setTimeout(() => { this.timer = null; this.#load(this.url, true); }, this.shown ? REFRESH_MS : 0);
  }

  async #load(url, replace = false) {
    if (this.busy || !url) return;
    this.busy = true;
    try {
      const page = await api(url);
      const rows = page.results.map(row);
      if (replace) $("#reject-rows").replaceChildren(...rows);
      else $("#reject-rows").append(...rows);
      this.shown = $("#reject-rows").children.length;
      this.next = page.next;
      this.#words();
    } catch (error) {
      window.stockroom.toast(`The rejected rows can't be shown: ${error.message}`, "error");
    } finally {
      this.busy = false;
    }
    if (this.#more) this.#soon();
  }

  /** Whether the first page should be asked for again; one of long lines has fewer, and a next. */
  get #more() { return this.shown < FIRST && this.shown < this.total && !this.next; }

  #words() {
    $("#reject-count").textContent = `${count(Math.min(this.shown, this.total))} of ${count(this.total)} shown`;
    $("#more-rejects").hidden = !this.next;
  }
}

function row(reject) {
  const line = document.createElement("tr");
  for (const [text, kind] of [
    [count(reject.line), "num mono"], [reject.column || "–", ""], [reject.reason, "keep"], [reject.raw.slice(0, 2000), "clip mono"],
  ]) {
    const cell = document.createElement("td");
    cell.className = kind;
    cell.textContent = text;
    if (kind.startsWith("clip")) cell.title = text;
    line.append(cell);
  }
  return line;
}
