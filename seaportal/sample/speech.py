"""Synthesise what two people on a telephone sound like, in plain Python and without anybody's voice.

A voice is a bank of short syllables (a pulse train through three formant resonators, some with a hiss in front). Talking is
those syllables laid end to end, so that a six-minute call costs no more arithmetic than a short one.
"""

import math
import random
from array import array
from dataclasses import dataclass

RATE = 16_000  # samples per second
_VOWELS = (
    (730, 1090, 2440),
    (530, 1840, 2480),
    (300, 2250, 2900),
    (570, 840, 2410),
    (320, 900, 2240),
    (500, 1500, 2500),
)
_BANDWIDTHS = (80, 110, 160)  # Hz, one per formant


@dataclass(frozen=True)
class Voice:
    """A speaker's bank of syllables: `rising`, `level` and `falling` hold the same syllables at other pitches."""

    rising: list[array]
    level: list[array]
    falling: list[array]


def make_voice(*, pitch: float, tract: float, gain: float, seed: int, syllables: int = 18) -> Voice:
    """Build a speaker from a pitch in Hz, a vocal-tract scale (1.0 deep, about 1.18 bright) and a loudness (0 to 1)."""
    rng = random.Random(seed)
    rising, level, falling = [], [], []
    for _ in range(syllables):
        start, end = rng.choice(_VOWELS), rng.choice(_VOWELS)
        length = int(rng.uniform(0.12, 0.23) * RATE)
        hiss = int(rng.choice((0, 0, 0.03, 0.05, 0.07)) * RATE)
        sound = [rng.randrange(1 << 30), start, end, length, hiss, tract, gain]
        rising.append(_syllable(pitch * 1.0, pitch * 1.16, *sound))
        level.append(_syllable(pitch * 1.06, pitch * 1.0, *sound))
        falling.append(_syllable(pitch * 0.98, pitch * 0.78, *sound))
    return Voice(rising=rising, level=level, falling=falling)


def _syllable(
    f_start: float,
    f_end: float,
    seed: int,
    vowel: tuple[int, ...],
    glide_to: tuple[int, ...],
    length: int,
    hiss: int,
    tract: float,
    gain: float,
) -> array:
    """Run a pulse train that glides from `f_start` to `f_end` Hz through formants that glide between two vowels."""
    rng = random.Random(seed)
    samples: list[float] = []
    previous = 0.0
    for i in range(hiss):
        noise = rng.uniform(-1, 1)
        samples.append((noise - previous) * 0.10 * math.sin(math.pi * i / hiss))
        previous = noise
    voiced: list[float] = []
    memory = [0.0] * 6
    phase, source = 0.0, 0.0
    block = 160  # coefficients change every 10 ms: smooth to the ear, cheap to compute
    for begin in range(0, length, block):
        share = begin / length
        step = (f_start + (f_end - f_start) * share) * rng.uniform(0.99, 1.01) / RATE
        (a1, b1), (a2, b2), (a3, b3) = (
            _resonator((low + (high - low) * share) * tract, width)
            for low, high, width in zip(vowel, glide_to, _BANDWIDTHS, strict=True)
        )
        m1, n1, m2, n2, m3, n3 = memory
        for _ in range(begin, min(begin + block, length)):
            phase += step
            pulse = 0.0
            if phase >= 1.0:
                phase -= 1.0
                pulse = 1.0
            source += 0.25 * (pulse - source)
            x = source + rng.random() * 0.004
            m1, n1 = x + a1 * m1 - b1 * n1, m1
            m2, n2 = x + a2 * m2 - b2 * n2, m2
            m3, n3 = x + a3 * m3 - b3 * n3, m3
            voiced.append(m1 + 0.65 * (m2 - n2) + 0.5 * (m3 - n3))
        memory = [m1, n1, m2, n2, m3, n3]
    peak = max(max(voiced), -min(voiced)) or 1.0
    attack, decay = int(0.018 * RATE), int(0.06 * RATE)
    for i, value in enumerate(voiced):
        envelope = min(1.0, i / attack, (length - i) / decay)
        samples.append(value / peak * envelope)
    return array("h", (int(max(-1.0, min(1.0, s * gain)) * 32_000) for s in samples))


def _resonator(frequency: float, bandwidth: float) -> tuple[float, float]:
    """Return the two feedback coefficients of a resonance at `frequency` Hz."""
    radius = math.exp(-math.pi * bandwidth / RATE)
    return 2 * radius * math.cos(2 * math.pi * frequency / RATE), radius * radius


def silence(seconds: float) -> array:
    """Return that many seconds of nothing."""
    return array("h", bytes(2 * int(seconds * RATE)))


def utterance(voice: Voice, *, seconds: float, rng: random.Random) -> array:
    """Speak for about `seconds`: words of one to four syllables, a breath now and then, the voice falling at the end."""
    out = array("h")
    want = int(seconds * RATE)
    since_breath = 0
    while len(out) < want:
        for _ in range(rng.choice((1, 2, 2, 3, 4))):
            out.extend(rng.choice(rng.choice((voice.rising, voice.level, voice.level))))
        since_breath += 1
        if since_breath > rng.randint(3, 7):
            out.extend(rng.choice(voice.falling))
            out.extend(silence(rng.uniform(0.25, 0.55)))
            since_breath = 0
        else:
            out.extend(silence(rng.uniform(0.02, 0.09)))
    out.extend(rng.choice(voice.falling))
    return out


def conversation(*, seconds: int, agent: Voice, customer: Voice, rng: random.Random) -> tuple[array, array]:
    """Hold a call of exactly `seconds`: return the agent's track and the customer's track, equally long.

    They take turns, sometimes murmur agreement into each other's turn, and in a longer call the agent is silent for a while
    (a look-up, a hold), because a waveform without pauses looks like no call that anybody has heard.
    """
    total = seconds * RATE
    tracks = (silence(seconds), silence(seconds))
    at = int(0.6 * RATE)
    holds = [
        int(total * share)
        for share in ((0.45,) if seconds >= 45 else ()) + ((0.75,) if seconds >= 150 else ())
    ]
    turn = 0
    while at < total - RATE:
        if holds and at >= holds[0]:
            holds.pop(0)
            at += int(rng.uniform(5, min(20, seconds / 8)) * RATE)
        speaker, listener = (agent, customer) if turn == 0 else (customer, agent)
        said = utterance(speaker, seconds=rng.uniform(1.2, 6.5), rng=rng)[: max(0, total - RATE // 3 - at)]
        tracks[turn][at : at + len(said)] = said
        if len(said) > 4 * RATE and rng.random() < 0.4:
            murmur = rng.choice(listener.falling)
            where = at + int(len(said) * rng.uniform(0.3, 0.7))
            tracks[1 - turn][where : where + len(murmur)] = murmur
        at += len(said) + int(rng.choice((0.15, 0.4, 0.6, 0.9, 1.8)) * RATE)
        turn = 1 - turn
    return tracks[0][:total], tracks[1][:total]
