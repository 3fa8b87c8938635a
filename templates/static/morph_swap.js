// hx-swap="morph": only what differs is changed. What somebody presses, has ticked or has in focus
// stays the same element; a new one in its place would never get the click. Where hx-get goes away
// with what is shown, hx-swap has to stay: the answer to a last request may come after it.
import { morph } from "./morph.js";

window.htmx.defineExtension("morph", {
  isInlineSwap: (style) => style === "morph",
  handleSwap: (style, target, fragment) => {
    if (style !== "morph") return false;
    const fresh = fragment.firstElementChild ?? fragment;
    window.stockroom.localTimes(fresh);
    morph(target, fresh);
    return [target];
  },
});
