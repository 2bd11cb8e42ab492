"""Films of a drawn head that visitors can try, made when the demo starts: nothing of the kind lies in the package."""

from pathlib import Path

import numpy as np

from slts.audio import SAMPLE_RATE
from slts.corpora.synthetic.head import speaking_head
from slts.data.media import encode_h264, mux, write_sound

LATE_MS = 200
"""By how much the picture of late films lags."""
IN_SYNC, LATE, WRONG = "in sync", f"picture {LATE_MS} ms late", "a sound that does not fit"
SPEECH = "other words"
"""A sound for the lips of the films."""


def draw_examples(folder: Path) -> dict[str, Path]:
    """Films by what is wrong with them, and SPEECH, written into ``folder``; all of one drawing of two sentences, as
    drawing is what takes time."""
    clip = speaking_head(speaker=1, sentences=2)
    half = len(clip.audio) // 2
    swapped = np.concatenate([clip.audio[half:], clip.audio[:half]])
    early = np.pad(clip.audio[LATE_MS * SAMPLE_RATE // 1000 :], (0, LATE_MS * SAMPLE_RATE // 1000))
    picture = encode_h264(clip.frames, clip.fps)
    sounds = {IN_SYNC: clip.audio, LATE: early, WRONG: clip.audio[::-1]}
    found = {name: folder / f"example-{number}.mp4" for number, name in enumerate(sounds)}
    for name, sound in sounds.items():
        mux(picture, np.ascontiguousarray(sound), found[name])
    found[SPEECH] = folder / "other-words.wav"
    write_sound(found[SPEECH], swapped)
    return found
