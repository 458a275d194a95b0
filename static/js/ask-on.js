// Asks the portal on and on: soon, then less and less often, and not at all while nobody looks at the page.
const [SELDOM, MORE] = [15_000, 1.3]; // ms; how much longer each wait is than the one before

// Give each answer to `take` as a document, an empty one when the portal says no; `take` tells whether to ask on.
// Return what begins the waits anew.
export function askOn(url, take, soonest) {
  let [wait, timer] = [soonest, 0];
  const plan = () => { clearTimeout(timer); timer = setTimeout(ask, wait); };
  const soon = () => { wait = soonest; plan(); };
  const ask = async () => {
    if (document.hidden) {
      document.addEventListener("visibilitychange", soon, { once: true });
      return;
    }
    wait = Math.min(SELDOM, wait * MORE);
    let told = null; // by a portal that does not answer, which is asked again
    try {
      const answer = await fetch(url);
      if (answer.status < 500) told = answer.ok ? await answer.text() : "";
    } catch { /* the network is away */ }
    if (told === null || take(new DOMParser().parseFromString(told, "text/html"))) plan();
  };
  plan();
  return soon;
}
