// The panel beside the list: marks its row, walks the rows, also over the end of a page, takes and gives back the focus, closes
// with Escape; p plays what is open in it, so that nobody has to walk to its button.
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

// Where the recording before or after lies on another page of the list, that page comes along with it.
function turn(event) {
  const link = event.target.closest("a#peek-previous, a#peek-next");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const id = link.pathname.match(/(\d+)\/$/)[1];
  const page = document.querySelector(link.id === "peek-next" ? "a#to-next" : "a#to-previous");
  if (!page || document.querySelector(`tr[data-id="${id}"]`)) return;
  event.preventDefault();
  event.stopPropagation();
  window.htmx.ajax("GET", `${page.href}&open=${id}`, { target: "#main", select: "#main", swap: "outerHTML" });
}

// The arrows walk while the focus is in the panel, or nowhere.
function walks(event) {
  const { target } = event;
  return Boolean(target.closest("#peek") || target === document.body && document.querySelector("#peek[data-id]"));
}

export function startPanel() {
  let came = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id !== "peek") return;
    const row = document.querySelector("tr[data-open]");
    came = row ? row.dataset.id : null;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!event.target.matches("#peek, #main")) return; // a part of the panel, such as its waveform, moves nothing
    const peek = document.querySelector("#peek");
    markRow();
    if (peek.hidden) document.querySelector(`tr[data-id="${came}"] .c-id a`)?.focus();
    // Walking ends on a link that the last recording has not; a sheet over the rows takes the focus at once.
    else if (narrow.matches ? !peek.contains(document.activeElement) : document.activeElement === document.body) {
      peek.querySelector("h2").focus({ preventScroll: true });
    }
    came = null; // a search that closes the panel leaves the focus where it is
  });
  // Seen before the menus close, so that Escape in one of them closes that alone.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.fullscreenElement) return;
    if (document.querySelector("details[name][open], dialog[open]") || event.target.closest("#search")) return;
    press("a#peek-close");
  }, true);
  document.addEventListener("keydown", (event) => {
    if (!plain(event)) return;
    if (event.key === "p") document.querySelector("#peek [data-act=play]")?.click();
    const back = event.key === "[" || event.key === "ArrowUp" && walks(event);
    const on = event.key === "]" || event.key === "ArrowDown" && walks(event);
    if (!back && !on) return;
    event.preventDefault();
    press(back ? "a#peek-previous" : "a#peek-next");
  });
  document.addEventListener("click", turn, true);
}
