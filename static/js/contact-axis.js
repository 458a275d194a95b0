// The axis of a contact, drawn by the portal: reads its recordings from it, moves the playhead, and lays it out anew when a
// recording's length becomes known.
const SVG = "http://www.w3.org/2000/svg";
const LEAST = 4;
const DAY = 86_400; // seconds
const ABOVE = 20; // room for the time of the playhead, so that it covers no time of the axis

export class Axis {
  constructor(svg) {
    this.svg = svg;
    const told = (name) => Number(svg.dataset[name]);
    [this.left, this.right, this.top, this.begin] = [told("left"), told("right"), told("top"), told("begin")];
    [this.width, this.height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
    svg.setAttribute("viewBox", `0 -${ABOVE} ${this.width} ${this.height + ABOVE}`);
    this.head = svg.querySelector("[data-part=head]");
    this.gaps = svg.querySelector("[data-part=gaps]");
    this.clips = [...svg.querySelectorAll(".clip")].map((group) => ({
      group, key: group.dataset.clip, start: Number(group.dataset.start), lane: group.dataset.lane,
      length: group.dataset.length === "" ? null : Number(group.dataset.length), src: group.dataset.src,
      kind: group.dataset.kind, voice: group.dataset.kind === "audio", broken: !group.dataset.src, el: null,
      name: group.querySelector("title").textContent,
    }));
    this.steps = svg.dataset.steps.split(" ").map(Number);
    this.ticks = told("ticks");
    this.total = 1;
    this.spare = 0; // room at the end for a recording of unknown length
  }

  get plot() { return this.width - this.left - this.right - this.spare; }
  x(t) { return this.left + (this.plot * t) / this.total; }

  // Return the second of the axis under a point of the page, or null left of it.
  under(event) {
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.width;
    if (x < this.left - 6) return null;
    return Math.max(0, Math.min(this.total, ((x - this.left) / this.plot) * this.total));
  }

  clock(t) { return new Date((this.begin + t) * 1000).toISOString().slice(11, 19); }

  point(t) {
    this.head.removeAttribute("hidden");
    const x = this.x(Math.min(t, this.total));
    this.head.querySelector("line").setAttribute("transform", `translate(${x} 0)`);
    const label = Math.max(31, Math.min(this.width - 31, x));
    for (const part of this.head.querySelectorAll("rect, text")) part.setAttribute("transform", `translate(${label} 0)`);
    this.head.querySelector("text").textContent = this.clock(t);
  }

  // Keep the playhead in sight where the axis is wider than its place.
  follow(t) {
    const place = this.svg.parentElement;
    const x = (this.x(t) / this.width) * this.svg.clientWidth;
    if (x < place.scrollLeft || x > place.scrollLeft + place.clientWidth - 12) place.scrollLeft = x - place.clientWidth / 3;
  }

  // Lay everything out to scale again: a length was unknown when the page was drawn, or is another than was told.
  lay(total) {
    this.total = Math.max(total, 1);
    const open = Number(this.svg.dataset.spare);
    this.spare = this.clips.some((clip) => clip.length === null) ? open : 0;
    for (const clip of this.clips) {
      const [rect, text] = [clip.group.querySelector("rect"), clip.group.querySelector("text")];
      const x = this.x(clip.start);
      rect.setAttribute("x", String(x));
      rect.setAttribute("width", String(clip.length === null ? open : Math.max(LEAST, this.x(clip.start + clip.length) - x)));
      rect.classList.toggle("open", clip.length === null);
      const wave = clip.group.querySelector("svg");
      for (const name of ["x", "width"]) wave?.setAttribute(name, rect.getAttribute(name));
      wave?.setAttribute("y", String(Number(rect.getAttribute("y")) + 1));
      text?.setAttribute("x", String(x + 8));
      if (text && clip.length !== null) {
        text.textContent = Number(rect.getAttribute("width")) > 60 ? this.clock(clip.start) : "";
      }
    }
    this.mark();
    for (const tick of this.svg.querySelectorAll("[data-at]")) {
      const x = String(this.x(Number(tick.dataset.at)));
      tick.querySelector("line").setAttribute("x1", x);
      tick.querySelector("line").setAttribute("x2", x);
      tick.querySelector("text").setAttribute("x", x);
    }
    this.gaps.replaceChildren(...this.between().map(([from, until]) => this.gap(from, until)));
  }

  // Tell round moments anew, as the portal does: those that were drawn are of a shorter axis. One of days keeps its own.
  mark() {
    const drawn = [...this.svg.querySelectorAll("[data-at]")];
    const step = this.steps.find((one) => this.total / one <= this.ticks - 1);
    if (!drawn.length || !step || this.total > DAY) return;
    const marks = [];
    for (let at = Math.ceil(this.begin / step) * step - this.begin; at <= this.total; at += step) {
      const tick = drawn[0].cloneNode(true);
      tick.dataset.at = at.toFixed(3);
      const text = tick.querySelector("text");
      text.textContent = this.clock(at).slice(0, step < 60 ? 8 : 5);
      text.setAttribute("text-anchor", this.x(at) > this.width - 40 ? "end" : "middle");
      marks.push(tick);
    }
    drawn[0].before(...marks);
    for (const tick of drawn) tick.remove();
  }

  // Take over what a newer drawing knows: how a recording sounds, how long one is that was of unknown length, and the lanes.
  adopt(svg) {
    this.stack(svg);
    for (const clip of this.clips) {
      const fresh = svg.querySelector(`.clip[data-clip="${clip.key}"]`);
      if (!fresh) continue;
      if (clip.length === null && fresh.dataset.length !== "") {
        clip.length = Number(fresh.dataset.length);
        clip.name = clip.group.querySelector("title").textContent = fresh.querySelector("title").textContent;
      }
      const wave = fresh.querySelector("svg");
      if (!wave || clip.group.querySelector("svg")) continue;
      clip.group.querySelector("text")?.remove();
      clip.group.append(document.importNode(wave, true));
    }
    this.svg.querySelector("desc").textContent = svg.querySelector("desc").textContent;
  }

  // Put each recording into the lane in which the newer drawing has it: what began while one of unknown length was recorded
  // may have to lie below it.
  stack(svg) {
    const [mine, fresh] = [this.svg, svg].map((one) => one.querySelector("[data-part=lanes]"));
    mine.replaceChildren(...[...fresh.children].map((part) => document.importNode(part, true)));
    this.height = svg.viewBox.baseVal.height;
    this.svg.setAttribute("viewBox", `0 -${ABOVE} ${this.width} ${this.height + ABOVE}`);
    for (const line of this.svg.querySelectorAll("[data-at] line, [data-part=head] line")) line.setAttribute("y2", String(this.height));
    for (const clip of this.clips) {
      const place = svg.querySelector(`.clip[data-clip="${clip.key}"]`);
      if (!place) continue;
      clip.lane = place.dataset.lane;
      const y = place.querySelector("rect").getAttribute("y");
      clip.group.querySelector("rect").setAttribute("y", y);
      clip.group.querySelector("text")?.setAttribute("y", String(Number(y) + 19));
    }
  }

  // The names of the lanes, from the top down.
  get lanes() {
    const top = (clip) => Number(clip.group.querySelector("rect").getAttribute("y"));
    return [...new Set([...this.clips].sort((a, b) => top(a) - top(b)).map((clip) => clip.lane))];
  }

  // Where nothing was recorded; none is claimed after a recording whose length is unknown.
  between() {
    const gaps = [];
    let until = 0;
    for (const clip of [...this.clips].sort((a, b) => a.start - b.start)) {
      if (clip.start > until) gaps.push([until, clip.start]);
      if (clip.length === null) break;
      until = Math.max(until, clip.start + clip.length);
    }
    return gaps;
  }

  gap(from, until) {
    const rect = document.createElementNS(SVG, "rect");
    const told = {
      class: "gap", fill: "url(#gap)", x: this.x(from), y: this.top, width: Math.max(0.5, this.x(until) - this.x(from)),
      height: this.height - this.top,
    };
    for (const [name, value] of Object.entries(told)) rect.setAttribute(name, String(value));
    const title = document.createElementNS(SVG, "title");
    title.textContent = `Nothing recorded for ${Math.round(until - from)} s`;
    rect.append(title);
    return rect;
  }
}
