// The choice of a time, of the log and of the replay: the field for an instant is in the reader's
// zone, the address in UTC.

const MINUTE_MS = 60000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** What `<input type=datetime-local>` holds for an instant. */
const local = (at) => new Date(at - at.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);

/** Fill in what the server knows; `at` is in ISO 8601 or "". */
export function fillSince(form, since, at) {
  form.elements.since.value = since;
  form.elements.at.value = at ? local(new Date(at)) : "";
}

export function watchSince(form) {
  const { since, at } = form.elements;
  if (at.dataset.at) at.value = local(new Date(at.dataset.at));
  since.addEventListener("change", () => {
    if (since.value === "at" && !at.value) at.value = local(new Date(Date.now() - DAY_MS));
  });
}

/** In what is about to be sent: one parameter, "1h" or "2026-03-01T09:30:00.000Z". */
export function sendSince(form, formData) {
  formData.delete("at");
  if (formData.get("since") !== "at") return;
  const at = new Date(form.elements.at.value);
  if (Number.isNaN(at.getTime())) formData.delete("since");
  else formData.set("since", at.toISOString().replace(".000", ""));
}
