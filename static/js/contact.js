// The contact player: voice and screens of one contact on one clock, over their gaps.
import { askOn } from "./ask-on.js";
import { Axis } from "./contact-axis.js";
import { Clock } from "./contact-clock.js";

const STEP = 10;
const SOON = 1000; // ms until it is asked how voices sound that nobody has listened to yet

function span(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const rest = `${String(m).padStart(h ? 2 : 1, "0")}:${String(s).padStart(2, "0")}`;
  return h ? `${h}:${rest}` : rest;
}

function start(box) {
  const axis = new Axis(box.querySelector(".tracks svg"));
  const act = (name) => box.querySelector(`[data-act="${name}"]`);
  const told = (name) => box.querySelector(`[data-told="${name}"]`);
  const stage = box.querySelector("[data-stage]");
  const seek = act("seek");
  const length = document.querySelector("[data-whole]");
  let held = false; // somebody drags the slider
  let learnt = false;
  const broken = []; // in words

  const clock = new Clock(axis.clips, (clip, preload) => {
    const el = document.createElement(clip.kind);
    el.preload = preload;
    el.playsInline = true;
    el.dataset.clip = clip.key;
    el.dataset.start = String(clip.start);
    el.setAttribute("aria-label", clip.name);
    el.hidden = true;
    el.src = clip.src;
    stage.append(el);
    return el;
  });

  const learn = () => { if (!learnt) { learnt = true; clock.learn(); } };
  const toggle = () => { learn(); if (clock.running) clock.pause(); else clock.play(); };
  const go = (t) => { learn(); clock.seek(t); };
  const skip = () => clock.skip();

  const write = (place, text) => { if (place.textContent !== text) place.textContent = text; };
  const known = () => axis.clips.every((clip) => clip.length !== null);
  const long = () => (known() ? span(clock.total) : clock.total > 0 ? `At least ${span(clock.total)}` : "Not known yet");
  const show = () => {
    const t = held ? Number(seek.value) : clock.t;
    const on = clock.heard;
    const screens = on.filter((clip) => !clip.voice);
    for (const clip of axis.clips) if (clip.el) clip.el.hidden = clip.voice || !screens.includes(clip);
    stage.hidden = !axis.clips.some((clip) => !clip.voice && !clip.broken && (learnt || clip.el));
    stage.dataset.screens = String(screens.length);
    axis.point(t);
    if (clock.running && !held) axis.follow(t);
    write(told("clock"), axis.clock(t));
    write(told("of"), clock.total > 0 ? `${span(t)} of ${long().toLowerCase()}` : long());
    seek.max = String(clock.total);
    if (!held) seek.value = String(t);
    seek.setAttribute("aria-valuetext", `${axis.clock(t)} UTC, ${Math.floor(t / 60)} minutes ${Math.floor(t % 60)} seconds`);
    act("play").setAttribute("aria-label", clock.running ? "Pause" : "Play");
    act("play").querySelector("[data-icon=play]").hidden = clock.running;
    act("play").querySelector("[data-icon=pause]").hidden = !clock.running;
    const gap = clock.gap;
    told("gap").hidden = !gap;
    if (gap) write(told("gap").querySelector("p"), `Nothing to play for ${span(gap.until - gap.from)}. It goes on at ${axis.clock(gap.until)} UTC.`);
    told("step").hidden = clock.setting || on.length < 2 || clock.drift > 0.1;
    const left = clock.active.length - on.length;
    told("few").hidden = !left;
    if (left) write(told("few").querySelector("span"), `${on.length} of ${on.length + left} recordings of this moment are played`);
    act("full").hidden = !screens.length;
    box.toggleAttribute("data-waits", clock.running && clock.setting);
  };

  act("play").addEventListener("click", toggle);
  act("back").addEventListener("click", () => go(clock.t - STEP));
  act("forward").addEventListener("click", () => go(clock.t + STEP));
  act("skip").addEventListener("click", () => { skip(); act("play").focus(); });
  act("full").addEventListener("click", () => stage.requestFullscreen());
  seek.addEventListener("input", () => { held = true; show(); });
  seek.addEventListener("change", () => { held = false; go(Number(seek.value)); });
  for (const speed of box.querySelectorAll("[data-act=speed]")) {
    speed.addEventListener("change", () => { clock.rate = Number(speed.value); });
  }
  const mute = (button, on) => {
    button.setAttribute("aria-pressed", String(on));
    button.querySelector("[data-icon=sound]").hidden = on;
    button.querySelector("[data-icon=mute]").hidden = !on;
    clock.mute(button.dataset.lane, on);
  };
  const mutes = act("mute").parentElement;
  mutes.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act=mute]");
    if (button) mute(button, button.getAttribute("aria-pressed") !== "true");
  });
  // Give each lane its button when there are other lanes than before; who was muted stays so.
  const renew = (quiet) => {
    const were = [...mutes.children];
    const buttons = axis.lanes.map((lane, place) => {
      const button = were[place] ?? were[0].cloneNode(true);
      button.dataset.lane = lane;
      button.setAttribute("aria-label", `Mute ${lane}`);
      button.lastChild.textContent = lane;
      return button;
    });
    for (const button of were.slice(buttons.length)) button.remove();
    mutes.append(...buttons.slice(were.length));
    clock.quiet.clear();
    for (const button of buttons) {
      mute(button, axis.clips.filter((clip) => clip.lane === button.dataset.lane).every((clip) => quiet.has(clip)));
    }
  };
  axis.svg.addEventListener("click", (event) => {
    const t = axis.under(event);
    if (t !== null) go(t);
  });
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { k: toggle, j: () => go(clock.t - STEP), l: () => go(clock.t + STEP), g: skip, f: () => act("full").click() };
    const arrows = { ArrowLeft: -1, ArrowRight: 1 };
    // A radio moves itself, and an axis that is wider than its place scrolls.
    const by = event.target.matches("[type=radio], .tracks") ? 0 : (arrows[event.key] ?? 0) * (event.shiftKey ? 1 : 5);
    const what = by ? () => go(clock.t + by) : keys[event.key.toLowerCase()];
    if (!what) return;
    event.preventDefault();
    what();
  });
  const lay = () => {
    axis.lay(clock.total);
    const between = box.querySelector("[data-between]");
    between.hidden = known() && between.hasAttribute("data-open"); // it was written before all lengths were known
    write(length.firstChild, `${long()} `);
    const why = known() ? "from the first start to the last end" : clock.total > 0 ? "not all lengths are known yet" : "";
    write(length.querySelector("small"), why);
    for (const clip of axis.clips) {
      const cell = document.querySelector(`[data-length-of="${clip.key}"]`);
      if (cell?.querySelector(".dim") && clip.length !== null) cell.textContent = span(clip.length);
    }
  };
  clock.addEventListener("beat", show);
  clock.addEventListener("length", () => { lay(); show(); });
  clock.addEventListener("broken", (event) => {
    broken.push(event.detail.name);
    told("problem").querySelector("p").textContent = `Not to be played: ${broken.join("; ")}. The page of the file says why; the others play on.`;
    told("problem").hidden = false;
  });
  lay();
  box.querySelector("[data-deck]").hidden = false;
  show();
  if (!box.dataset.ask) return;
  // Until all voices were listened to or failed, and when the portal says no.
  askOn(box.dataset.ask, (page) => {
    const heard = page.querySelector("[data-heard]");
    if (!heard) return false;
    const [lanes, quiet] = [String(axis.lanes), new Set(axis.clips.filter((clip) => clock.quiet.has(clip.lane)))];
    axis.adopt(heard.querySelector("svg"));
    if (String(axis.lanes) !== lanes) renew(quiet);
    box.querySelector("[data-between]").replaceWith(heard.querySelector("[data-between]"));
    lay();
    show();
    return heard.hasAttribute("data-more");
  }, SOON);
}

document.querySelectorAll("[data-contact-player]").forEach(start);
