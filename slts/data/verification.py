"""A finished corpus against its corpus.json: every shard is hashed, every sample decoded and measured."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from slts.audio import SAMPLE_RATE
from slts.data.clip import Reject
from slts.data.decoding import refuse_apart
from slts.data.engine import Engine, part_of, run_jobs
from slts.data.facts import sample_facts
from slts.data.location import Address
from slts.data.media import decode_flac, decode_frames, frame_times
from slts.data.parallel import HERE
from slts.data.shard_source import corpus_at, local_shard
from slts.data.shards import MEMBERS, index_shard
from slts.errors import UserError
from slts.files import sha256

TIMES = 1e-3
"""Seconds by which a picture's timestamp may leave i / fps."""


@dataclass(frozen=True)
class Shard:
    """A shard as corpus.json describes it."""

    data: Path | Address
    file: str
    sha256: str
    clips: int
    size: int

    def __str__(self) -> str:
        return f"{self.data}/{self.file}"

    @property
    def split(self) -> str:
        return self.file.partition("-")[0]


@dataclass
class Findings:
    """What was found in one shard or in a whole corpus."""

    faults: list[str] = field(default_factory=list)
    """One line each."""
    keys: list[str] = field(default_factory=list)
    clips: Counter = field(default_factory=Counter)
    seconds: Counter = field(default_factory=Counter)
    speakers: dict[str, set[str]] = field(default_factory=dict)
    """All three by split, of the samples without a fault."""
    sounds: Counter = field(default_factory=Counter)
    """Samples without a fault that have a further sound, by its name (``synth.flac``)."""
    apart: float = 0.0
    """Largest difference between the lengths of picture and sound of a sample, seconds."""


