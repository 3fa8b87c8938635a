// The form of an endpoint: rows for headers come and go, it is sent once, and what is not saved is
// not lost by a slip. Without it the form works as a plain page.
(() => {
  const form = document.querySelector("#endpoint-form");
  const headers = document.querySelector("#headers");
  const template = document.querySelector("#header-row");
  const button = form.querySelector("[type=submit]");
  let dirty = document.querySelector(".errors, .notice") !== null; // sent back: not saved yet
  let sending = false;

  const rows = () => [...headers.querySelectorAll(".header-row:not(.no-script)")];

  /** The names for those who don't see them: "Name of header 2". */
  function number() {
    rows().forEach((row, at) => {
      for (const element of row.querySelectorAll("[aria-label]")) {
        element.setAttribute("aria-label", element.getAttribute("aria-label").replace(/\d+$/, at + 1));
      }
    });
  }

  document.querySelector("#add-header").addEventListener("click", () => {
    const row = template.content.firstElementChild.cloneNode(true);
    row.querySelector("[data-remove-header]").hidden = false;
    headers.append(row);
    number();
    row.querySelector("input").focus();
  });

  headers.addEventListener("click", (event) => {
    const remove = event.target.closest("[data-remove-header]");
    if (!remove) return;
    const all = rows();
    const at = all.indexOf(remove.closest(".header-row"));
    all[at].remove();
    dirty = true;
    number();
    const next = rows()[Math.min(at, all.length - 2)];
    (next?.querySelector("[data-remove-header]") ?? document.querySelector("#add-header")).focus();
  });

  form.addEventListener("input", () => { dirty = true; });
  form.addEventListener("submit", (event) => {
    if (sending) event.preventDefault();
    sending = true;
    button.setAttribute("aria-busy", "true");
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  document.querySelector("[data-give-up]").addEventListener("click", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => {
    if (dirty && !sending) event.preventDefault();
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    sending = false;
    button.removeAttribute("aria-busy");
  });
})();
