// The question before a replay: its count follows the choice.
import { sendSince, watchSince } from "./deliveries_since.js";

const form = document.querySelector("#filter");

watchSince(form);

document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt === form) sendSince(form, event.detail.formData);
});
