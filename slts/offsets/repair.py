"""Shards with their offsets taken out: sound and picture of every clip cut anew, nothing padded."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slts.audio import SAMPLE_RATE
from slts.data.assembly import assemble_shard, merge_facts, rejections
from slts.data.clip import Reject
from slts.data.destination import Bucket, Folder, refuse_source
from slts.data.engine import Engine
from slts.data.making import make_shards
from slts.data.media import decode_flac, decode_frames, encode_flac, encode_h264
from slts.data.parallel import HERE
from slts.data.shard_source import is_sound
from slts.data.shards import MEMBERS, index_shard, read_corpus_json, read_shard
from slts.errors import UserError


@dataclass(frozen=True)
class Job:
    """One shard to repair."""

    out: Folder | Bucket
    file: str
    source: Path
    digest: str | None
    """SHA-256 of the source."""
    offsets: dict[str, float | None]
    """Of all its clips, milliseconds by key."""
    shortest: float
    """Seconds that a clip must have."""

    @property
    def clips(self) -> int:
        return len(self.offsets)


def repair_corpus(
    data: Path, offsets: dict[str, float], method: str, out: Folder | Bucket, engine: Engine = HERE
) -> dict:
    """Write the corpus in ``data`` to ``out`` with its clips shifted into sync; shards finished earlier are kept.

    A clip without an offset, and one that was repaired before, stays as it is. One that becomes shorter than the
    corpus's ``min_seconds`` is a line in rejected.jsonl. In a clip's JSON, ``repaired`` holds the offset taken out,
    and ``offset_ms``, where it was known, what is left of it.

    Args:
        data: shards of slts prepare.
        offsets: milliseconds by key, positive where the video lags the audio.
        method: what found them, recorded in corpus.json.
        out: another folder, or an address.
        engine: repairs the shards, a job each.

    Returns:
        The new corpus.json. Its ``repaired`` holds the method and the hash of the corpus it came from.

    Raises:
        UserError: ``out`` is ``data`` or holds something else, ``data`` holds further sounds, nothing in it has an
            offset, or a shard is not the one that corpus.json records.
    """
    corpus = read_corpus_json(data)
    refuse_source(out, data)
    entries = {shard["file"]: index_shard(data / shard["file"]) for shard in corpus["shards"]}
    if further := {name for some in entries.values() for entry in some for name in entry["members"]} - set(MEMBERS):
        raise UserError(
            f"data={data} holds further sounds ({', '.join(sorted(further))}), which are in time with its pictures and"
            " would not be after the repair; repair the corpus that they were made for and make them anew: slts offsets"
            f" action=apply data=FOLDER out={out}, then slts generate run=RUN data={out} out=..."
        )
    keys = {entry["key"] for some in entries.values() for entry in some}
    if not keys & offsets.keys():
        raise UserError(
            f"none of the {len(offsets)} offsets belongs to a clip of data={data}; give those of this corpus"
        )
    settings = corpus["config"] | {
        "repair": {"of": corpus["hash"], "offsets": {key: offsets[key] for key in sorted(keys & offsets.keys())}}
    }
    shortest = corpus["config"].get("min_seconds", 1.0)
    jobs = [
        Job(out, file, data / file, shard.get("sha256"), {e["key"]: offsets.get(e["key"]) for e in some}, shortest)
        for shard, (file, some) in zip(corpus["shards"], entries.items(), strict=True)
    ]
    record = {"repaired": {"of": corpus["hash"], "method": method}}

    def merge(found: list[dict]) -> dict:
        return merge_facts(out.write, found, corpus["name"], corpus["config"], record, rejections(data))

    return make_shards(_repair_shard, jobs, merge, out, settings, engine, "repairing")


def _repair_shard(job: Job, tick: Callable[[], None]) -> None:
    if not is_sound(job.source, job.digest):
        raise UserError(f"{job.source}: its SHA-256 is not that of corpus.json; copy it or prepare the corpus again")
    rejected: list[dict] = []

    def repaired() -> Iterator[dict]:
        for sample in read_shard(job.source):
            try:
                yield repair_sample(sample, job.offsets.get(sample["key"]), job.shortest)
            except Reject as reject:
                source = sample["json"].get("source", sample["key"])
                rejected.append({"source": source, "reason": reject.reason, "detail": reject.detail})
            except (ValueError, KeyError, AttributeError) as error:
                raise UserError(
                    f"{job.source}: sample {sample['key']} cannot be read ({error!r}); see action=verify"
                ) from None
            tick()

    with job.out.shard(job.file) as path:
        assemble_shard(path, repaired(), rejected)


def repair_sample(sample: dict, offset_ms: float | None, shortest: float) -> dict:
    """A sample {key, mp4, flac, json: dict} with its offset taken out; the same one if there is none to take.

    Where the video lags by o, the picture begins with the first frame at or after o and the sound o before it; where it
    leads, the picture keeps its beginning and the sound loses |o|. Both end where either does.

    Raises:
        Reject: too_short, or a member that cannot be decoded.
    """
    facts = sample["json"]
    if not offset_ms or "repaired" in facts:
        return sample
    fps, offset = facts["fps"], offset_ms / 1000
    frames, audio = decode_frames(sample["mp4"]), decode_flac(sample["flac"])
    first = math.ceil(max(0.0, offset) * fps - 1e-6)
    begin = round((first / fps - offset) * SAMPLE_RATE)
    count = min(len(frames) - first, math.floor((len(audio) - begin) / SAMPLE_RATE * fps + 1e-6))
    if count < max(1, shortest * fps - 1e-6):
        raise Reject(
            "too_short", f"{max(0, count) / fps:.2f} s are left once an offset of {offset_ms:+.0f} ms is taken out"
        )
    sound = audio[begin : begin + round(count / fps * SAMPLE_RATE)]
    start, end = begin / SAMPLE_RATE, (begin + len(sound)) / SAMPLE_RATE
    changed = {"frames": count, "repaired": offset_ms, "words": _moved(facts.get("words", []), start, end)}
    if facts.get("offset_ms") is not None:
        changed["offset_ms"] = round(facts["offset_ms"] - offset_ms, 3)
    if "start" in facts:
        changed["start"] = round(facts["start"] + first / fps, 6)
    if "phones" in facts:
        changed["phones"] = _moved(facts["phones"], start, end)
    if "squares" in facts.get("face", {}):
        changed["face"] = facts["face"] | {"squares": facts["face"]["squares"][first : first + count]}
    return {
        "key": sample["key"],
        "mp4": encode_h264(frames[first : first + count], fps),
        "flac": encode_flac(np.ascontiguousarray(sound)),
        "json": facts | changed,
    }


def _moved(labels: list, start: float, end: float) -> list:
    """(begin, end, label) on the clock of the sound cut from ``start`` to ``end``; those wholly outside are gone."""
    return [[round(b - start, 4), round(e - start, 4), label] for b, e, label in labels if e > start and b < end]
