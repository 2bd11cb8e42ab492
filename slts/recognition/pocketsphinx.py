"""PocketSphinx (Huggins-Daines et al. 2006) under a sentence grammar: the recogniser of k-WER that needs no training.

Its US English acoustic model lies in the package.
"""

import numpy as np

from slts.recognition import Transcriber
from slts.recognition.grammar import Grammar

BRITISH = {"z": "Z EH D"}
"""Pronunciations of GRID's British speakers that the dictionary lacks."""


def pocketsphinx_transcriber(grammar: Grammar) -> Transcriber:
    """Words of mono audio (N,) at 16 kHz, a sentence of the grammar or, where the search finds none, its beginning.

    The beams are wide, and the channel is taken out of each clip by itself, so that what is heard in a clip does not
    depend on the clips before it. A word that the dictionary lacks raises RuntimeError.
    """
    import pocketsphinx

    wide = {"beam": 1e-120, "pbeam": 1e-120, "wbeam": 1e-100, "maxhmmpf": -1, "cmn": "batch"}
    decoder = pocketsphinx.Decoder(samprate=16000, lm=None, loglevel="FATAL", **wide)
    for word, phones in BRITISH.items():
        if word in grammar.words:
            decoder.add_word(f"{word}(2)", phones, False)
    decoder.add_jsgf_string("sentences", grammar.jsgf())
    decoder.activate_search("sentences")

    def transcribe(audio: np.ndarray) -> str:
        samples = (np.clip(audio, -1, 1) * 32767).astype(np.int16)
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return transcribe
