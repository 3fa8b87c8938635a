// The product form, on its own page and in the list's dialog #panel: asks before unsaved changes are
// lost, counts characters near a limit, saves with Ctrl+Enter and sends once. Without it the form works
// as a plain page.
(() => {
  const LOSE = "Leave without saving? Your changes are lost.";
  // Answers that are parts to be shown: not there any more, changed meanwhile, not valid.
  const SHOWN = [404, 409, 422];
  const dialog = document.querySelector("#panel");
  const content = document.querySelector("#panel-content");
  let sending = false;

  const form = () => document.querySelector("#product-form");

  /** Whether the form holds what is not saved, also when the server sent it back with errors. */
  function isDirty() {
    for (const first of form()?.querySelectorAll("[name^='initial-']") ?? []) {
      const field = form().elements[first.name.slice("initial-".length)];
      const now = field.type === "checkbox" ? (field.checked ? "True" : "False") : field.value;
      if (now.replaceAll("\r\n", "\n") !== first.value.replaceAll("\r\n", "\n")) return true;
    }
    return false;
  }

  const mayLeave = () => !isDirty() || confirm(LOSE);

  function close() {
    if (mayLeave()) dialog.close();
  }

  function count(field) {
    const words = document.getElementById(`${field.id}_counter`);
    if (!words) return;
    const left = field.maxLength - field.value.length;
    words.hidden = left > Math.min(500, field.maxLength / 10);
    words.textContent = left === 1 ? "1 character left" : `${left.toLocaleString("en")} characters left`;
  }

  function release() {
    sending = false;
    const button = form()?.querySelector("[type=submit]");
    if (!button) return;
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }

  document.addEventListener("input", (event) => {
    if (event.target.form?.id === "product-form") count(event.target);
  });

  document.addEventListener("keydown", (event) => {
    const inForm = event.target.closest?.("#product-form");
    if (inForm && event.key === "Enter" && (event.ctrlKey || event.metaKey)) inForm.requestSubmit();
  });

  // In the dialog htmx sends the form, and says itself when it is done.
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "product-form") return;
    if (sending) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (event.target.hasAttribute("hx-post")) return;
    sending = true;
    const button = event.target.querySelector("[type=submit]");
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
  }, true);

  // "Keep theirs" says already that one's own changes go.
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-give-up]") && !event.target.closest("#panel")) sending = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!sending && isDirty()) event.preventDefault();
  });
  window.addEventListener("pageshow", (event) => event.persisted && release());
  form()?.querySelectorAll("[maxlength]").forEach(count);

  if (!dialog || !content) return;

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#panel [data-panel-close]")) return;
    event.preventDefault();
    close();
  });
  // A click beside the dialog closes it; one that began inside (selecting text) does not.
  let pressed = null;
  dialog.addEventListener("pointerdown", (event) => { pressed = event.target; });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && pressed === dialog) close();
  });
  dialog.addEventListener("cancel", (event) => {
    if (event.target === dialog && !mayLeave()) event.preventDefault();
  });
  dialog.addEventListener("close", (event) => {
    if (event.target !== dialog) return;
    content.replaceChildren();
    // Closed otherwise than by Back: its entry goes from the history.
    if (!history.state?.panel) return;
    returning = true;
    history.back();
  });

  // The open dialog is an entry of the history with the list's own address, so that Back closes it.
  // This file comes before htmx listens: what is about the dialog stays here.
  let returning = false;
  let place = "";
  function show() {
    if (dialog.open) return;
    dialog.showModal();
    place = location.href;
    history.pushState({ panel: true }, "", location.href);
  }
  window.addEventListener("popstate", (event) => {
    if (!returning && !dialog.open && !event.state?.panel) return;
    if (location.href === place) event.stopImmediatePropagation();
    if (!returning && dialog.open && !event.state?.panel) {
      if (mayLeave()) dialog.close();
      else history.forward();
    }
    returning = false;
    forget();
  });
  /** The entry of a dialog that is not there (Forward, a reload) is one of the list. */
  function forget() {
    if (history.state?.panel && !dialog.open) history.replaceState(null, "", location.href);
  }
  forget();

  // Another part into the dialog (Delete, Open it) would take the form's place.
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, verb, target } = event.detail;
    if (verb !== "get" || target !== content || elt.matches("[data-give-up]") || !isDirty()) return;
    event.preventDefault();
    if (confirm(LOSE)) event.detail.issueRequest(true);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target !== content || !SHOWN.includes(event.detail.xhr.status)) return;
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== content) return;
    const title = content.querySelector("h2");
    if (!title) return; // saved: nothing is left to be shown
    dialog.setAttribute("aria-labelledby", title.id);
    show();
    content.querySelectorAll("[maxlength]").forEach(count);
    const first = content.querySelector("[aria-invalid=true]") ?? content.querySelector("[autofocus]");
    // htmx focuses what has it a moment later.
    for (const element of content.querySelectorAll("[autofocus]")) element.removeAttribute("autofocus");
    first?.focus();
    dialog.scrollTop = 0;
  });
  for (const name of ["product-saved", "product-created", "product-deleted", "products-changed"]) {
    document.addEventListener(name, () => dialog.close());
  }
})();
