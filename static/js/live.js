// Brings what the server says of a run into the page in place: what is the same stays the same element, so the focus, a
// selection and the reader's place are kept and nothing flickers. Without this htmx replaces the parts as a whole.

const alike = (old, fresh) =>
  old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id || "") === (fresh.id || "");

// The next of the old nodes that this one continues: the very next, or, by its id, a later one.
function match(from, fresh) {
  if (!from || alike(from, fresh)) return from;
  if (!fresh.id) return null;
  let old = from;
  while (old && !alike(old, fresh)) old = old.nextSibling;
  return old;
}

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (name !== "hx-swap-oob" && old.getAttribute(name) !== value) old.setAttribute(name, value);
}

export function become(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  attributes(old, fresh);
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const found = match(at, next);
    if (!found) {
      old.insertBefore(next, at);
      continue;
    }
    while (at !== found) {
      const passed = at;
      at = at.nextSibling;
      passed.remove();
    }
    become(found, next);
    at = found.nextSibling;
  }
  while (at) {
    const left = at;
    at = at.nextSibling;
    left.remove();
  }
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, shouldSwap, serverResponse } = event.detail;
  if (!shouldSwap || !target.matches("[data-live]")) return;
  event.detail.shouldSwap = false;
  const focused = document.activeElement?.id;
  for (const part of [...new DOMParser().parseFromString(serverResponse, "text/html").body.children]) {
    const old = document.getElementById(part.id);
    // The last answer asks for nothing more. Htmx asks on for as long as the element that it knows is there.
    if (old === target && !part.hasAttribute("hx-trigger")) old.replaceWith(part);
    else if (old) become(old, part);
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
});
