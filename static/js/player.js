// Turns the browser's plain player into ours: ten seconds back and on, speed, and keys.
const STEP = 10;

function clock(seconds) {
  if (!Number.isFinite(seconds)) return "–:––";
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const rest = `${String(m).padStart(h ? 2 : 1, "0")}:${String(s).padStart(2, "0")}`;
  return h ? `${h}:${rest}` : rest;
}

function spoken(seconds) {
  const whole = Math.floor(seconds || 0);
  return `${Math.floor(whole / 60)} minutes ${whole % 60} seconds`;
}

function why(error) {
  if (error && error.code === MediaError.MEDIA_ERR_NETWORK) return "The portal stopped sending. Check the connection, then play again.";
  return "This recording cannot be played. Either the file is damaged or empty, or neither SEA nor an archive gives it just now. Download it to see which.";
}

function dress(box) {
  if (box.dataset.dressed) return;
  box.dataset.dressed = "yes";
  const media = box.querySelector("audio, video");
  const act = (name) => box.querySelector(`[data-act="${name}"]`);
  const told = (name) => box.querySelector(`[data-told="${name}"]`);
  const seek = act("seek");
  let held = false; // somebody is dragging

  media.controls = false;
  box.querySelector(".deck-s").hidden = false;

  const jump = (seconds) => { media.currentTime = Math.max(0, Math.min(media.duration || 0, media.currentTime + seconds)); };
  const toggle = () => { if (media.paused) media.play().catch(() => {}); else media.pause(); };
  const show = () => {
    told("now").textContent = clock(held ? Number(seek.value) : media.currentTime);
    told("length").textContent = clock(media.duration);
    if (Number.isFinite(media.duration)) seek.max = String(media.duration);
    if (!held) seek.value = String(media.currentTime);
    seek.setAttribute("aria-valuetext", spoken(Number(seek.value)));
    act("play").setAttribute("aria-label", media.paused ? "Play" : "Pause");
    box.querySelector("[data-icon=play]").hidden = !media.paused;
    box.querySelector("[data-icon=pause]").hidden = media.paused;
    const silent = media.muted || media.volume === 0;
    act("mute").setAttribute("aria-pressed", String(silent));
    box.querySelector("[data-icon=sound]").hidden = silent;
    box.querySelector("[data-icon=mute]").hidden = !silent;
    act("volume").value = String(media.muted ? 0 : media.volume);
  };

  act("play").addEventListener("click", toggle);
  act("back").addEventListener("click", () => jump(-STEP));
  act("forward").addEventListener("click", () => jump(STEP));
  act("mute").addEventListener("click", () => { media.muted = !media.muted; });
  act("volume").addEventListener("input", (event) => { media.muted = false; media.volume = Number(event.target.value); });
  act("full")?.addEventListener("click", () => media.requestFullscreen());
  media.addEventListener("click", toggle);
  seek.addEventListener("input", () => { held = true; show(); });
  seek.addEventListener("change", () => { held = false; media.currentTime = Number(seek.value); });
  for (const speed of box.querySelectorAll("[data-act=speed]")) {
    speed.addEventListener("change", () => { media.playbackRate = Number(speed.value); });
  }
  for (const event of ["play", "pause", "timeupdate", "loadedmetadata", "durationchange", "volumechange", "seeked", "ended"]) {
    media.addEventListener(event, show);
  }
  media.addEventListener("playing", () => { told("problem").hidden = true; });
  media.addEventListener("waiting", () => box.setAttribute("aria-busy", "true"));
  media.addEventListener("canplay", () => box.removeAttribute("aria-busy"));
  media.addEventListener("error", () => {
    const note = told("problem");
    note.querySelector("p").textContent = why(media.error);
    note.hidden = false;
    box.removeAttribute("aria-busy");
    show();
  });
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { k: toggle, j: () => jump(-STEP), l: () => jump(STEP), m: () => act("mute").click(), f: () => act("full")?.click() };
    const what = keys[event.key.toLowerCase()];
    if (!what) return;
    event.preventDefault();
    what();
  });
  show();
}

export function startPlayers() {
  const dressAll = () => document.querySelectorAll("[data-player]").forEach(dress);
  document.addEventListener("htmx:afterSettle", dressAll);
  dressAll();
}
