// One clock for all recordings of a contact. A voice leads while one is heard, else a screen; in a gap the wall clock goes on.
// The others follow it: a little behind is caught up by speed, far behind by a jump, ahead by a pause.
const BEAT = 40; // ms
const NEAR = 0.015; // seconds: less is in step
const AHEAD = 0.04;
const JUMP = 0.5;
const SOON = 15; // seconds before its start that a recording is fetched
const MOST = 5; // media elements: each holds a connection, and a browser opens six to a portal. One is left for the page
const PATIENCE = 4000; // ms that a late screen may keep the voice waiting

export class Clock extends EventTarget {
  // A clip is { start, length (or null), kind, src, voice, lane, name }. `make(clip)` returns its media element.
  constructor(clips, make) {
    super();
    this.clips = clips;
    this.make = make;
    this.t = 0;
    this.rate = 1;
    this.running = false;
    this.setting = false; // all are being put to one place, nothing plays yet
    this.asked = 0; // when that began
    this.wall = performance.now();
    this.quiet = new Set(); // lanes that are muted
    this.timer = null;
    this.unknown = []; // clips whose length is still to be asked for
  }

  // A clip of unknown length lasts at least as long as it has played.
  get total() { return Math.max(...this.clips.map((clip) => clip.start + (clip.length ?? clip.el?.currentTime ?? 0)), 0); }
  end(clip) { return clip.length === null ? Infinity : clip.start + clip.length; }
  at(t) { return this.clips.filter((clip) => !clip.broken && clip.start <= t && t < this.end(clip)); }
  get active() { return this.at(this.t); }
  // What of it is played: voices first, then the screens that began last.
  get heard() {
    const rank = (clip) => (clip.voice ? -Infinity : -clip.start);
    return this.active.sort((a, b) => rank(a) - rank(b) || a.start - b.start).slice(0, MOST);
  }
  get lead() { const on = this.active; return on.find((clip) => clip.voice) ?? this.heard[0] ?? null; }

  // The gap around the clock: { from, until }, or null while something is recorded.
  get gap() {
    if (this.active.length) return null;
    const next = this.clips.filter((clip) => !clip.broken && clip.start > this.t).map((clip) => clip.start);
    const last = this.clips.filter((clip) => this.end(clip) <= this.t).map((clip) => this.end(clip));
    return next.length ? { from: Math.max(0, ...last), until: Math.min(...next) } : null;
  }

  // How far the farthest follower is from the lead, in seconds.
  get drift() {
    const on = this.heard.filter((clip) => clip.el && clip.el.readyState > 1);
    const places = on.map((clip) => clip.start + clip.el.currentTime);
    return places.length > 1 ? Math.max(...places) - Math.min(...places) : 0;
  }

  play() {
    if (this.t >= this.total && !this.active.length) this.t = 0;
    this.running = true;
    this.settle();
  }

  pause() {
    this.running = false;
    for (const clip of this.clips) clip.el?.pause();
    this.settle();
  }

  seek(t) {
    this.t = Math.max(0, Math.min(t, this.total));
    for (const clip of this.clips) clip.el?.pause();
    this.settle();
  }

  skip() { if (this.gap) this.seek(this.gap.until); }

  mute(lane, on) {
    if (on) this.quiet.add(lane); else this.quiet.delete(lane);
    for (const clip of this.clips) if (clip.el) clip.el.muted = this.quiet.has(clip.lane);
  }

  settle() {
    this.setting = true;
    this.asked = this.wall = performance.now();
    this.timer ??= setInterval(() => this.beat(), BEAT);
    this.beat();
  }

  // Ask the files themselves how long they are, where nobody knows yet: one after the other, for what plays needs the connections.
  // Their sound and pictures are fetched when they are near.
  learn() {
    this.unknown = this.clips.filter((clip) => clip.length === null);
    this.learnNext();
  }

  learnNext() {
    const clip = this.unknown.find((one) => one.length === null && !one.broken && !one.el);
    this.unknown = this.unknown.filter((one) => one !== clip);
    if (!clip) return;
    const el = this.open(clip, "metadata");
    let over = false;
    const done = () => {
      if (over) return;
      over = true;
      if (clip.el === el && el.preload === "metadata") this.close(clip); // nothing plays it yet
      this.learnNext();
    };
    for (const event of ["loadedmetadata", "error", "emptied"]) el.addEventListener(event, done);
  }

