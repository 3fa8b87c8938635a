// What every page shares: CSRF for htmx, toasts, dialogs, copy buttons, local
// times and the colour scheme. Everything hangs on data attributes, so a part
// of a page swapped in by htmx works without set-up.
window.stockroom = (() => {
  const $ = (selector) => document.querySelector(selector);

  /** The CSRF token for fetch(): send it as X-CSRFToken with every unsafe request. */
  function csrf() {
    const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
    return cookie ? decodeURIComponent(cookie.slice("csrftoken=".length)) : "";
  }

  /**
   * Say something in the corner. Levels: success and info leave by themselves,
   * warning and error stay. What is being said already is not said again.
   */
  function toast(text, level = "info") {
    const same = [...document.querySelectorAll(".toast > span")].find((words) => words.textContent === text);
    if (same) return same.parentElement;
    const note = document.createElement("div");
    note.className = `toast ${level}`;
    const words = document.createElement("span");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.dataset.dismiss = "";
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "×";
    note.append(words, close);
    $("#messages").append(note);
    return note;
  }

  const TOAST_MS = 8000;
  const ACTION_MS = 30000; // one that offers Undo or a link
  function fade(note) {
    if (!note.matches(".toast.success, .toast.info")) return;
    const stay = note.querySelector("form, a") ? ACTION_MS : TOAST_MS;
    const leave = () => {
      // Still being read or pointed at: stay another while.
      if (note.matches(":hover, :focus-within")) setTimeout(leave, TOAST_MS);
      else note.remove();
    };
    setTimeout(leave, stay);
  }

  // <time datetime="…" data-local="time|minute|date|seconds|ago|"> in the reader's zone and habits.
  const TIME_STYLES = {
    "": { dateStyle: "medium", timeStyle: "short" },
    date: { dateStyle: "medium" },
    time: { timeStyle: "medium" },
    minute: { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" },
    seconds: { dateStyle: "medium", timeStyle: "medium" },
  };
  function localTimes(root) {
    for (const time of root.querySelectorAll("time[data-local]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const { local } = time.dataset;
      time.textContent = local === "ago" ? ago(at) : new Intl.DateTimeFormat(undefined, TIME_STYLES[local]).format(at);
      time.title = local === "ago" ? new Intl.DateTimeFormat(undefined, TIME_STYLES[""]).format(at) : time.dateTime;
    }
  }

  /** "now", "2 min ago", "3 h ago", then the date. */
  function ago(at) {
    const minutes = Math.floor((Date.now() - at) / 60000);
    if (minutes < -1 || minutes >= 24 * 60) return new Intl.DateTimeFormat(undefined, TIME_STYLES.date).format(at);
    if (minutes < 1) return "now";
    return minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
  }

  function chooseTheme(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      if (theme === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch { /* storage refused: the choice lasts for this page */ }
    showTheme();
  }

  function showTheme() {
    const theme = document.documentElement.dataset.theme || "system";
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
    }
  }

  async function copy(button) {
    const source = $(button.dataset.copy);
    const text = source.value ?? source.textContent.trim();
    try {
      await navigator.clipboard.writeText(text);
      const words = button.querySelector("span") ?? button;
      const before = words.textContent;
      words.textContent = "Copied";
      setTimeout(() => { words.textContent = before; }, 2000);
    } catch {
      // No permission, or plain http to another host: select it for Ctrl-C.
      source.hidden = false; // what is only there to be copied
      getSelection().selectAllChildren(source);
      toast("Your browser does not let the page copy. The text is selected: press Ctrl+C (⌘C).", "warning");
    }
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-dialog], [data-dismiss], [data-copy], [data-theme-choice], [data-reload]");
    if (!target) return;
    if ("dialog" in target.dataset) $(target.dataset.dialog).showModal();
    else if ("dismiss" in target.dataset) (target.closest("dialog")?.close(), target.closest(".toast")?.remove());
    else if ("copy" in target.dataset) copy(target);
    else if ("themeChoice" in target.dataset) chooseTheme(target.dataset.themeChoice);
    else if ("reload" in target.dataset) location.reload();
  });

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = csrf();
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { status } = event.detail.xhr;
    if (status === 403) toast("You may not do this. If you signed in again in another tab, reload the page first.", "error");
    else if (status === 404) toast("It is not there any more. Reload the page to see the current state.", "error");
    else toast(`The server could not do this (error ${status}). Try again; if it stays, look at Operations.`, "error");
  });
  let offline = null;
  document.addEventListener("htmx:sendError", () => {
    offline = toast("The server does not answer. Check your connection, then try again.", "error");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    offline?.remove();
    event.target.closest?.(".toast")?.remove(); // Undo was pressed
  });
  // Before the new part is painted; htmx:load comes some frames later.
  document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target.parentElement ?? document));
  document.addEventListener("htmx:load", (event) => localTimes(event.detail.elt.parentElement ?? document));

  // What was chosen before the scripts were there, or is put back by the browser, nobody has sent.
  document.addEventListener("DOMContentLoaded", () => {
    for (const form of document.querySelectorAll("form[hx-get]")) {
      const early = [...form.elements].filter(isTouched);
      for (const control of early) control.dispatchEvent(new Event("change", { bubbles: true }));
      const events = form.getAttribute("hx-trigger").split(",").map((each) => each.trim().split(" ")[0]);
      if (early.length && !events.includes("change")) form.requestSubmit();
    }
  });
  function isTouched(control) {
    // Line breaks of an address are in the default, and in no value.
    if (control.type === "search" || control.type === "text") return control.value !== control.defaultValue.replace(/[\r\n]/g, "");
    if (control.type === "checkbox") return control.checked !== control.defaultChecked;
    if (control.type === "radio") return control.checked && !control.defaultChecked;
    if (control.type !== "select-one") return false;
    const chosen = [...control.options].findLastIndex((option) => option.defaultSelected);
    return control.selectedIndex !== Math.max(0, chosen);
  }

  // base.js is deferred: the document is complete here.
  for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;
  for (const note of document.querySelectorAll(".toast")) fade(note);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) fade(node);
  }).observe($("#messages"), { childList: true });
  localTimes(document);
  setInterval(() => localTimes(document), 60000); // "2 min ago" ages
  showTheme();

  return { csrf, toast, localTimes };
})();
