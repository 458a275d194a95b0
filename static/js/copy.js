// Copies a checksum, an ID or a path to the clipboard, where the browser lets us, and says so beside the button and aloud.
const SHOWN = 2500; // ms
const REFUSED = "The browser refused; select and copy it by hand";

const waiting = new WeakMap(); // what gives a button its word back

function live() {
  let place = document.querySelector("#copied");
  if (!place) {
    place = document.createElement("p");
    place.id = "copied";
    place.className = "vh";
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  return place;
}

// Only the button's visible word changes; what it copies is still told to who cannot see beside what it stands.
function tell(button, word, aloud) {
  const first = button.firstChild;
  button.dataset.word ??= first.data;
  first.data = word;
  clearTimeout(waiting.get(button));
  waiting.set(button, setTimeout(() => {
    first.data = button.dataset.word;
    live().textContent = "";
  }, SHOWN));
  live().textContent = aloud;
}

export function startCopy() {
  const show = () => {
    if (!navigator.clipboard) return;
    live();
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const what = button.querySelector(".vh")?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      tell(button, "Copied", `Copied${what}.`);
    } catch {
      tell(button, REFUSED, `${REFUSED}.`);
    }
  });
  document.addEventListener("htmx:afterSettle", show);
  show();
}
