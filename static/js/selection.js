// Counts what is ticked, and ticks many at once: the box over the column, and shift for a range.
const boxes = () => [...document.querySelectorAll(".c-ck input[name=id]")];
let last = null;

function inWords(bytes) {
  for (const [word, unit] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= unit) {
      const amount = bytes / unit;
      return `${amount >= 100 || word === "kB" ? Math.round(amount).toLocaleString("en") : amount.toFixed(1)} ${word}`;
    }
  }
  return `${bytes} bytes`;
}

function tell() {
  const sum = document.querySelector("#sum");
  const all = document.querySelector("#all-here");
  const everything = document.querySelector("#everything");
  const here = boxes();
  const picked = here.filter((box) => box.checked);
  if (all) {
    all.hidden = false;
    all.checked = picked.length > 0 && picked.length === here.length;
    all.indeterminate = picked.length > 0 && picked.length < here.length;
  }
  if (!sum) return;
  const bytes = picked.reduce((total, box) => total + Number(box.dataset.size), 0);
  sum.textContent = everything && everything.checked
    ? `All ${everything.dataset.count} selected`
    : `${picked.length.toLocaleString("en")} selected, ${inWords(bytes)}`;
}

export function startSelection() {
  document.addEventListener("change", (event) => {
    if (event.target.id === "all-here") for (const box of boxes()) box.checked = event.target.checked;
    if (event.target.matches("#all-here, #everything, .c-ck input[name=id]")) tell();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.matches(".c-ck input[name=id]")) return;
    const here = boxes();
    const [from, to] = [here.indexOf(last), here.indexOf(event.target)];
    if (event.shiftKey && from >= 0) {
      for (const box of here.slice(Math.min(from, to), Math.max(from, to) + 1)) box.checked = event.target.checked;
    }
    last = event.target;
  });
  document.addEventListener("reset", () => setTimeout(tell));
  document.addEventListener("htmx:afterSettle", tell);
  addEventListener("pageshow", tell);
  tell();
}
