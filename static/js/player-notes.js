// Notes on the recording beside the player: a press on a note's moment goes there, and a new one takes the player's.
import { clock } from "./player-tools.js";

export function startNotes(box, { where, goTo }) {
  const moments = () => document.querySelectorAll("#notes span[data-note-at]");
  return {
    begin() {
      const form = document.querySelector("#note-form");
      if (!form) return;
      form.elements.at_seconds.value = clock(where());
      form.elements.text.focus();
    },
    refresh() {
      for (const moment of moments()) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "link id";
        button.dataset.noteAt = moment.dataset.noteAt;
        button.textContent = moment.textContent;
        button.setAttribute("aria-label", `Go to ${moment.textContent}`);
        button.addEventListener("click", () => { if (box.isConnected) goTo(Number(button.dataset.noteAt)); });
        moment.replaceWith(button);
      }
    },
  };
}
