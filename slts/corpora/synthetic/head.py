"""A film of a drawn head that speaks generated sentences: for examples and trials, as its offset is known.

python -m slts.corpora.synthetic.head OUT.mp4 [offset_ms=120] [sentences=2] [speaker=2] [seed=0]

The mouth is that of the generated corpus, in a face that detectors find. The picture lags the sound by ``offset_ms``.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from slts.corpora import grid_grammar
from slts.corpora.synthetic import FPS, Spec, scene, sound
from slts.corpora.synthetic.mouth import Looks
from slts.corpora.synthetic.speakers import SPEAKERS
from slts.data.clip import Clip
from slts.data.media import encode_h264, mux
from slts.errors import UserError

SIZE = 360
"""Pixels of a side."""
CENTRE, RADIUS, MOUTH = (180, 150), 85, 150
"""Of the face, half its width, and the side of the square of the mouth; pixels."""
MOUTH_DOWN = 0.75
"""How far the middle of the mouth's square is below the centre, in RADIUS."""
FRAMES = 64
"""Of a sentence."""
GRAIN = 2.0
"""Standard deviation of the camera's noise, grey levels."""


def speaking_head(speaker: int = 1, sentences: int = 2, offset_ms: float = 0.0, seed: int = 0) -> Clip:
    """A clip of 360 x 360 pixels at 25 a second whose picture lags its sound by ``offset_ms``; raises Reject as
    ``slts.corpora.synthetic.render`` does."""
    head = draw_head(SPEAKERS[speaker].looks)
    sounds, frames = [], []
    chosen = np.random.default_rng(seed).permutation(grid_grammar.SENTENCES)[:sentences]
    left, top = CENTRE[0] - MOUTH // 2, CENTRE[1] + round(MOUTH_DOWN * RADIUS) - MOUTH // 2
    v, u = np.mgrid[-1 : 1 : MOUTH * 1j, -1 : 1 : MOUTH * 1j]
    inside = np.clip((1 - np.hypot(u, v) / 0.95) / 0.35, 0, 1)[..., None]
    grain = np.random.default_rng([seed, 1])
    for index, sentence in enumerate(chosen):
        spec = Spec(
            seed=seed, index=index, speaker=speaker, stem=grid_grammar.stem(int(sentence)), profile="none",
            frames=FRAMES, size=MOUTH, noise=0.0, coarticulation=1.0, head_motion=0.6, crop_jitter=0.0, light=0.5,
        )  # fmt: skip
        audio, phones, _, _ = sound(spec)
        sounds.append(audio)
        for mouth in scene(spec, phones, offset_ms):
            picture = head.copy()
            square = picture[top : top + MOUTH, left : left + MOUTH]
            square += inside * (mouth - square)
            frames.append((picture + GRAIN * grain.standard_normal(picture.shape)).clip(0, 255).astype(np.uint8))
    return Clip(frames=np.stack(frames), fps=FPS, audio=np.concatenate(sounds), offset_ms=offset_ms)


def draw_head(looks: Looks) -> np.ndarray:
    """A frontal head without a mouth (SIZE, SIZE, 3) float32 RGB, 0..255."""
    skin, picture = np.array(looks.skin), np.empty((SIZE, SIZE, 3), np.uint8)
    picture[:] = np.round(255 * np.array(looks.backdrop))

    def oval(right: float, down: float, wide: float, high: float, light: float, colour=skin) -> None:
        middle = round(CENTRE[0] + right * RADIUS), round(CENTRE[1] + down * RADIUS)
        axes = round(wide * RADIUS), round(high * RADIUS)
        cv2.ellipse(picture, middle, axes, 0, 0, 360, (255 * light * colour).clip(0, 255).tolist(), -1, cv2.LINE_AA)

    grey = np.ones(3)
    oval(0, -0.25, 1.1, 1.35, 0.18, grey)  # hair
    oval(0, 0, 0.95, 1.3, 1.0)
    for side in (-1, 1):
        oval(0.42 * side, -0.3, 0.3, 0.16, 0.6)
        oval(0.42 * side, -0.25, 0.2, 0.1, 0.94, grey)
        oval(0.42 * side, -0.25, 0.1, 0.1, 0.08, grey)
        oval(0.42 * side, -0.45, 0.3, 0.06, 0.25, grey)
        oval(0.13 * side, 0.3, 0.08, 0.05, 0.55)
        oval(0.6 * side, 0.35, 0.15, 0.4, 0.9)
    oval(0, 0, 0.1, 0.35, 1.1)
    return cv2.GaussianBlur(picture, (0, 0), RADIUS / 25).astype(np.float32)


def main(out: str, *given: str) -> None:
    keys = dict(word.partition("=")[::2] for word in given)
    chosen = {name: int(keys.pop(name, usual)) for name, usual in (("sentences", 2), ("speaker", 2), ("seed", 0))}
    offset_ms = float(keys.pop("offset_ms", 120))
    if keys or not 1 <= chosen["speaker"] <= len(SPEAKERS):
        raise UserError(
            f"{next(iter(keys), 'speaker')}: choose offset_ms, sentences, seed, or speaker 1 to {len(SPEAKERS)}"
        )
    clip = speaking_head(chosen["speaker"] - 1, chosen["sentences"], offset_ms, chosen["seed"])
    mux(encode_h264(clip.frames, clip.fps), clip.audio, Path(out))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (UserError, ValueError, TypeError) as error:
        sys.exit(f"{error}\n\n{__doc__}")
