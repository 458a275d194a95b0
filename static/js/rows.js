// A click anywhere on a row opens it; the arrows, j and k walk from row to row, and x ticks the one that has the focus.
const ACTIVE = "a, button, input, label, select, textarea, summary";
const TYPED_IN = "input:not([type=checkbox]), textarea, select, [contenteditable], [data-player], dialog";

export function plain(event) {
  return !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open]")
    && !event.target.closest(TYPED_IN);
}

// Past the end of the page: gets the next one, or the one before, and goes on in it.
function turn(down) {
  const link = document.querySelector(down ? "a#to-next" : "a#to-previous");
  if (!link) return false;
  document.addEventListener("htmx:afterSettle", () => {
    const rows = [...document.querySelectorAll("tr[data-id]")];
    rows.at(down ? 0 : -1)?.querySelector(".c-id a").focus();
  }, { once: true });
  link.click();
  return true;
}

function walk(event, down) {
  const here = event.target.closest("tr[data-id]");
  const cell = here && event.target.closest("td, th");
  const rows = [...document.querySelectorAll("tr[data-id]")];
  const from = here || document.querySelector("tr[data-open]");
  const other = from ? rows[rows.indexOf(from) + (down ? 1 : -1)] : rows[0];
  if (here && !other && turn(down)) event.preventDefault();
  const goal = other && (cell && other.cells[cell.cellIndex].querySelector(ACTIVE) || other.querySelector(".c-id a"));
  if (!goal) return;
  event.preventDefault();
  goal.focus();
}

function tick(event) {
  const row = event.target.closest("tr[data-id]");
  if (!row) return;
  event.preventDefault();
  // As a click would be, so that Shift means the same.
  row.querySelector(".c-ck input").dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: event.shiftKey }));
}

export function startRows() {
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-id]");
    if (!row || event.target.closest(ACTIVE) || event.defaultPrevented) return;
    if (String(getSelection())) return; // somebody is copying text
    if (event.target.closest(".c-ck")) row.querySelector(".c-ck input").click();
    else row.querySelector(".c-id a").click();
  });
  document.addEventListener("keydown", (event) => {
    if (!plain(event)) return;
    const key = event.key.toLowerCase();
    if (key === "j" || key === "k") walk(event, key === "j");
    else if (key === "x") tick(event);
    else if (event.target.closest("tr[data-id]") && (key === "arrowdown" || key === "arrowup")) walk(event, key === "arrowdown");
  });
}
