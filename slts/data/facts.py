"""What KEY.json and corpus.json must hold: the one place where either is checked, for training as for verification."""

import json
import math

SAMPLE = {
    "speaker": str,
    "text": str | None,
    "fps": float | int,
    "frames": int,
    "split": str,
    "source": str,
    "offset_ms": float | int | None,
    "words": list,
}
"""What KEY.json must hold, and of which type."""
LEARNED_FROM = ("speaker", "fps", "frames", "offset_ms")
"""What training reads of it."""
CORPUS = {
    "name": str,
    "hash": str,
    "splits": dict,
    "speakers": list,
    "mel": dict | None,
    "shards": list,
    "config": dict,
    "rejected": dict,
    "several_streams": dict,
    "fps": list,
    "size": int,
    "synthesised": dict,
}
"""The types of what corpus.json may hold."""
CORPUS_BYTES = 64 << 20
"""Bytes that a corpus.json may have; ours have some 120 a shard."""


def sample_facts(text: bytes, required: tuple[str, ...] = tuple(SAMPLE)) -> dict:
    """KEY.json: fps in frames a second, offset_ms positive where the video lags.

    Raises:
        ValueError: no JSON object, or a fact that is missing, of another type, or no possible number.
    """
    try:
        facts = json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deep") from None
    if not isinstance(facts, dict):
        raise ValueError("its JSON is not an object")
    for name in required:
        if name not in facts or not isinstance(facts[name], SAMPLE[name]) or isinstance(facts[name], bool):
            raise ValueError(f"its JSON has no proper {name}")
    if not (facts["fps"] > 0 and math.isfinite(facts["fps"])):
        raise ValueError(f"its JSON says {facts['fps']} frames a second")
    if facts["frames"] < 1:
        raise ValueError(f"its JSON says {facts['frames']} frames")
    if facts["offset_ms"] is not None and not math.isfinite(facts["offset_ms"]):
        raise ValueError(f"its JSON says an offset of {facts['offset_ms']} ms")
    return facts


def corpus_facts(text: str) -> dict:
    """corpus.json, of a corpus or as a run keeps it.

    Raises:
        ValueError: no JSON object with a name, a fact of another type, or mel statistics that are none.
    """
    try:
        corpus = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(corpus, dict) or "name" not in corpus:
        raise ValueError("no name in it")
    for name in CORPUS.keys() & corpus.keys():
        if not isinstance(corpus[name], CORPUS[name]) or isinstance(corpus[name], bool):
            raise ValueError(f"{name} is {str(corpus[name])[:40]!r}")
    for name, split in corpus.get("splits", {}).items():
        if not isinstance(split, dict) or not all(_finite(split.get(what, 0)) for what in ("clips", "hours")):
            raise ValueError(f"split {name} is not described by clips and hours")
    if not all(isinstance(speaker, str) for speaker in corpus.get("speakers", [])):
        raise ValueError("a speaker is no text")
    if not all(_positive(rate) for rate in corpus.get("fps", [])):
        raise ValueError(f"fps is {corpus['fps']}")
    if mel := corpus.get("mel"):
        mean, deviation = mel.get("mean"), mel.get("std")
        proper = isinstance(mean, list) and isinstance(deviation, list) and len(mean) == len(deviation)
        if not (proper and all(map(_finite, mean)) and all(map(_positive, deviation))):
            raise ValueError("mel has no finite mean and positive std of each band")
    return corpus


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: object) -> bool:
    return _finite(value) and value > 0
