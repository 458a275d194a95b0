// Keeps a part of the page fresh while the portal says from where. What is the same stays the same element.
import { askOn } from "./ask-on.js";
import { become } from "./live.js";

const SOON = 2000; // ms

const said = (part) => [...part.querySelectorAll("p")].map((it) => it.textContent).join(); // without how long ago it was

function start(part) {
  const soon = askOn(part.dataset.fresh, (page) => {
    const fresh = page.getElementById(part.id);
    if (!fresh) return false;
    const changed = said(fresh) !== said(part);
    become(part, fresh);
    if (!part.dataset.fresh) return false;
    if (changed) soon();
    return true;
  }, SOON);
  for (const link of document.querySelectorAll("[data-ask-soon]")) link.addEventListener("click", soon);
}

document.querySelectorAll("[data-fresh]").forEach(start);
