// What is under somebody's hands must not be taken away: a link that is swapped between press and
// release is not clicked, and a selection is lost.

let pressed = false;

for (const name of ["pointerdown", "keydown"]) window.addEventListener(name, () => { pressed = true; }, true);
for (const name of ["pointerup", "pointercancel", "contextmenu", "keyup", "blur"]) window.addEventListener(name, () => { pressed = false; }, true);

/** Whether a button of the mouse, a finger or a key is down. */
export const pressing = () => pressed;

/** Whether somebody marks text within `element`. */
export function selecting(element) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.rangeCount > 0 && selection.getRangeAt(0).intersectsNode(element);
}
