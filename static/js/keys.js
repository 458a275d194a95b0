// "/" goes to the search box, as the hint in it says; "?" shows the keys of the page, where it has a list of them.
const TYPED_IN = "input:not([type=checkbox]), textarea, select, [contenteditable]";

function show() {
  const keys = document.querySelector("#keys");
  if (keys && !keys.open) keys.showModal();
  return Boolean(keys);
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPED_IN)) return;
    if (event.key === "?" && show()) event.preventDefault();
    if (event.key !== "/" || document.querySelector("dialog[open]")) return;
    const box = document.querySelector("#q") || document.querySelector(".find input");
    if (!box) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys]")) show();
  });
  const offer = () => document.querySelectorAll("[data-keys]").forEach((button) => { button.hidden = false; });
  document.addEventListener("htmx:afterSettle", offer);
  offer();
}
