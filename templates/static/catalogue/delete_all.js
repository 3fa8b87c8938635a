// Delete all: the button waits until the words are typed. The server asks for them too.
(() => {
  const form = document.querySelector("#delete-all");
  if (!form) return;
  const button = form.querySelector("[type=submit]");
  const words = form.elements.confirm;

  const error = document.querySelector("#confirm-error");

  const check = () => { button.disabled = words.value.trim() !== words.dataset.words; };
  const say = (text) => {
    error.textContent = text;
    words.setAttribute("aria-invalid", String(Boolean(text)));
  };

  words.addEventListener("input", () => {
    check();
    if (!button.disabled) say("");
  });
  // Return does nothing while the button is disabled: say why.
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && button.disabled && !button.hasAttribute("aria-busy")) say(error.dataset.says);
  });
  window.addEventListener("pageshow", check);
  form.addEventListener("submit", () => {
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
  });
  check();
})();
