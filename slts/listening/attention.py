"""Attention checks: a voice says which number is to be chosen. Who does not choose it was not listening."""

from importlib.resources import files

import numpy as np
import soundfile

NUMBERS = (1, 2, 3, 4, 5)


def instruction(number: int) -> np.ndarray:
    """The voice that asks for a number as the answer to every question, (N,) float32 at 16 kHz.

    Made by slts.corpora.synthetic.speech.spoken, voice gmw/en-GB-x-rp, 140 words a minute, pitch 50.
    """
    with (files("slts.listening") / "voice" / f"{number}.opus").open("rb") as file:
        return soundfile.read(file, dtype="float32")[0]
