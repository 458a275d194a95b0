// The recordings page. Everything here is also to be had without a script.
import { startRows } from "./rows.js";
import { startSelection } from "./selection.js";
import { startPanel } from "./panel.js";
import { startPlayers } from "./player.js";

startRows();
startSelection();
startPanel();
startPlayers();
