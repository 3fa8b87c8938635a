// The newest prices in the form of a trial order, as the live part of the page has them.
function show() {
  const { prices } = document.querySelector("[data-live]").dataset;
  const known = prices ? JSON.parse(prices) : {};
  for (const option of document.querySelectorAll("#id_stockname option")) {
    const words = known[option.value];
    if (words && option.textContent !== words) option.textContent = words;
  }
}

document.addEventListener("refreshed", show);

// Placed once, however often the button is pressed.
document.querySelector("#trial-form")?.addEventListener("submit", (event) => {
  const button = event.target.querySelector(".primary");
  if (button.ariaBusy === "true") event.preventDefault();
  button.ariaBusy = "true";
});
window.addEventListener("pageshow", () => document.querySelector("#trial-form .primary")?.removeAttribute("aria-busy"));
