"""Speech to words, for word error rates: Whisper, a small recogniser trained on the corpus, and PocketSphinx.

A recogniser is a function of mono audio (N,) at 16 kHz in [-1, 1] to a string of words.
"""

from collections.abc import Callable

import numpy as np

Transcriber = Callable[[np.ndarray], str]
