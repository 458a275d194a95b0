// Says what went wrong when the page's own request failed. Nothing else is ever said here.
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function say(title, text) {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.setAttribute("role", "alert");
  const words = document.createElement("div");
  const head = document.createElement("b");
  head.textContent = title;
  const body = document.createElement("p");
  body.textContent = text;
  words.append(head, body);
  const close = document.createElement("button");
  close.className = "btn ghost small icon";
  close.type = "button";
  close.setAttribute("aria-label", "Dismiss");
  close.append(icon("x"));
  close.addEventListener("click", () => toast.remove());
  toast.append(icon("fail"), words, close);
  document.querySelector("#toasts").replaceChildren(toast);
}

export function startToasts() {
  document.addEventListener("htmx:sendError", () => {
    say("The portal did not answer", "Nothing was changed. Check the connection, then try again.");
  });
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 403) say("Not allowed", "Your role does not allow this, or the session has ended. Load the page again.");
    else if (status === 404) say("Not there any more", "It may lie in a tenant that you do not see. Load the page again.");
    else say("That did not work", `The portal answered with error ${status}. Nothing was changed. Try again in a moment.`);
  });
  document.addEventListener("htmx:afterOnLoad", () => document.querySelector("#toasts").replaceChildren());
}
