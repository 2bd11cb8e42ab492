"""Raw corpus to shards: utterance -> clip -> face crop -> sample -> shard -> corpus.json.

The unit of work is one shard, made whole by one process, so that the result does not depend on the number of workers
and machines or on interruptions; slts.data.assembly puts the shards together.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from slts.data import faces
from slts.data.assembly import assemble_shard, merge_facts
from slts.data.clip import Clip, Reject
from slts.data.cutting import LONGEST, cut, refuse_too_long
from slts.data.destination import Bucket, Folder, destination
from slts.data.engine import engine_of
from slts.data.faces import FaceCrop
from slts.data.making import make_shards
from slts.data.media import VIDEO_SUFFIXES, encode_flac, encode_h264
from slts.data.storage import is_address
from slts.data.utterance import Utterance
from slts.errors import UserError
from slts.folders import printable

PLACES = ("action", "data", "out", "root", "workers", "engine", "address", "part", "dry_run", "s3fd_weights")
"""Keys that say where and how to work, not what comes out."""


@dataclass(frozen=True)
class Recipe:
    """What makes one sample of one utterance."""

    face: FaceCrop
    inject: Callable[..., Clip] | None
    """(clip, rng=Generator) -> a cut of it with a known offset, raises Reject; None leaves clips as they are."""
    seed: int
    min_seconds: float


def recipe_of(config, inject: Callable[..., Clip] | None) -> Recipe:
    """Raises UserError for a size that pictures cannot have, and a detector that is not installed."""
    if config.size % 2:
        raise UserError(f"size={config.size}: H.264 pictures need an even size; take {config.size + 1}")
    face = FaceCrop.of(config)
    face.detector()
    return Recipe(face, inject, config.seed, config.min_seconds)


@dataclass(frozen=True)
class Job:
    """One shard to make."""

    out: Folder | Bucket
    file: str
    utterances: list[Utterance]
    recipe: Recipe

    @property
    def clips(self) -> int:
        return len(self.utterances)


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
    recipe = recipe_of(config, inject)  # refuses what is not installed before anything is read
    if config.chunk_seconds is not None:
        utterances = cut(utterances, config.chunk_seconds)
    keys = Counter(utterance.key for utterance in utterances)
    if twice := [key for key, times in keys.items() if times > 1]:
        raise UserError(f"corpus={config.corpus}: {len(twice)} keys occur twice, the first is {twice[0]}")

    listing = "\n".join(f"{u.key}\t{u.split}\t{u.speaker}\t{u.text}\t{u.source}" for u in utterances)
    given = OmegaConf.to_container(config)
    assert isinstance(given, dict)
    settings = {name: value for name, value in given.items() if name not in PLACES}
    settings["utterances"] = hashlib.sha256(listing.encode()).hexdigest()
    jobs = _jobs(utterances, out, recipe, config.shard_clips)
    read = (config.root and not is_address(config.root) and Path(config.root), utterances and utterances[0].video)
    engine = engine_of(config, *out.shared, *(path for path in read if isinstance(path, Path)))

    def merge(made: list[dict]) -> dict:
        passed_over = [_unread_line(path, Path(config.root)) for path in unread]
        corpus = merge_facts(out.write, made, config.corpus, settings, rejected_before=passed_over)
        return {**corpus, "seconds": round(time.monotonic() - began, 1)}

    return make_shards(make_shard, jobs, merge, out, settings, engine, "preparing", config.part)


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


def make_sample(
    utterance: Utterance, recipe: Recipe, stage: Callable[[str], AbstractContextManager] = nullcontext
) -> dict:
    """One utterance as {key, mp4, flac: bytes, json: dict}. Raises Reject. ``stage`` is entered with the name of each
    part of the work, by whoever measures it."""
    with stage("decoding"):
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
    with stage("face"):
        geometry = faces.locate(clip.frames, clip.fps, recipe.face)
    with stage("crop"):
        crops = faces.cut(clip.frames, geometry, recipe.face.size)
    with stage("picture"):
        mp4 = encode_h264(crops, clip.fps)
    with stage("sound"):
        flac = encode_flac(clip.audio)
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
    return {"key": utterance.key, "mp4": mp4, "flac": flac, "json": facts}
