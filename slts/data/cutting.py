"""Long videos into chunks: which spans of presentation time a file is cut into."""

import math
from dataclasses import replace
from functools import partial

from slts.data.clip import Reject
from slts.data.media import probe
from slts.data.storage import on_this_machine
from slts.data.utterance import Utterance

LONGEST = 60.0
"""Seconds. A longer clip is never one sample: its frames would fill the memory of a process and of a training step."""
SLACK = 1e-3
"""Seconds by which a duration may exceed whole chunks before the rest is a chunk of its own."""


def spans(duration: float, rate: float | None, chunk_seconds: float) -> list[tuple[float, float]]:
    """Spans in seconds that together cover ``duration``, of ``chunk_seconds`` each, less for whole frames at ``rate``.

    The last one is the rest, however short: were it joined to its neighbour, that would be longer than asked for, and
    with equal chunks every bound would move when a container states its duration otherwise. A rest below min_seconds
    is rejected like any clip.
    """
    length = math.floor(chunk_seconds * rate + 1e-6) / rate if rate else chunk_seconds
    count = max(1, math.ceil((duration - SLACK) / length))
    return [(round(i * length, 6), round((i + 1) * length, 6)) for i in range(count)]


def cut(utterances: list[Utterance], chunk_seconds: float) -> list[Utterance]:
    """The utterances with every one that is longer than ``chunk_seconds`` and may be cut in chunks of at most that.

    A function of the files alone; a video behind an address is copied to learn how long it is. Chunks have no text:
    which words fall into one is not known. A file that cannot be read stays one utterance, whose loading tells why.
    """
    return [chunk for utterance in utterances for chunk in _chunks(utterance, chunk_seconds)]


def _chunks(utterance: Utterance, chunk_seconds: float) -> list[Utterance]:
    if utterance.video is None:
        return [utterance]
    try:
        duration, rate = probe(on_this_machine(utterance.video), utterance.streams)
    except Reject:
        return [utterance]
    if duration <= chunk_seconds + SLACK:
        return [utterance]
    return [
        replace(
            utterance,
            key=f"{utterance.key}-{number:04d}",
            text=None,
            source=f"{utterance.source}#{begin:.2f}-{end:.2f}",
            load=partial(utterance.load, span=(begin, end)),
            video=None,
        )
        for number, (begin, end) in enumerate(spans(duration, rate, chunk_seconds))
    ]


def refuse_too_long(utterance: Utterance) -> None:
    """Raises Reject("too_long") for an uncut video above LONGEST, before anything of it is decoded."""
    if utterance.video is not None:
        duration, _ = probe(on_this_machine(utterance.video), utterance.streams)
        if duration > LONGEST:
            raise Reject("too_long", f"{duration:.1f} s are more than {LONGEST:.0f}; cut it with chunk_seconds=30")
