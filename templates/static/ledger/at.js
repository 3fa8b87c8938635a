// The minute that a balance is asked for: the field is in the reader's zone, the address in UTC.
const MINUTE_MS = 60000;
const form = document.querySelector("#at-form");
const { at } = form.elements;

/** What `<input type=datetime-local>` holds for an instant. */
const local = (instant) => new Date(instant - instant.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);

if (at.dataset.at) at.value = local(new Date(at.dataset.at));

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const instant = new Date(at.value);
  if (Number.isNaN(instant.getTime())) return;
  const query = new URLSearchParams(new FormData(form));
  query.set("at", instant.toISOString().replace(":00.000Z", "Z"));
  location.search = `?${query}`;
});
