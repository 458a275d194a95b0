// The drawn waveform of a player: shows where it is, what is looped, and takes clicks and drags.
export function startWave(box, { length, where, aim, land }) {
  const svg = () => box.querySelector("svg.wave");
  const part = (name) => box.querySelector(`svg.wave [data-part="${name}"]`);
  const wide = () => svg().viewBox.baseVal.width;
  const x = (seconds) => (length() ? Math.min(1, seconds / length()) * wide() : 0);
  let dragging = null; // the pointer that does

  const secondsAt = (event) => {
    const area = svg().getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - area.left) / area.width)) * length();
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.closest("svg.wave") || !length()) return;
    dragging = event.pointerId;
    svg().setPointerCapture(dragging);
    aim(secondsAt(event));
  });
  box.addEventListener("pointermove", (event) => { if (event.pointerId === dragging) aim(secondsAt(event)); });
  box.addEventListener("pointerup", (event) => {
    if (event.pointerId !== dragging) return;
    dragging = null;
    land(secondsAt(event));
  });
  box.addEventListener("pointercancel", (event) => {
    if (event.pointerId !== dragging) return;
    dragging = null; // the finger scrolls the page
    aim(null);
  });

  return {
    silences: () => [...box.querySelectorAll("svg.wave .hush")].map((it) => [Number(it.dataset.from), Number(it.dataset.until)]),
    duration: () => Number(svg()?.dataset.duration) || 0,
    paint(loop) {
      if (!svg()) return;
      const at = x(where());
      part("played").setAttribute("width", String(at));
      const head = part("head");
      head.setAttribute("width", String((1.5 * wide()) / (svg().clientWidth || wide()))); // a pixel and a half, however wide it is
      head.setAttribute("x", String(at));
      const [from, until] = loop;
      const shown = from !== null ? [x(from), x(until ?? length())] : [0, 0];
      part("loop").setAttribute("x", String(shown[0]));
      part("loop").setAttribute("width", String(Math.max(0, shown[1] - shown[0])));
    },
  };
}
