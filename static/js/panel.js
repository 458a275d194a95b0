// The panel beside the list: marks its row, takes and gives back the focus, closes with Escape.
import { plain } from "./rows.js";

const narrow = matchMedia("(max-width: 68rem)");

function markRow() {
  const open = document.querySelector("#peek[data-id]");
  for (const row of document.querySelectorAll("tr[data-open]")) row.removeAttribute("data-open");
  const row = open && document.querySelector(`tr[data-id="${open.dataset.id}"]`);
  if (!row) return;
  row.setAttribute("data-open", "");
  row.scrollIntoView({ block: "nearest" });
}

// Clicks a link of the panel. One that has just arrived is not htmx's yet, and would load a whole page.
function press(link) {
  const found = document.querySelector(link);
  if (!found?.closest(".htmx-added")) found?.click();
  else document.addEventListener("htmx:afterSettle", () => document.querySelector(link)?.click(), { once: true });
}

export function startPanel() {
  let came = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id !== "peek") return;
    const row = document.querySelector("tr[data-open]");
    came = row ? row.dataset.id : null;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!event.target.closest("#peek")) return;
    const peek = document.querySelector("#peek");
    markRow();
    if (peek.hidden) document.querySelector(`tr[data-id="${came}"] .c-id a`)?.focus();
    else if (narrow.matches && !peek.contains(document.activeElement)) peek.querySelector("h2").focus();
  });
  // Seen before the menus close, so that Escape in one of them closes that alone.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.fullscreenElement) return;
    if (document.querySelector("details[name][open], dialog[open]") || event.target.closest("#search")) return;
    press("a#peek-close");
  }, true);
  document.addEventListener("keydown", (event) => {
    if ((event.key === "[" || event.key === "]") && plain(event)) {
      press(event.key === "[" ? "a#peek-previous" : "a#peek-next");
    }
  });
}
