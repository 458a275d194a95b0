// Turns the browser's plain player into ours: waveform, jumps, speed, loop, silences, notes, and keys.
import { afterSilence, clock, makeBoost, makeLoop } from "./player-tools.js";
import { startWave } from "./player-wave.js";
import { startNotes } from "./player-notes.js";

const refreshers = new WeakMap(); // what to call when htmx has brought something into a player

function spoken(seconds) {
  const whole = Math.floor(seconds || 0);
  return `${Math.floor(whole / 60)} minutes ${whole % 60} seconds`;
}

// The element only says "not supported": the portal knows whether the file was there at all.
async function why(media, box) {
  if (media.error?.code === MediaError.MEDIA_ERR_NETWORK) return "The portal stopped sending. Check the connection, then play again.";
  try {
    const answer = await fetch(media.currentSrc, { headers: { Range: "bytes=0-0" } });
    if (answer.status === 503) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return `This recording cannot be played. ${page.querySelector("[data-reason]")?.textContent ?? "No place gives it just now."}`;
    }
    if (answer.status === 404 || answer.status === 403 || answer.redirected) return "This recording cannot be played: you were signed out, or may no longer play it. Load the page again.";
  } catch {
    return "The portal does not answer. Check the connection, then play again.";
  }
  if (box.querySelector("[data-problem]")) return "This recording cannot be played, for the reason given above.";
  return "This recording cannot be played here: the file is damaged, or in a codec that this browser does not know. Download it to open it with another program.";
}

