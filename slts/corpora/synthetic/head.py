"""A film of a drawn head that speaks generated sentences: for examples and trials, as its offset is known.

python -m slts.corpora.synthetic.head OUT.mp4 [offset_ms=120] [sentences=2] [speaker=2] [seed=0]

The mouth is that of the generated corpus, in a face that detectors find. The picture lags the sound by ``offset_ms``.
"""

import sys
from pathlib import Path

import numpy as np

from slts.corpora import grid_grammar
from slts.corpora.synthetic import FPS, Spec, scene, sound
from slts.corpora.synthetic.face import MOUTH, around_mouths
from slts.corpora.synthetic.speakers import SPEAKERS
from slts.data.clip import Clip
from slts.data.media import encode_h264, mux
from slts.errors import UserError

FRAMES = 64
"""Of a sentence."""
GRAIN = 2.0
"""Standard deviation of the camera's noise, grey levels."""


def speaking_head(speaker: int = 1, sentences: int = 2, offset_ms: float = 0.0, seed: int = 0) -> Clip:
    """A clip of 360 x 360 pixels at 25 a second whose picture lags its sound by ``offset_ms``; raises Reject as
    ``slts.corpora.synthetic.render`` does."""
    sounds, frames = [], []
    chosen = np.random.default_rng(seed).permutation(grid_grammar.SENTENCES)[:sentences]
    grain = np.random.default_rng([seed, 1])
    for index, sentence in enumerate(chosen):
        spec = Spec(
            seed=seed, index=index, speaker=speaker, stem=grid_grammar.stem(int(sentence)), profile="none",
            frames=FRAMES, view="mouth", size=MOUTH, noise=0.0, coarticulation=1.0, head_motion=0.6, crop_jitter=0.0,
            light=0.5,
        )  # fmt: skip
        audio, phones, _, _ = sound(spec)
        sounds.append(audio)
        for picture in around_mouths(scene(spec, phones, offset_ms), SPEAKERS[speaker].looks):
            frames.append((picture + GRAIN * grain.standard_normal(picture.shape)).clip(0, 255).astype(np.uint8))
    return Clip(frames=np.stack(frames), fps=FPS, audio=np.concatenate(sounds), offset_ms=offset_ms)


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
