"""Raw corpus to shards: utterance -> clip -> face crop -> sample -> shard -> corpus.json.

The unit of work is one shard, made whole by one process, so that the result does not depend on the number of workers
and machines or on interruptions; slts.data.assembly puts the shards together.
"""

import errno
import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from slts.data.assembly import assemble_shard, merge_facts
from slts.data.claim import Busy
from slts.data.clip import Clip, Reject
from slts.data.cluster import Cluster
from slts.data.cutting import LONGEST, cut, refuse_too_long
from slts.data.destination import Bucket, Folder, destination
from slts.data.faces import FaceCrop, crop
from slts.data.media import VIDEO_SUFFIXES, encode_flac, encode_h264
from slts.data.parallel import run_jobs
from slts.data.storage import is_address
from slts.data.utterance import Utterance
from slts.errors import UserError
from slts.folders import printable

PLACES = ("action", "data", "out", "root", "workers", "engine", "address", "part", "s3fd_weights")
"""Keys that say where and how to work, not what comes out."""


@dataclass(frozen=True)
class Recipe:
    """What makes one sample of one utterance."""

    face: FaceCrop
    inject: Callable[..., Clip] | None
    """(clip, rng=Generator) -> a cut of it with a known offset, raises Reject; None leaves clips as they are."""
    seed: int
    min_seconds: float


@dataclass(frozen=True)
class Job:
    """One shard to make."""

    out: Folder | Bucket
    file: str
    utterances: list[Utterance]
    recipe: Recipe


def prepare_corpus(
    config, utterances: list[Utterance], inject: Callable[..., Clip] | None = None, unread: Sequence[Path] = ()
) -> dict | None:
    """Make the shards of a corpus in ``config.out``; finished shards of an earlier, interrupted call are kept.

    Args:
        config: the keys of conf/prepare.yaml and those of the reader in conf/corpus/.
        utterances: what the reader found.
        inject: puts known offsets into clips, see Recipe.
        unread: files of the root that the reader passed over, for rejected.jsonl.

    Returns:
        The contents of corpus.json, and ``seconds``, the wall time of this call; None if ``config.part`` is done and
        others are not yet, of which the last writes corpus.json.

    Raises:
        UserError: nothing to read, nothing usable, the disk full, or ``out`` not writable or taken by another corpus or
            process.
    """
    began, out = time.monotonic(), destination(config)
    if config.size % 2:
        raise UserError(f"size={config.size}: H.264 pictures need an even size; take {config.size + 1}")
    if config.chunk_seconds is not None:
        utterances = cut(utterances, config.chunk_seconds)
    keys = Counter(utterance.key for utterance in utterances)
    if twice := [key for key, times in keys.items() if times > 1]:
        raise UserError(f"corpus={config.corpus}: {len(twice)} keys occur twice, the first is {twice[0]}")

    face = FaceCrop.of(config)
    face.detector()  # refuses what is not installed before anything is read
    recipe = Recipe(face, inject, config.seed, config.min_seconds)
    listing = "\n".join(f"{u.key}\t{u.split}\t{u.speaker}\t{u.text}\t{u.source}" for u in utterances)
    given = OmegaConf.to_container(config)
    assert isinstance(given, dict)
    settings = {name: value for name, value in given.items() if name not in PLACES}
    settings["utterances"] = hashlib.sha256(listing.encode()).hexdigest()
    jobs = _jobs(utterances, out, recipe, config.shard_clips)
    read = (config.root and not is_address(config.root) and Path(config.root), utterances and utterances[0].video)
    cluster = Cluster.of(config, *(path for path in (out.marker, *read) if isinstance(path, Path)))
    part_made = False
    try:
        if config.part is not None:
            with out.claimed(settings, with_others=True):
                _run(_part_of(jobs, config.part), config.workers, cluster)
            part_made = True
            if len(_finished(jobs)) < len(jobs):
                return None
        with out.claimed(settings):
            _run(jobs, config.workers, cluster)
            made = _finished(jobs)
            if missing := [job.file for job in jobs if job.file not in made]:
                raise UserError(
                    f"out={out}: {missing[0]} is not there once it was made; is it one place to all workers?"
                )
            passed_over = [_unread_line(path, Path(config.root)) for path in unread]
            corpus = merge_facts(out.write, list(made.values()), config.corpus, settings, rejected_before=passed_over)
            return {**corpus, "seconds": round(time.monotonic() - began, 1)}
    except Busy:
        if not part_made:
            raise
        return None  # another part is the last
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(out, jobs) from None
        raise UserError(f"out={out}: cannot be written ({error.strerror or error}); choose another") from None


