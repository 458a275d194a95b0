// Asks for how the voices of a contact sound while a worker still listens to some of them: soon, then less and less often, and
// not at all while nobody looks at the page. Ends when all are there or failed, and when the portal says no.
const [SOON, SELDOM, MORE] = [1000, 15_000, 1.3]; // ms; how much longer each wait is than the one before

export function askOn(box, take) {
  const url = box.dataset.ask;
  if (!url) return;
  let wait = SOON;
  const ask = async () => {
    if (document.hidden) {
      document.addEventListener("visibilitychange", ask, { once: true });
      return;
    }
    let told = null; // by a portal that does not answer, which is asked again
    try {
      const answer = await fetch(url);
      if (answer.status < 500) told = answer.ok ? await answer.text() : "";
    } catch { /* the network is away */ }
    if (told !== null) {
      const heard = new DOMParser().parseFromString(told, "text/html").querySelector("[data-heard]");
      if (!heard) return;
      take(heard);
      if (!heard.hasAttribute("data-more")) return;
    }
    wait = Math.min(SELDOM, wait * MORE);
    setTimeout(ask, wait);
  };
  setTimeout(ask, wait);
}
