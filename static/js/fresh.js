// Keeps a part of the page fresh while the portal says from where: soon, less and less often while nothing changes, and not at
// all while nobody looks at the page. What is the same stays the same element.
import { become } from "./live.js";

const [SOON, SELDOM, MORE] = [2000, 15_000, 1.3]; // ms; how much longer each wait is than the one before

const said = (part) => [...part.querySelectorAll("p")].map((it) => it.textContent).join(); // without how long ago it was

function start(part) {
  let [wait, timer] = [SOON, 0];
  const plan = () => { clearTimeout(timer); timer = setTimeout(ask, wait); };
  const soon = () => { wait = SOON; plan(); };
  const ask = async () => {
    if (document.hidden) {
      document.addEventListener("visibilitychange", soon, { once: true });
      return;
    }
    wait = Math.min(SELDOM, wait * MORE);
    let told = null; // by a portal that does not answer, which is asked again
    try {
      const answer = await fetch(part.dataset.fresh);
      if (answer.status < 500) told = answer.ok ? await answer.text() : "";
    } catch { /* the network is away */ }
    if (told !== null) {
      const fresh = new DOMParser().parseFromString(told, "text/html").getElementById(part.id);
      if (!fresh) return;
      if (said(fresh) !== said(part)) wait = SOON;
      become(part, fresh);
      if (!part.dataset.fresh) return;
    }
    plan();
  };
  for (const link of document.querySelectorAll("[data-ask-soon]")) link.addEventListener("click", soon);
  plan();
}

document.querySelectorAll("[data-fresh]").forEach(start);