  open(clip, preload = "auto") {
    if (clip.el) {
      if (preload === "auto" && clip.el.preload !== "auto") clip.el.preload = "auto";
      return clip.el;
    }
    const el = clip.el = this.make(clip, preload);
    el.muted = this.quiet.has(clip.lane);
    for (const told of ["loadedmetadata", "durationchange", "ended"]) el.addEventListener(told, () => this.measure(clip, el));
    el.addEventListener("error", () => {
      if (clip.el !== el || !el.getAttribute("src")) return;
      clip.broken = true;
      this.tell("broken", clip);
    });
    return el;
  }

  // Take a clip's length from its file. One that was never finished tells none: it has ended where it ends.
  measure(clip, el = clip.el) {
    if (clip.el !== el) return;
    const length = Number.isFinite(el.duration) ? el.duration : el.ended ? el.currentTime : null;
    if (length === null || length === clip.length) return;
    clip.length = length;
    this.tell("length");
  }

  close(clip) {
    const el = clip.el;
    clip.el = null;
    el.pause();
    el.removeAttribute("src");
    el.load();
    el.remove();
  }

  beat() {
    const now = performance.now();
    const passed = ((now - this.wall) / 1000) * this.rate;
    this.wall = now;
    const was = this.lead;
    if (this.running && !this.setting) {
      if (!was) this.t += passed;
      else if (was.el?.ended) {
        this.measure(was);
        this.t = Math.max(this.t, this.end(was));
      }
      else if (was.el && !was.el.seeking && !was.el.paused) this.t = was.start + was.el.currentTime;
    }
    if (this.running && this.t >= this.total && !this.active.length) {
      this.t = this.total;
      this.running = false;
      for (const clip of this.clips) clip.el?.pause();
    }
    const on = this.heard;
    for (const clip of this.clips) if (clip.el && !on.includes(clip) && !clip.el.paused) clip.el.pause();
    this.keep(on);
    if (this.setting) this.gather(on);
    else if (this.running) for (const clip of on) this.drive(clip, clip === this.lead);
    if (!this.running && !this.setting) { clearInterval(this.timer); this.timer = null; }
    this.tell("beat");
  }

  place(clip, t, off = 0.01) {
    const el = clip.el;
    if (el.seeking || Math.abs(el.currentTime - (t - clip.start)) <= off) return;
    el.currentTime = t - clip.start;
  }

  // Put all to one place, and let them go together.
  gather(on) {
    for (const clip of on) this.place(clip, this.t);
    const ready = (clip) => clip.el.readyState > 1 && !clip.el.seeking;
    const late = performance.now() - this.asked > PATIENCE;
    if (!on.every(ready) && !(late && ready(this.lead))) return;
    this.setting = false;
    if (!this.running) return;
    for (const clip of on) this.go(clip);
  }

  go(clip, rate = this.rate) {
    const el = clip.el;
    el.playbackRate = rate;
    if (el.paused && !el.ended) el.play().catch((error) => { if (error.name === "NotAllowedError") this.stopped(); });
  }

  stopped() { // the browser wants a press of its own
    this.running = false;
    this.tell("beat");
  }

  drive(clip, leads) {
    const el = clip.el;
    if (el.seeking || el.readyState < 1) return;
    if (leads) {
      if (el.paused) this.place(clip, this.t, 0.05);
      this.go(clip);
      return;
    }
    const behind = this.t - clip.start - el.currentTime;
    if (behind < -1 || behind > JUMP) el.currentTime = this.t - clip.start + (el.paused ? 0 : 0.1 * this.rate);
    else if (behind < -AHEAD) el.pause(); // until the lead has come up
    else if (!el.paused || behind > -NEAR) {
      this.go(clip, behind > NEAR || behind < -NEAR ? this.rate * (1 + Math.max(-0.5, Math.min(1, behind * 5))) : this.rate);
    }
  }

  // Fetch what plays and, while it plays, what comes next; of the rest keep what is nearest, as long as there is room.
  keep(on) {
    const soon = (clip) => this.running && !clip.broken && clip.start > this.t && clip.start < this.t + SOON * this.rate;
    const away = (clip) => Math.min(Math.abs(clip.start - this.t), Math.abs(this.end(clip) - this.t));
    const near = this.clips.filter((clip) => !on.includes(clip) && (clip.el?.preload === "auto" || soon(clip)));
    near.sort((a, b) => soon(b) - soon(a) || away(a) - away(b));
    const room = MOST - on.length;
    for (const clip of near.slice(room)) if (clip.el) this.close(clip);
    for (const clip of [...on, ...near.slice(0, room).filter(soon)]) this.open(clip);
  }

  tell(name, clip = null) { this.dispatchEvent(new CustomEvent(name, { detail: clip })); }
}
