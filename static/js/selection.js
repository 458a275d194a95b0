// Counts what is ticked, and ticks many at once: the box over the column, and shift for a range. How much all that
// match are, the portal says.
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
  if (everything && everything.checked) tellAll(sum, everything);
  else sum.textContent = `${picked.length.toLocaleString("en")} selected, ${inWords(bytes)}`;
}

async function tellAll(sum, everything) {
  sum.textContent = `All ${everything.dataset.count} selected`;
  try {
    const answer = await fetch(everything.dataset.sum);
    const told = await answer.text();
    if (answer.ok && !answer.redirected && everything.checked) sum.textContent = told;
  } catch {
    // The count alone stays; what is done with the selection says by itself when the portal is away.
  }
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
    if (event.shiftKey && from >= 0 && to >= 0) {
      for (const box of here.slice(Math.min(from, to), Math.max(from, to) + 1)) box.checked = event.target.checked;
      tell();
    }
    last = event.target;
  });
  document.addEventListener("reset", () => setTimeout(tell));
  document.addEventListener("htmx:afterSettle", tell);
  addEventListener("pageshow", tell);
  tell();
}
