// Runs before the first paint, so that a chosen light or dark scheme never flashes.
(() => {
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* storage refused: follow the system */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
