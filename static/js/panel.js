// The panel beside the list: marks its row, takes and gives back the focus, closes with Escape.
const narrow = matchMedia("(max-width: 68rem)");

function markRow() {
  const open = document.querySelector("#peek[data-id]");
  for (const row of document.querySelectorAll("tr[data-open]")) row.removeAttribute("data-open");
  const row = open && document.querySelector(`tr[data-id="${open.dataset.id}"]`);
  if (!row) return;
  row.setAttribute("data-open", "");
  row.scrollIntoView({ block: "nearest" });
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
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.fullscreenElement) return;
    if (document.querySelector("details[name][open]")) return;
    if (event.target.closest("#peek")) document.querySelector("#peek-close")?.click();
  });
}
