// A click anywhere on a row opens it; arrow keys walk from row to row.
const ACTIVE = "a, button, input, label, select, textarea, summary";

export function startRows() {
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-id]");
    if (!row || event.target.closest(ACTIVE) || event.defaultPrevented) return;
    if (String(getSelection())) return; // somebody is copying text
    if (event.target.closest(".c-ck")) row.querySelector(".c-ck input").click();
    else row.querySelector(".c-id a").click();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const row = event.target.closest("tr[data-id]");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const other = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
    const cell = event.target.closest("td, th");
    const goal = other && other.cells[cell.cellIndex].querySelector(ACTIVE);
    if (!goal) return;
    event.preventDefault();
    goal.focus();
  });
}
