// Delete all: the button waits until the words are typed. The server asks for them too.
(() => {
  const form = document.querySelector("#delete-all");
  if (!form) return;
  const button = form.querySelector("[type=submit]");
  const words = form.elements.confirm;

  const check = () => { button.disabled = words.value.trim() !== words.dataset.words; };

  words.addEventListener("input", check);
  window.addEventListener("pageshow", check);
  form.addEventListener("submit", () => {
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
  });
  check();
})();
