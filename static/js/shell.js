// The frame's own behaviour. Every page works without it.
import { startTheme } from "./theme.js";
import { startKeys } from "./keys.js";
import { startMenus } from "./menus.js";
import { startToasts } from "./toasts.js";
import { startCopy } from "./copy.js";
import "./once.js";

startTheme();
startKeys();
startMenus();
startToasts();
startCopy();

// A form came back: on to the first field that is not right, wherever on the page it stands.
const mend = (part) => part.querySelector("[aria-invalid=true]")?.focus();
mend(document.querySelector("main"));
document.addEventListener("htmx:afterSettle", ({ target }) => document.activeElement === document.body && mend(target));
