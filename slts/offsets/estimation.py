"""Audio-visual offsets of shards and of decoded clips, by any system that estimates them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from slts.audio import SAMPLE_RATE
from slts.audio.mel import MEL_RATE
from slts.data.batch import Batch
from slts.data.clip import Clip, Reject
from slts.data.engine import Engine, part_of, run_jobs
from slts.data.faces import FaceCrop, cut
from slts.data.faces.people import Thresholds, face_tracks
from slts.data.loader import clips_in_turn
from slts.data.parallel import HERE
from slts.data.shards import read_corpus_json
from slts.errors import UserError
from slts.offsets.observability import refuse_unobservable
from slts.offsets.prior import corpus_prior, most_likely, with_prior
from slts.systems.contract import SPEECH, OffsetEstimate
from slts.systems.trained import TrainedRun
from slts.systems.videos import as_batch, face_crops

CLIPS = 32
"""Clips of a job, as far as whole batches have as many."""


@dataclass(frozen=True)
class Stretch:
    """Clips of a split, to be estimated in batches: a job."""

    run: TrainedRun
    data: Path
    split: str
    first: int
    last: int
    """Before this one."""
    batch_size: int
    sure_above: float | None
    with_distributions: bool


def shard_offsets(
    run: TrainedRun,
    data: Path,
    batch_size: int,
    sure_above: float | None,
    note: Callable[[str], None] = print,
    use_prior: bool = False,
    engine: Engine = HERE,
    part: str | None = None,
) -> Iterator[dict]:
    """key, offset_ms, confidence, at_edge, sure (and, of SyncNet, distance) of every clip of a folder of shards.

    ``sure`` is ``OffsetEstimate.sure`` above ``sure_above``. What is too short is named by ``note`` and left out. With
    ``use_prior`` each clip's P(k) is multiplied by the corpus's own prior. ``engine`` estimates some CLIPS a job, of
    which ``part`` chooses some, as slts.data.engine.part_of does.

    Raises:
        UserError: ``use_prior`` of a system that gives no P(k), or no such part.
    """
    jobs = []
    for split in read_corpus_json(data)["splits"]:
        count, step = len(run.dataset(data, split, any_speaker=True)), batch_size * max(1, CLIPS // batch_size)
        for first in range(0, count, step):
            last = min(count, first + step)
            jobs.append(Stretch(run, data, split, first, last, batch_size, sure_above, use_prior))
    jobs, rows, distributions = part_of(jobs, part), [], []
    clips = sum(job.last - job.first for job in jobs)
    for found in run_jobs(engine, _estimate_stretch, jobs, "estimating", clips):
        for row, distribution in found:
            if isinstance(row, str):
                note(row)
                continue
            rows.append(row)
            if use_prior:
                distributions.append(distribution)
    if distributions:
        estimate = _with_prior(np.stack(distributions))
        sure = estimate.sure(sure_above)
        rows = [row | _row(estimate, i) | {"sure": bool(sure[i])} for i, row in enumerate(rows)]
    yield from rows


def _estimate_stretch(job: Stretch, tick: Callable[[], None]) -> list[tuple[dict | str, np.ndarray | None]]:
    """Of each clip its row, or why it has none, and where it is wanted P(k)."""
    found = []
    dataset = job.run.dataset(job.data, job.split, any_speaker=True)
    for batch in clips_in_turn(dataset, job.batch_size, job.first, job.last):
        estimate = _estimate(job.run, batch)
        if job.with_distributions and estimate.distribution is None:
            raise UserError(f"corpus_prior=true needs P(k) of each clip, which task={job.run.config.task.name} has not")
        sure = estimate.sure(job.sure_above)
        for i, key in enumerate(batch.key):
            try:
                row = {"key": key, **_row(estimate, i), "sure": bool(sure[i])}
            except Reject as reject:
                row = f"{key}: {reject}"
            likely = estimate.distribution[i].float().cpu().numpy() if job.with_distributions else None
            found.append((row, likely))
            tick()
    return found


def _with_prior(distributions: np.ndarray) -> OffsetEstimate:
    places, near = most_likely(with_prior(distributions, corpus_prior(distributions)))
    step = 1000 / MEL_RATE
    reach = step * (distributions.shape[1] // 2 - 1)
    return OffsetEstimate(torch.from_numpy(step * places), torch.from_numpy(near), reach)


def reading_rate(run: TrainedRun) -> float | None:
    """Frames a second at which a run reads videos: the one that its system takes, or that of its corpus; None (their
    own) where that has several.

    At a higher rate than that of filming, frames are repeated, and their standing still reads as a lag of up to 16 ms.
    """
    rates = run.corpus.get("fps") or []
    return run.task.fps or run.corpus["config"]["fps"] or (rates[0] if len(rates) == 1 else None)


def clip_offset(run: TrainedRun, clip: Clip, detector: str | None, limits: Thresholds) -> tuple[dict, int]:
    """offset_ms, confidence, at_edge, reach_ms (and, of SyncNet, distance) of a clip, and how many faces it has.

    Systems that only measure follow every face by the thresholds ``limits`` and keep the one whose sound this is, by
    the confidence; the others look at one person as in preparation.

    Raises:
        Reject: no_face, face_gap, too_short, or what refuse_unobservable says of all faces.
    """
    if SPEECH in run.task.gives:
        faces = [(face_crops(run, clip, detector), clip.audio)]
    else:
        faces = list(_faces(run, clip, detector, limits))
    rows, refused = [], ("no_face", "")
    for crops, sound in faces:
        try:
            refuse_unobservable(crops, sound)
            estimate = _estimate(run, as_batch(run, crops, clip.fps, 0, sound))
            rows.append(_row(estimate, 0) | {"reach_ms": estimate.reach_ms})
        except Reject as reject:
            refused = reject.reason, reject.detail  # the exception itself would hold the pictures, in a circle
    if not rows:
        raise Reject(*refused)
    return max(rows, key=lambda row: row["confidence"]), len(faces)


def _faces(run: TrainedRun, clip: Clip, detector: str | None, limits: Thresholds) -> Iterator[tuple]:
    """Crops (T, size, size, 3) of each face that is followed, and the sound from its first frame on."""
    prepared = run.corpus["config"]
    how = FaceCrop.of({**prepared, "faces": detector or prepared["faces"]})
    tracks = face_tracks(clip.frames, clip.fps, how, limits)
    if not tracks:
        raise Reject(
            "no_face",
            f"no face of tracks.smallest_face={limits.smallest_face:g} pixels is followed for tracks.shortest="
            f"{limits.shortest:g} s",
        )
    for one in tracks:
        crops = cut(clip.frames[one.first : one.last], one.geometry, how.size)
        begin, end = (round(frame / clip.fps * SAMPLE_RATE) for frame in (one.first, one.last))
        yield crops, clip.audio[begin:end]


def _estimate(run: TrainedRun, batch: Batch) -> OffsetEstimate:
    return run.task.offsets(batch.to(run.device))


def _row(estimate: OffsetEstimate, i: int) -> dict:
    """offset_ms, confidence, at_edge and, where it is measured, distance. Raises Reject("too_short")."""
    if np.isnan(float(estimate.ms[i])):
        raise Reject("too_short", "shorter than the window of the network")
    row = {
        "offset_ms": round(float(estimate.ms[i]), 1),
        "confidence": round(float(estimate.confidence[i]), 4),
        "at_edge": bool(estimate.at_edge[i]),
    }
    return row if estimate.distance is None else row | {"distance": round(float(estimate.distance[i]), 4)}