def _unread_line(path: Path, root: Path) -> dict:
    source = printable(path.relative_to(root).as_posix())
    return {"source": source, "reason": "not_read", "detail": f"no video; known are {', '.join(VIDEO_SUFFIXES)}"}


def _jobs(utterances: list[Utterance], out: Folder | Bucket, recipe: Recipe, shard_clips: int) -> list[Job]:
    by_split: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_split.setdefault(utterance.split, []).append(utterance)
    return [
        Job(out, f"{split}-{first // shard_clips:06d}.tar", part[first : first + shard_clips], recipe)
        for split, part in by_split.items()
        for first in range(0, len(part), shard_clips)
    ]


def _part_of(jobs: list[Job], part: str) -> list[Job]:
    """The shards of NUMBER/PARTS, counted from 0. Raises UserError for what is none."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", part)
    number, parts = map(int, found.groups()) if found else (0, 0)
    if number >= parts:
        raise UserError(f"part={part}: must be NUMBER/PARTS counted from 0, 0/2 or 1/2 for the halves of the shards")
    return jobs[number::parts]


def _run(jobs: list[Job], workers: int, cluster: Cluster | None) -> None:
    """Make the shards that are not there yet."""
    made = _finished(jobs)
    left = [job for job in jobs if job.file not in made]
    if left:
        clips, to_do = (sum(len(job.utterances) for job in part) for part in (jobs, left))
        run_jobs(make_shard, left, workers, "preparing", clips, clips - to_do, cluster)


def _finished(jobs: list[Job]) -> dict[str, dict]:
    """The facts of the shards that are there whole, by their names."""
    return jobs[0].out.finished([job.file for job in jobs]) if jobs else {}


def _disk_full(out: Folder | Bucket, jobs: list[Job]) -> UserError:
    """What to free, judged by the shards that are there."""
    out.remove_unfinished()
    made = _finished(jobs)
    done = [(made[job.file]["bytes"], len(job.utterances)) for job in jobs if job.file in made]
    left = sum(len(job.utterances) for job in jobs) - sum(clips for _, clips in done)
    each = sum(size for size, _ in done) / max(1, sum(clips for _, clips in done))
    need = f"about {left * each / 1e6:.0f} MB for the {left} clips left" if each else "the room that the shards need"
    return UserError(
        f"out={out}: the disk is full; free {need} and give the same command again: {len(done)} of {len(jobs)} shards "
        f"are whole and are kept"
    )


def make_shard(job: Job, tick: Callable[[], None]) -> None:
    """Make one shard and its sidecar. ``tick`` is called after every clip, used or not."""
    rejected: list[dict] = []

    def samples():
        for utterance in job.utterances:
            try:
                sample = make_sample(utterance, job.recipe)
            except Reject as reject:
                rejected.append({"source": utterance.source, "reason": reject.reason, "detail": reject.detail})
            except (UserError, KeyboardInterrupt):
                raise
            except Exception as error:  # one bad clip never stops the rest; the ledger tells
                detail = f"{type(error).__name__}: {error}"
                rejected.append({"source": utterance.source, "reason": "error", "detail": detail})
            else:
                yield sample
            tick()

    with job.out.shard(job.file) as path:
        assemble_shard(path, samples(), rejected)


def make_sample(utterance: Utterance, recipe: Recipe) -> dict:
    """One utterance as {key, mp4, flac: bytes, json: dict}. Raises Reject."""
    refuse_too_long(utterance)
    clip = utterance.load()
    if recipe.inject is not None:
        digest = hashlib.sha256(f"{recipe.seed}/{utterance.key}".encode()).digest()
        clip = recipe.inject(clip, rng=np.random.default_rng(list(digest)))
    seconds = len(clip.frames) / clip.fps
    if seconds < recipe.min_seconds:
        raise Reject("too_short", f"{seconds:.2f} s are less than min_seconds={recipe.min_seconds}")
    if seconds > LONGEST:
        raise Reject("too_long", f"{seconds:.1f} s are more than {LONGEST:.0f}; chunk_seconds cuts videos, not this")
    crops, geometry = crop(clip.frames, clip.fps, recipe.face)
    facts = {
        "speaker": utterance.speaker,
        "text": utterance.text,
        "fps": clip.fps,
        "frames": len(crops),
        "split": utterance.split,
        "source": utterance.source,
        "offset_ms": clip.offset_ms,
        "words": [[round(start, 4), round(end, 4), word] for start, end, word in clip.words],
        "face": geometry,
        **clip.extra,
    }
    return {
        "key": utterance.key,
        "mp4": encode_h264(crops, clip.fps),
        "flac": encode_flac(clip.audio),
        "json": facts,
    }
