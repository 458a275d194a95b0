// A form that must not be sent twice, such as one with a code that works once: a second press waits for the answer to the first.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.once) event.preventDefault();
  form.dataset.once = "sent";
});

// Brought back by the browser's back button it may be sent again.
addEventListener("pageshow", () => document.querySelectorAll("[data-once]").forEach((form) => { form.dataset.once = ""; }));
