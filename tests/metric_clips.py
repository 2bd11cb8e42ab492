"""Audio for the tests of metrics: a generated speech-like signal, and real GRID clips where they are present."""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

GRID = Path(os.environ.get("SLTS_GRID", Path(__file__).parents[2] / "shared" / "grid"))


def speech_like(seed: int, seconds: float = 3.0, noise: float = 0.003) -> np.ndarray:
    """Voiced syllables with gliding pitch and formants, fricative bursts and pauses: (N,) float32 at 16 kHz.

    RandomState keeps its streams for ever, so that values computed from a seed may be stored.
    """
    return _speech_like(seed, seconds, noise).copy()


@lru_cache(maxsize=64)
def _speech_like(seed: int, seconds: float, noise: float) -> np.ndarray:
    rng = np.random.RandomState(seed)
    count = int(seconds * 16000)
    time = np.arange(count) / 16000
    knots = np.arange(0, seconds + 0.2, 0.12)

    def glide(low: float, high: float) -> np.ndarray:
        return np.interp(time, knots, rng.uniform(low, high, len(knots)))

    phase = 2 * np.pi * np.cumsum(glide(90, 180)) / 16000
    pitch = np.gradient(phase) * 16000 / (2 * np.pi)
    formants = [(glide(300, 800), 90), (glide(900, 2300), 130), (glide(2400, 3300), 200)]
    voiced = np.zeros(count)
    for harmonic in range(1, 30):
        gain = sum(np.exp(-0.5 * ((harmonic * pitch - centre) / width) ** 2) for centre, width in formants)
        voiced += gain * np.sin(harmonic * phase)
    hiss = np.diff(rng.standard_normal(count + 1)) * np.clip(glide(-1, 1), 0, None)
    audio = (voiced + 0.3 * hiss) * np.clip(glide(-0.4, 1), 0, None) + noise * rng.standard_normal(count)
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)
