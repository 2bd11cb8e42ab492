"""Known audio-visual offsets put into clips that are in sync."""

import math

import numpy as np

from slts.audio import SAMPLE_RATE
from slts.data.clip import Clip, Reject
from slts.offsets.profiles import PROFILES, draw_offset_ms

SPREAD = 0.2
"""Seconds over which the start of the picture varies, so that the first sound does not tell the offset."""


def inject_offset(clip: Clip, profile: str, rng: np.random.Generator) -> Clip:
    """A shorter cut of a clip whose picture lags its sound by a known offset; real picture and sound at both ends.

    With the picture cut from source time v and the sound from v + o, an event at source time e is heard at e - v - o
    and seen at e - v, which is heard time + o: the offset is o. The picture's start is drawn over whole frames without
    regard to o, from those for which every offset of the profile finds sound, and all cuts of clips of one length have
    one length.

    Args:
        clip: picture and sound with their own offset (or none known), which adds to the injected one.
        profile: a name in slts.offsets.profiles.PROFILES.
        rng: draws the picture's start first, then the offset.

    Raises:
        Reject: too_short.
    """
    low, high = (bound / 1000 for bound in PROFILES[profile])
    before, after = max(0.0, -low), max(0.0, high)
    whole = min(len(clip.frames) / clip.fps, len(clip.audio) / SAMPLE_RATE)
    count = math.floor((whole - before - after - SPREAD) * clip.fps + 1e-6)
    if count < 1:
        raise Reject("too_short", f"{whole:.2f} s leave nothing once offsets of {profile} are injected")
    earliest = math.ceil(before * clip.fps - 1e-6)
    latest = math.floor((whole - after) * clip.fps + 1e-6) - count
    first = int(rng.integers(earliest, latest, endpoint=True))
    offset_ms = draw_offset_ms(profile, rng)

    sound_start = first / clip.fps + offset_ms / 1000
    begin = round(sound_start * SAMPLE_RATE)
    duration = count / clip.fps
    extra = dict(clip.extra)
    if "start" in extra:
        extra["start"] += first / clip.fps
    if "phones" in extra:
        extra["phones"] = _shifted(extra["phones"], sound_start, duration)
    return Clip(
        frames=clip.frames[first : first + count],
        fps=clip.fps,
        audio=clip.audio[begin : begin + round(duration * SAMPLE_RATE)],
        offset_ms=(clip.offset_ms or 0.0) + offset_ms,
        words=_shifted(clip.words, sound_start, duration),
        extra=extra,
    )


def _shifted(labels: list, start: float, duration: float) -> list:
    """(start, end, label) on the clock of the cut; labels wholly outside it are gone, the others keep their times."""
    return [(b - start, e - start, label) for b, e, label in labels if e > start and b < start + duration]
