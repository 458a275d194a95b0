// What a plain player has not: a loop from A to B, silences passed over, and more than full volume.
const EDGE = 0.25; // seconds of a silence that are still heard at both of its ends
const SHORTEST = 0.2; // seconds of a loop

let context = null; // one for all players of the page: browsers allow few

export function clock(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "–:––";
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const rest = `${String(m).padStart(h ? 2 : 1, "0")}:${String(s).padStart(2, "0")}`;
  return h ? `${h}:${rest}` : rest;
}

export function makeLoop() {
  let [from, until, last] = [null, null, 0];
  return {
    ends: () => [from, until],
    complete: () => from !== null && until !== null,
    setFrom(seconds) {
      from = seconds;
      if (until !== null && until < from + SHORTEST) until = null;
    },
    setUntil(seconds) {
      if (from === null || from > seconds - SHORTEST) from = 0;
      until = Math.max(seconds, from + SHORTEST);
    },
    clear() { [from, until] = [null, null]; },
    moved(seconds) { last = seconds; }, // somebody went elsewhere: no end was crossed
    // Where to go on from, if the end was crossed just now. Who goes behind the end is let go.
    next(seconds) {
      const crossed = from !== null && until !== null && last < until && seconds >= until;
      last = crossed ? from : seconds;
      return crossed ? from : null;
    },
  };
}

export function afterSilence(silences, seconds, length) {
  for (const [from, until] of silences) {
    if (seconds >= from + EDGE && seconds < until - EDGE) return until >= length - EDGE ? length : until - EDGE;
  }
  return null;
}

export function makeBoost(media) {
  let [gain, limit] = [null, null];
  return (times) => {
    if (!gain) {
      if (times === 1) return;
      context ??= new AudioContext();
      gain = context.createGain();
      limit = new DynamicsCompressorNode(context, { threshold: -3, knee: 0, ratio: 20 }); // loud moments do not crackle
      limit.connect(context.destination);
      context.createMediaElementSource(media).connect(gain);
      media.addEventListener("play", () => context.resume());
    }
    context.resume();
    gain.gain.value = times;
    gain.disconnect();
    gain.connect(times === 1 ? context.destination : limit); // without a boost it sounds as it was recorded
  };
}
