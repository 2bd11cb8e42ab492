"""Speech of any text, and of GRID sentences with the times of their phones, from espeak-ng.

espeak-ng repeats itself exactly only in a fresh process, so each text is spoken in a forked child that runs
nothing else and answers through a pipe.
"""

import ctypes
import json
import os
from dataclasses import dataclass
from functools import cache

import numpy as np
import soxr

from slts.audio import SAMPLE_RATE
from slts.data.clip import Reject
from slts.errors import UserError

LETTER_PHONES = {
    "a": "eI", "b": "bi:", "c": "si:", "d": "di:", "e": "i:", "f": "Ef", "g": "dZi:", "h": "eItS", "i": "aI",
    "j": "dZeI", "k": "keI", "l": "El", "m": "Em", "n": "En", "o": "oU", "p": "pi:", "q": "kju:", "r": "A@",
    "s": "Es", "t": "ti:", "u": "ju:", "v": "vi:", "x": "Eks", "y": "waI", "z": "zEd",
}  # fmt: skip
"""Names of the letters in espeak's phone alphabet: written as plain text a lone "a" becomes a schwa."""

VOWEL_LATE = {
    "m": 0.034,
    "n": 0.045,
    "b": 0.041,
    "d": 0.026,
    "g": 0.031,
    "l": 0.030,
    "w": 0.034,
    "r": 0.016,
    "j": 0.018,
}
"""Seconds by which the event of a vowel comes after its acoustic onset, by the consonant before it: espeak-ng reports
the vowel only after the transition into it. Means of the instant of greatest spectral change over two voices, two
rates and four vowels; after other consonants, and for the consonants themselves, events are right within 5 ms."""

CLOSURE = 0.039
"""Seconds of silent closure before the event of a voiceless stop, which marks its burst."""

_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_SYNCHRONOUS, _PHONEME_EVENTS, _DONT_EXIT = 2, 0x0001, 0x8000
_UTF8, _PHONEMES_IN_TEXT = 1, 0x100
_END_OF_LIST, _WORD, _PHONEME = 0, 1, 7  # espeak_EVENT_TYPE


@dataclass(frozen=True)
class Speech:
    """A spoken sentence; times are seconds from the start of ``audio``."""

    audio: np.ndarray
    """(N,) float32 in [-1, 1] at 16 kHz, without lead or tail."""
    phones: list[tuple[float, float, str]]
    """(start, end, phone in espeak's alphabet without stress marks), contiguous, corrected to the acoustics."""
    words: list[tuple[float, float, str]]
    """(start, end, word)."""


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng's speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


@cache
def _library() -> tuple[ctypes.CDLL, bytes]:
    """espeak-ng and the path of its data. Raises UserError when the package is not installed."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise UserError("espeak-ng, which is to speak, is not installed: pip install 'slts[synth]'") from error
    return ctypes.CDLL(espeakng_loader.get_library_path()), espeakng_loader.get_data_path().encode()


def check_installed() -> None:
    """Raises UserError when espeak-ng is not installed."""
    _library()


def spoken(text: str, voice: str, rate: int, pitch: int) -> np.ndarray:
    """Any text, (N,) float32 in [-1, 1] at 16 kHz; arguments and errors as of ``speak``."""
    return _said(text, voice, rate, pitch)[0]


def speak(sentence: str, voice: str, rate: int, pitch: int) -> Speech:
    """A GRID sentence spoken by an espeak voice file such as ``gmw/en-GB-x-rp+f2``, in a forked process of its own.

    ``rate`` in words a minute (80..450), ``pitch`` 0..100. Repeats exactly. Raises Reject("synthesis") when espeak-ng
    fails, UserError when it is not installed.
    """
    words = sentence.split()
    text = " ".join(f"[['{LETTER_PHONES[word]}]]" if word in LETTER_PHONES else word for word in words)
    audio, said = _said(text, voice, rate, pitch)
    if len(said["words"]) != len(words):
        raise Reject("synthesis", f"espeak-ng spoke {len(said['words'])} words of '{sentence}' with voice {voice}")
    seconds = said["samples"] / said["rate"]
    starts = [sample / said["rate"] for sample in said["words"]] + [seconds]
    return Speech(
        audio=audio,
        phones=_acoustic_times([(sample / said["rate"], name) for sample, name in said["phones"]], seconds),
        words=list(zip(starts, starts[1:], words, strict=False)),
    )


def _said(text: str, voice: str, rate: int, pitch: int) -> tuple[np.ndarray, dict]:
    """(N,) float32 at 16 kHz, and {rate, samples, words, phones}, counted in espeak-ng's own samples."""
    library = _library()
    answer = _in_child(lambda: _synthesise(library, text.encode(), voice.encode(), rate, pitch))
    head, _, samples = answer.partition(b"\n")
    if not samples:
        raise Reject("synthesis", f"espeak-ng said nothing for '{text}' with voice {voice}")
    said, pcm = json.loads(head), np.frombuffer(samples, np.int16).astype(np.float32) / 32768
    return soxr.resample(pcm, said["rate"], SAMPLE_RATE).astype(np.float32), said | {"samples": len(pcm)}


def _acoustic_times(events: list[tuple[float, str]], seconds: float) -> list[tuple[float, float, str]]:
    """Phones with start and end from espeak's (time, name) events, moved to where they are heard."""
    phones = [(time, name.strip("',%=|")) for time, name in events if not name.startswith("_")]
    starts = [time for time, _ in phones]
    for i in range(1, len(phones)):
        (before, previous), (time, name) = phones[i - 1], phones[i]
        shift = CLOSURE if name in ("p", "t", "k", "tS") else VOWEL_LATE.get(previous, 0.0) if _is_vowel(name) else 0.0
        # A short phone keeps a third of its length.
        starts[i] = max(time - shift, before + (time - before) / 3)
    return [(start, end, name) for start, end, (_, name) in zip(starts, [*starts[1:], seconds], phones, strict=True)]


def _is_vowel(phone: str) -> bool:
    return phone[0] in "aeiouAEIOUV03@"


def _in_child(work) -> bytes:
    """The bytes that ``work()`` returns in a forked process; empty when it fails there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # The child leaves by _exit whatever happens: it must not run the parent's handlers, nor flush its files.
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(work())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return answer if status == 0 else b""


def _synthesise(library: tuple[ctypes.CDLL, bytes], text: bytes, voice: bytes, rate: int, pitch: int) -> bytes:
    """A JSON line {rate, words: [sample], phones: [[sample, name]]}, then 16-bit samples; empty without the voice."""
    espeak, data = library
    sample_rate = espeak.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _DONT_EXIT)
    if sample_rate <= 0 or espeak.espeak_SetVoiceByName(voice) != 0:
        return b""
    espeak.espeak_SetParameter(_RATE, rate, 0)
    espeak.espeak_SetParameter(_PITCH, pitch, 0)
    samples, words, phones = bytearray(), [], []

    def collect(wave, count, events) -> int:
        if wave and count > 0:
            samples.extend(ctypes.string_at(wave, 2 * count))
        i = 0
        while events[i].type != _END_OF_LIST:
            if events[i].type == _WORD:
                words.append(events[i].sample)
            elif events[i].type == _PHONEME:
                phones.append([events[i].sample, events[i].id.string.decode()])
            i += 1
        return 0

    callback = _Callback(collect)
    espeak.espeak_SetSynthCallback(callback)
    espeak.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 0, 0, _UTF8 | _PHONEMES_IN_TEXT, None, None)
    espeak.espeak_Synchronize()
    return json.dumps({"rate": sample_rate, "words": words, "phones": phones}).encode() + b"\n" + bytes(samples)
