// One clock for all recordings of a contact. A voice leads while one is heard, else a screen; in a gap the wall clock goes on.
// The others follow it: a little behind is caught up by speed, far behind by a jump, ahead by a pause.
const BEAT = 40; // ms
const NEAR = 0.015; // seconds: less is in step
const AHEAD = 0.04;
const JUMP = 0.5;
const SOON = 15; // seconds before its start that a recording is fetched
const MOST = 12; // media elements kept
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
  }

  get total() { return Math.max(...this.clips.map((clip) => clip.start + (clip.length ?? 0)), 0); }
  end(clip) { return clip.length === null ? Infinity : clip.start + clip.length; }
  at(t) { return this.clips.filter((clip) => !clip.broken && clip.start <= t && t < this.end(clip)); }
  get active() { return this.at(this.t); }
  get lead() { const on = this.active; return on.find((clip) => clip.voice) ?? on[0] ?? null; }

  // The gap around the clock: { from, until }, or null while something is recorded.
  get gap() {
    if (this.active.length) return null;
    const next = this.clips.filter((clip) => !clip.broken && clip.start > this.t).map((clip) => clip.start);
    const last = this.clips.filter((clip) => this.end(clip) <= this.t).map((clip) => this.end(clip));
    return next.length ? { from: Math.max(0, ...last), until: Math.min(...next) } : null;
  }

  // How far the farthest follower is from the lead, in seconds.
  get drift() {
    const on = this.active.filter((clip) => clip.el && clip.el.readyState > 1);
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

  // Ask the files themselves how long they are, where nobody knows yet. Their sound and pictures are fetched when they are near.
  learn() { for (const clip of this.clips.filter((one) => one.length === null).slice(0, MOST)) this.open(clip, "metadata"); }

  open(clip, preload = "auto") {
    if (clip.el) {
      if (preload === "auto" && clip.el.preload !== "auto") clip.el.preload = "auto";
      return clip.el;
    }
    const el = clip.el = this.make(clip, preload);
    el.muted = this.quiet.has(clip.lane);
    el.addEventListener("loadedmetadata", () => {
      if (!Number.isFinite(el.duration)) return;
      clip.length = el.duration;
      this.tell("length");
    });
    el.addEventListener("error", () => {
      if (clip.el !== el || !el.getAttribute("src")) return;
      clip.broken = true;
      this.tell("broken", clip);
    });
    return el;
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
      else if (was.el?.ended) this.t = Math.max(this.t, this.end(was));
      else if (was.el && !was.el.seeking && !was.el.paused) this.t = was.start + was.el.currentTime;
    }
    if (this.running && this.t >= this.total && !this.active.length) {
      this.t = this.total;
      this.running = false;
      for (const clip of this.clips) clip.el?.pause();
    }
    const on = this.active;
    for (const clip of this.clips) if (clip.el && !on.includes(clip) && !clip.el.paused) clip.el.pause();
    for (const clip of on) this.open(clip);
    if (this.setting) this.gather(on);
    else if (this.running) for (const clip of on) this.drive(clip, clip === this.lead);
    if (this.running) this.lookAhead();
    else if (!this.setting) { clearInterval(this.timer); this.timer = null; }
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

  lookAhead() {
    for (const clip of this.clips) if (clip.start > this.t && clip.start < this.t + SOON * this.rate && !clip.broken) this.open(clip);
    const open = this.clips.filter((clip) => clip.el);
    const away = (clip) => Math.min(Math.abs(clip.start - this.t), Math.abs(this.end(clip) - this.t));
    const far = open.filter((clip) => !this.active.includes(clip) && clip.length !== null).sort((a, b) => away(b) - away(a));
    for (const clip of far.slice(0, Math.max(0, open.length - MOST))) this.close(clip);
  }

  tell(name, clip = null) { this.dispatchEvent(new CustomEvent(name, { detail: clip })); }
}
