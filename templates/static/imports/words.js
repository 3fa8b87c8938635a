// Figures in words, the same everywhere on the page.

const whole = new Intl.NumberFormat("en");

export const count = (number) => (number === null || number === undefined ? "–" : whole.format(Math.round(number)));

export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

export function bytes(number) {
  if (number < 1000) return `${number} bytes`;
  const units = ["kB", "MB", "GB"];
  let unit = -1;
  do { number /= 1000; unit += 1; } while (number >= 1000 && unit < units.length - 1);
  return `${number < 10 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

export function duration(seconds) {
  if (seconds < 1) return "less than 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function left(seconds, of = "") {
  if (seconds === null || seconds === undefined) return "";
  return seconds < 1 ? "nearly there" : `about ${duration(seconds)} ${of}left`;
}

export const percent = (part, all) => (all ? Math.min(100, Math.floor((100 * part) / all)) : 0);
