// Makes a part of the page what the server's newer version of it is, and touches only what differs:
// focus, scrolling, selection and opened details stay. Elements with data-key or id keep together.

/** `old` is in the page; `fresh` is used up. Both are elements of one kind. */
export function morph(old, fresh) {
  const focused = document.activeElement;
  become(old, fresh);
  // Moving a row takes the focus away from what is in it.
  if (focused !== document.activeElement && old.contains(focused)) focused.focus({ preventScroll: true });
}

function become(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  attributes(old, fresh);
  children(old, fresh);
}

function attributes(old, fresh) {
  const readers = (name) => name === "open" && old.nodeName === "DETAILS"; // open or shut by them
  for (const { name, value } of [...fresh.attributes]) {
    if (!readers(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!readers(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

const key = (node) => node.dataset?.key || node.getAttribute?.("id");
const alike = (one, other) => one.nodeName === other.nodeName && key(one) === key(other);

function children(old, fresh) {
  const keyed = new Map([...old.children].filter(key).map((child) => [key(child), child]));
  const wanted = new Set([...fresh.children].map(key));
  for (const [name, child] of keyed) if (!wanted.has(name)) child.remove();
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    let match = key(child) ? keyed.get(key(child)) : at;
    if (match && !alike(match, child)) match = null;
    if (!match) old.insertBefore(child, at);
    else {
      if (match !== at) old.insertBefore(match, at);
      become(match, child);
      at = match.nextSibling;
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
