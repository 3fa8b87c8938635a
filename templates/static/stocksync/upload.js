// Sends a file of events as soon as it is chosen, with its progress. Without it the same form works
// as a plain page.
import { bytes, left, percent } from "../imports/words.js";

const $ = (selector) => document.querySelector(selector);
const form = $("#upload");
const SPEED_SECONDS = 8; // how far back the shown speed looks
const LOST = "The connection was lost before the whole file was here. Nothing was stored: choose it again.";
const SIGNED_OUT = "You are signed out by now. Sign in in another tab, then choose the file again.";
const ELSEWHERE = "The server did not take the form. Reload this page, then choose the file again.";
const SLOW = "The file came too slowly, so the server gave up. Choose it again.";

const UNITS = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];

let request = null;
let samples = [];

function choose(file) {
  if (!file || request) return;
  const most = Number(form.dataset.most);
  if (!file.size) refuse("This file is empty. Choose one with an event in each line.");
  else if (file.size > most) refuse(`This file is too large: it has ${atLeast(file.size)}, and at most ${form.dataset.mostWords} are taken.`);
  else send(file);
}

/** A size that is above a limit, rounded up, so that it never reads like the limit itself. */
function atLeast(size) {
  const [unit, name] = UNITS.find(([each]) => size >= each) ?? [1, "bytes"];
  return unit === 1 ? `${size} bytes` : `${(Math.ceil(size / (unit / 100)) / 100).toFixed(2)} ${name}`;
}

function send(file) {
  const data = new FormData();
  data.append("clock", new FormData(form).get("clock"));
  data.append("file", file);
  samples = [];
  request = new XMLHttpRequest();
  request.open("POST", location.pathname);
  request.setRequestHeader("X-CSRFToken", window.stockroom.csrf());
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", (event) => show(event.loaded, event.total));
  request.addEventListener("load", (event) => answered(event.target));
  request.addEventListener("error", () => refuse(LOST));
  request.addEventListener("abort", () => refuse("The upload was aborted, and nothing was stored.", "warn"));
  $("#wrong").hidden = $("#choose").hidden = true;
  $("#sending").hidden = false;
  $("#sending-title").textContent = `Uploading ${file.name}`;
  $("#sending-title").focus();
  show(0, file.size);
  request.send(data);
}

function show(sent, size) {
  const whole = sent >= size;
  $("#bar").value = (100 * sent) / size;
  $("#words").textContent = whole ? "All of it is sent; the job begins" : `${bytes(sent)} of ${bytes(size)} · ${percent(sent, size)} %`;
  $("#left").textContent = whole ? "" : left(secondsLeft(sent, size));
  document.title = `${percent(sent, size)} % · New job · Stockroom`;
}

function secondsLeft(sent, size) {
  const now = performance.now() / 1000;
  samples.push([now, sent]);
  while (now - samples[0][0] > SPEED_SECONDS) samples.shift();
  const [then, before] = samples[0];
  return now - then < 0.3 || sent <= before ? null : ((size - sent) * (now - then)) / (sent - before);
}

function answered({ status, responseText, responseURL }) {
  let answer = null;
  try {
    answer = JSON.parse(responseText);
  } catch { /* a page, or a proxy's words */ }
  if (answer?.url) {
    request = null; // or leaving the page would be asked back
    location.assign(answer.url);
    return;
  }
  if (answer?.error) refuse(answer.error.message);
  else if (new URL(responseURL).pathname.startsWith("/login/")) refuse(SIGNED_OUT);
  else if (status === 403) refuse(ELSEWHERE);
  else if (status === 408) refuse(SLOW);
  else if (status === 413) refuse(`This file is too large: at most ${form.dataset.mostWords} are taken.`);
  else if (status === 503) refuse("The server has too many uploads at the moment. Try again in a few seconds.");
  else refuse(`The server could not take the file (error ${status}). Try again; if it stays, look at Operations.`);
}

/** Back to the choice, with what went wrong. */
function refuse(text, kind = "bad") {
  const wasSending = request !== null;
  request = null;
  document.title = "New job · Stockroom";
  $("#sending").hidden = true;
  $("#choose").hidden = false;
  $("#wrong").className = `notice ${kind}`;
  $("#wrong").textContent = text;
  $("#wrong").hidden = false;
  if (wasSending) $("#file").focus();
}

$("#file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  choose(file);
  event.target.value = ""; // the same file may be chosen again
});
$("#abort").addEventListener("click", () => request?.abort());
form.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); $("#drop").classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); $("#drop").classList.remove("over"); });
}
document.addEventListener("drop", ({ dataTransfer: { files } }) => {
  if (request) return;
  if (files.length > 1) refuse(`These are ${files.length} files, and none was taken. Drop one: each file is a job of its own.`);
  else choose(files[0]);
});
addEventListener("beforeunload", (event) => { if (request) event.preventDefault(); });
addEventListener("pagehide", () => { if (request) request.abort(); });
