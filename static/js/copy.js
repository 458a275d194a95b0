// Copies a checksum, an ID or a path to the clipboard, where the browser lets us.
export function startCopy() {
  const show = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser refused; select and copy it by hand";
    }
  });
  document.addEventListener("htmx:afterSettle", show);
  show();
}
