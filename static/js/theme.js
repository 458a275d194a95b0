// The switch between light and dark.
export function startTheme() {
  const root = document.documentElement;
  for (const button of document.querySelectorAll("[data-act=theme]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
      root.dataset.theme = next;
      try { localStorage.setItem("theme", next); } catch { /* kept for this page only */ }
    });
  }
}
