"""A drawn talker whose mouth opens as loud as the sound is, and an estimator that compares just that."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from slts.audio import SAMPLE_RATE
from slts.data.batch import Batch
from slts.systems.contract import OFFSETS, OffsetEstimate
from slts.systems.trained import TrainedRun
from slts.training.run_directory import RunDirectory

SIZE = 64
STEPS = 100
"""Instants a second at which loudness and opening are compared."""


def loudness(seconds: float, seed: int = 0) -> np.ndarray:
    """(seconds * 1000,) in 0..1, one a millisecond: syllables and pauses."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter1d(rng.normal(size=round(seconds * 1000)), 40)
    return np.clip(0.4 + 0.4 * noise / noise.std(), 0, 1)


def talker(
    path: Path,
    seconds: float,
    lag,
    *,
    voice: int = 0,
    face: int | None = None,
    fps: float = 25,
    rate: int = 16000,
    layout: str = "mono",
    shape: tuple[int, int] = (SIZE, SIZE),
    uneven: bool = False,
    still: bool = False,
    silent: bool = False,
    codecs: tuple[str, str] = ("mpeg4", "pcm_s16le"),
    pix_fmt: str = "yuv420p",
) -> Path:
    """A video in which what is seen at s was heard ``lag(s)`` seconds before; another ``face`` than the voice's does
    not fit it. ``uneven`` pictures last 20 to 60 ms, ``shape`` is their height and width."""
    loud = loudness(seconds + 2, voice)
    shown = loud if face is None else loudness(seconds + 2, face)
    rng = np.random.default_rng(voice + 1)
    at = np.arange(round(seconds * fps)) / fps
    if uneven:
        at = np.concatenate([[0], np.cumsum(rng.uniform(0.02, 0.06, len(at) - 1))]).round(3)
    heard_at = at - np.array([float(lag(s)) for s in at])
    opening = np.interp(heard_at + 1, np.arange(len(shown)) / 1000, shown)  # a second before the start is there
    time = np.arange(round(seconds * rate)) / rate
    sound = rng.normal(size=len(time)) * np.interp(time + 1, np.arange(len(loud)) / 1000, loud) * 0.2 * (not silent)
    height, width = shape
    scale = min(shape) / SIZE
    bottom, wide = (height + min(shape)) // 2 - round(4 * scale), round(20 * scale)  # of the square in the middle
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        video = container.add_stream(codecs[0], rate=Fraction(fps).limit_denominator(1001))
        video.height, video.width = shape
        video.pix_fmt = pix_fmt
        video.codec_context.time_base = Fraction(1, 1000)
        spoken = container.add_stream(codecs[1], rate=rate, layout=layout)
        for when, tall in zip(at, np.round(20 * scale * opening * (not still)).astype(int), strict=True):
            picture = np.full((height, width, 3), 90, np.uint8)
            picture[bottom - tall : bottom, width // 2 - wide : width // 2 + wide] = 230
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(1000 * when), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        pcm = np.repeat((sound.clip(-1, 1) * 32767).astype(np.int16)[:, None], spoken.layout.nb_channels, axis=1)
        for first in range(0, len(pcm), 1024):
            piece = np.ascontiguousarray(pcm[first : first + 1024]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
            container.mux(spoken.encode(frame))
        container.mux(spoken.encode(None))
    return path


class EnvelopeTask(nn.Module):
    """Correlates brightness with loudness at every shift."""

    takes, gives, fps, critic = (), (OFFSETS,), None, None
    offset_step_ms, radius = 10.0, 40

    def __init__(self, sure_above: float | None):
        super().__init__()
        self.sure_above = sure_above

    def offsets(self, batch: Batch) -> OffsetEstimate:
        found = [self._one(batch.video[i], batch.audio[i], float(batch.fps[i])) for i in range(len(batch.key))]
        ms, confidence = torch.tensor(found, dtype=torch.float32).T
        return OffsetEstimate(ms, confidence, 10.0 * (self.radius - 1))

    def _one(self, video: Tensor, audio: Tensor, fps: float) -> tuple[float, float]:
        bright = video.float().mean((1, 2, 3)).numpy()
        hop = SAMPLE_RATE // STEPS
        sound = audio.numpy()[: len(audio) // hop * hop].reshape(-1, hop)
        loud = gaussian_filter1d(np.sqrt(np.square(sound).mean(1)), 2)
        if len(loud) <= 2 * self.radius:
            return float("nan"), 0.0
        seen = np.interp((np.arange(len(loud)) + 0.5) / STEPS, np.arange(len(bright)) / fps, bright)
        fits = []
        for shift in range(-self.radius, self.radius + 1):
            a, b = seen[max(0, shift) : len(seen) + min(0, shift)], loud[max(0, -shift) : len(loud) - max(0, shift)]
            fits.append(np.corrcoef(a, b)[0, 1] if a.std() * b.std() > 1e-12 else 0.0)
        best = int(np.argmax(fits))
        return 10.0 * (best - self.radius), max(0.0, float(fits[best]))


def envelope_run(sure_above: float | None = 0.7) -> TrainedRun:
    """The estimator as a run that takes the whole picture for the face."""
    config = {"task": {"name": "envelope"}, "variant": "drawn", "augment": {"crop": 1.0},
              "model": {"image_size": SIZE, "channels": 1}}  # fmt: skip
    corpus = {"speakers": [], "config": {"faces": "none", "region": "face", "size": SIZE, "fps": None}}
    task, device = EnvelopeTask(sure_above).eval(), torch.device("cpu")
    return TrainedRun(RunDirectory(Path("envelope")), OmegaConf.create(config), corpus, task, 0, device)