def verify_corpus(data: Path | Address, engine: Engine = HERE, part: str | None = None) -> Findings:
    """Re-read a prepared corpus: counts, SHA-256, durations, members, decodability, agreement of picture and sound.

    Args:
        data: the folder that holds corpus.json, or its address, whose shards are read through the cache of
            slts.data.shard_source, and of which files that corpus.json does not name are not looked for.
        engine: re-reads the shards, a job each.
        part: 0/16 to 15/16 re-read a sixteenth of the shards, and nothing that concerns the whole corpus.

    Raises:
        UserError: no corpus.json of slts prepare, or no such part.
    """
    corpus = corpus_at(data)
    try:
        shards = [Shard(data, s["file"], s["sha256"], s["clips"], corpus["size"]) for s in corpus["shards"]]
        mine = part_of(shards, part)
        whole = _join(run_jobs(engine, _verify_shard, mine, "verifying", sum(shard.clips for shard in mine)))
        if part is None:
            whole.faults += _compare(corpus, whole, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{data}/corpus.json: not of slts prepare ({error!r}); prepare the corpus again") from None
    return whole


def table(name: str, found: Findings) -> str:
    """The corpus's row of Table 1 of the paper: speakers, clips and hours of each split."""
    splits = ("train", "val", "test")
    speakers = set().union(*found.speakers.values())
    clips = " | ".join(str(found.clips[split]) for split in splits)
    hours = " | ".join(f"{found.seconds[split] / 3600:.2f}" for split in splits)
    heads = "| corpus | speakers | train | val | test | train h | val h | test h |"
    return f"{heads}\n|---|---|---|---|---|---|---|---|\n| {name} | {len(speakers)} | {clips} | {hours} |"


def _verify_shard(shard: Shard, tick: Callable[[], None]) -> Findings:
    found = Findings()
    try:
        path = local_shard(shard.data, {"file": shard.file, "sha256": shard.sha256})
        index = index_shard(path)
    except UserError as error:
        found.faults.append(str(error))
        return found
    if sha256(path) != shard.sha256:
        found.faults.append(f"{shard}: its SHA-256 is not that of corpus.json")
    if len(index) != shard.clips:
        found.faults.append(f"{shard}: {len(index)} clips, corpus.json says {shard.clips}")
    with path.open("rb") as file:
        for entry in index:
            read = {}
            for suffix, (offset, size) in entry["members"].items():
                file.seek(offset)
                read[suffix] = file.read(size)
            found.keys.append(entry["key"])
            try:
                facts, seconds, apart = _measure(read, shard)
            except (Reject, ValueError) as error:
                found.faults.append(f"{shard}: {entry['key']}: {error}")
            else:
                found.clips[shard.split] += 1
                found.seconds[shard.split] += seconds
                found.speakers.setdefault(shard.split, set()).add(facts["speaker"])
                found.apart = max(found.apart, apart)
                found.sounds.update(read.keys() - set(MEMBERS))
            tick()
    return found


def _measure(read: dict[str, bytes], shard: Shard) -> tuple[dict, float, float]:
    """Facts, seconds of sound, and by how much picture and sound differ. Raises Reject or ValueError for a fault."""
    facts = sample_facts(read["json"])
    if facts["split"] != shard.split:
        raise ValueError(f"its JSON says split {facts['split']}")
    frames, audio = decode_frames(read["mp4"], grey=True), decode_flac(read["flac"])
    if len(frames) != facts["frames"]:
        raise ValueError(f"{len(frames)} frames, its JSON says {facts['frames']}")
    if frames.shape[1:] != (shard.size, shard.size):
        raise ValueError(f"pictures of {frames.shape[2]}x{frames.shape[1]}, corpus.json says {shard.size}")
    times = frame_times(read["mp4"])
    if len(times) != len(frames) or np.abs(times - np.arange(len(frames)) / facts["fps"]).max() > TIMES:
        raise ValueError(f"its pictures are not shown at i / {facts['fps']:g} s")
    seconds = len(audio) / SAMPLE_RATE
    apart = refuse_apart(len(audio), facts["fps"], len(frames))
    for name in read.keys() - set(MEMBERS):
        if abs(len(decode_flac(read[name])) / SAMPLE_RATE - seconds) > 1 / facts["fps"]:
            raise ValueError(f"{name} is not as long as the clip")
    return facts, seconds, apart


def _join(parts: Iterable[Findings]) -> Findings:
    whole = Findings()
    for part in parts:
        whole.faults += part.faults
        whole.keys += part.keys
        whole.clips += part.clips
        whole.seconds += part.seconds
        whole.sounds += part.sounds
        for split, speakers in part.speakers.items():
            whole.speakers.setdefault(split, set()).update(speakers)
        whole.apart = max(whole.apart, part.apart)
    return whole


def _compare(corpus: dict, found: Findings, data: Path | Address) -> list[str]:
    """Faults of the corpus as a whole."""
    faults = [f"{data}: key {key} occurs {times} times" for key, times in Counter(found.keys).items() if times > 1]
    for split in {**corpus["splits"], **found.clips}:
        stated = corpus["splits"].get(split, {"clips": 0, "hours": 0.0, "speakers": 0})
        for what, there, slack in (
            ("clips", found.clips[split], 0),
            ("hours", found.seconds[split] / 3600, 1e-4),
            ("speakers", len(found.speakers.get(split, ())), 0),
        ):
            if abs(there - stated[what]) > slack:
                faults.append(f"{data}: {split} has {there:.6g} good {what}, corpus.json says {stated[what]}")
    whole = sum(found.clips.values())
    sounds = dict.fromkeys(["synth.flac"], 0) if "synthesised" in corpus else {}
    faults += [
        f"{data}: {times} of {whole} good clips have KEY.{name}, which all or none must have"
        for name, times in {**sounds, **found.sounds}.items()
        if times < whole
    ]
    if hashlib.sha256(json.dumps([*corpus["shards"]]).encode()).hexdigest()[:12] != corpus["hash"]:
        faults.append(f"{data}/corpus.json: its hash is not that of its list of shards")
    if strangers := set().union(*found.speakers.values()) - set(corpus["speakers"]):
        faults.append(f"{data}/corpus.json: does not name the speakers {', '.join(sorted(strangers))}")
    return faults if isinstance(data, Address) else faults + _compare_files(corpus, data)


def _compare_files(corpus: dict, data: Path) -> list[str]:
    """Faults of what lies beside the shards in a folder."""
    listed = {shard["file"] for shard in corpus["shards"]}
    faults = [f"{path}: not in corpus.json" for path in sorted(data.glob("*.tar")) if path.name not in listed]
    ledger = data / "rejected.jsonl"
    lines = len(ledger.read_bytes().splitlines()) if ledger.is_file() else 0
    if lines != sum(corpus["rejected"].values()):
        faults.append(f"{ledger}: {lines} lines, corpus.json says {sum(corpus['rejected'].values())}")
    return faults