function dress(box) {
  if (box.dataset.dressed) return;
  box.dataset.dressed = "yes";
  const media = box.querySelector("audio, video");
  const act = (name) => box.querySelector(`[data-act="${name}"]`);
  const told = (name) => box.querySelector(`[data-told="${name}"]`);
  const seek = act("seek");
  const loop = makeLoop();
  const boost = makeBoost(media);
  let aimed = null; // seconds, while somebody is dragging
  let skipping = false;
  let failed = false;

  media.controls = false;
  media.preservesPitch = true;
  box.querySelector(".deck-s").hidden = false;

  const length = () => (Number.isFinite(media.duration) && media.duration > 0 ? media.duration : wave.duration());
  const where = () => aimed ?? media.currentTime;
  const goTo = (seconds) => {
    media.currentTime = Math.max(0, Math.min(length() || seconds, seconds));
    loop.moved(media.currentTime);
    show();
  };
  const jump = (seconds) => goTo(media.currentTime + seconds);
  const toggle = () => {
    if (!media.paused) return media.pause();
    if (failed) media.load(); // what failed may be there again
    media.play().catch(() => {});
  };
  const wave = startWave(box, {
    length, where,
    aim: (seconds) => { aimed = seconds; show(); },
    land: (seconds) => { aimed = null; goTo(seconds); seek.focus({ preventScroll: true }); },
  });
  const notes = startNotes(box, { where, goTo });

  function show() {
    const [at, all] = [where(), length()];
    told("now").textContent = clock(at);
    told("length").textContent = all ? clock(all) : "–:––";
    if (all) seek.max = String(all);
    seek.value = String(at);
    seek.setAttribute("aria-valuetext", spoken(at));
    wave.paint(loop.ends());
  }
  function showState() {
    act("play").setAttribute("aria-label", media.paused ? "Play" : "Pause");
    box.querySelector("[data-icon=play]").hidden = !media.paused;
    box.querySelector("[data-icon=pause]").hidden = media.paused;
    const silent = media.muted || media.volume === 0;
    act("mute").setAttribute("aria-pressed", String(silent));
    box.querySelector("[data-icon=sound]").hidden = silent;
    box.querySelector("[data-icon=mute]").hidden = !silent;
    act("volume").value = String(media.muted ? 0 : media.volume);
    const [from, until] = loop.ends();
    act("loop-from").setAttribute("aria-pressed", String(from !== null));
    act("loop-until").setAttribute("aria-pressed", String(until !== null));
    act("loop-off").hidden = from === null;
    told("loop").textContent = loop.complete() ? `Loop ${clock(from)} to ${clock(until)}` : from !== null ? `Loop from ${clock(from)}` : "";
    act("skip").hidden = !wave.silences().length;
    act("skip").setAttribute("aria-pressed", String(skipping));
    show();
  }
  refreshers.set(box, () => { notes.refresh(); showState(); });

  // Looked at for each picture while it plays; timeupdate does the same four times a second in a hidden tab.
  function step() {
    if (media.paused || media.seeking || aimed !== null) return;
    const on = loop.next(media.currentTime) ?? (skipping ? afterSilence(wave.silences(), media.currentTime, length()) : null);
    if (on !== null) goTo(on);
    else show();
  }
  function frame() {
    step();
    if (!media.paused && box.isConnected) requestAnimationFrame(frame);
  }

  const speeds = [...box.querySelectorAll("[data-act=speed]")];
  const setSpeed = (input) => {
    input.checked = true;
    media.playbackRate = media.defaultPlaybackRate = Number(input.value);
  };
  const faster = (by) => setSpeed(speeds[Math.max(0, Math.min(speeds.length - 1, speeds.findIndex((it) => it.checked) + by))]);
  const acts = {
    play: toggle,
    back: () => jump(-5), forward: () => jump(5), "back-more": () => jump(-15), "forward-more": () => jump(15),
    mute: () => { media.muted = !media.muted; },
    full: () => media.requestFullscreen(),
    "loop-from": () => { loop.setFrom(media.currentTime); showState(); },
    "loop-until": () => { loop.setUntil(media.currentTime); showState(); },
    "loop-off": () => { loop.clear(); showState(); act("loop-from").focus(); },
    note: () => notes.begin(),
    skip: () => { skipping = !skipping; showState(); },
  };
  for (const [name, what] of Object.entries(acts)) act(name)?.addEventListener("click", what);
  act("volume").addEventListener("input", (event) => { media.muted = false; media.volume = Number(event.target.value); });
  act("boost").addEventListener("change", (event) => boost(Number(event.target.value)));
  for (const speed of speeds) speed.addEventListener("change", () => setSpeed(speed));
  media.addEventListener("click", toggle);
  seek.addEventListener("input", () => { aimed = Number(seek.value); show(); });
  seek.addEventListener("change", () => { const to = Number(seek.value); aimed = null; goTo(to); });

  for (const event of ["play", "pause", "loadedmetadata", "durationchange", "volumechange", "seeked"]) media.addEventListener(event, showState);
  media.addEventListener("play", () => requestAnimationFrame(frame));
  media.addEventListener("timeupdate", step);
  media.addEventListener("ended", () => {
    if (!loop.complete()) return showState();
    goTo(loop.ends()[0]);
    media.play().catch(() => {});
  });
  media.addEventListener("playing", () => { failed = false; told("problem").hidden = true; });
  media.addEventListener("waiting", () => box.setAttribute("aria-busy", "true"));
  media.addEventListener("canplay", () => box.removeAttribute("aria-busy"));
  media.addEventListener("error", async () => {
    failed = true;
    box.removeAttribute("aria-busy");
    showState();
    told("problem").querySelector("[data-told=why]").textContent = await why(media, box);
    told("problem").hidden = false;
  });

  const keys = {
    " ": toggle, p: toggle, ArrowLeft: () => jump(-5), ArrowRight: () => jump(5), "<": () => faster(-1), ">": () => faster(1),
    a: acts["loop-from"], b: acts["loop-until"], c: acts["loop-off"], s: () => { if (!act("skip").hidden) acts.skip(); },
    m: acts.mute, f: () => act("full")?.click(), n: () => notes.begin(),
  };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, shiftKey, target } = event;
    if (target.matches("textarea, input[type=text], select")) return;
    if (key === " " && target.closest("button, a, summary")) return; // it presses that
    if (key.startsWith("Arrow") && target.matches("[type=radio], .volume")) return; // it moves that
    const what = key.startsWith("Arrow") && shiftKey ? { ArrowLeft: () => jump(-15), ArrowRight: () => jump(15) }[key] : keys[key];
    if (!what) return;
    event.preventDefault();
    event.stopPropagation(); // the list beside the player has keys of its own
    what();
  });
  showState();
}

export function startPlayers() {
  const dressAll = () => {
    for (const box of document.querySelectorAll("[data-player]")) {
      dress(box);
      refreshers.get(box)();
    }
  };
  document.addEventListener("htmx:afterSettle", dressAll);
  dressAll();
}
