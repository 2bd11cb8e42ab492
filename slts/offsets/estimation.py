"""Audio-visual offsets of shards and of videos, by any system that estimates them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.progress import track

from slts.audio import SAMPLE_RATE
from slts.data.batch import Batch
from slts.data.clip import Clip, Reject
from slts.data.faces import FaceCrop, cut
from slts.data.faces.people import Thresholds, face_tracks
from slts.data.loader import evaluation_loader
from slts.data.media import Streams, read_clip
from slts.data.media.streams import AS_PLAYERS, unchosen
from slts.data.shards import read_corpus_json
from slts.systems.contract import SPEECH, OffsetEstimate
from slts.systems.trained import TrainedRun
from slts.systems.videos import as_batch, face_crops, find_videos


def estimate_offsets(
    run: TrainedRun,
    data: Path,
    detector: str | None,
    batch_size: int,
    tracks: Thresholds,
    streams: Streams = AS_PLAYERS,
    note: Callable[[str], None] = print,
) -> list[dict]:
    """key, offset_ms, confidence and at_edge (and, of SyncNet, distance) of every clip of a folder of shards, or of one
    video or a folder of them.

    What cannot be used is named by ``note`` and left out. Systems that only measure follow every face of a video by the
    thresholds ``tracks`` and keep the one that fits the sound best; the others look at one person as in preparation.
    ``streams`` are those taken of videos, which are read at the rate of reading_rate.

    Raises:
        UserError: there is no video.
    """
    if (data / "corpus.json").exists():
        return list(_shard_offsets(run, data, batch_size, note))
    videos, rows = find_videos(data, note), []
    for video, key in track(videos.items(), "estimating", disable=len(videos) == 1):
        try:
            clip = read_clip(video, fps=reading_rate(run), streams=streams)
            if taken := unchosen(clip.extra.get("streams", {}), streams):
                note(f"{video}: {taken}")
            if SPEECH in run.task.gives:
                batch = as_batch(run, face_crops(run, clip, detector), clip.fps, 0, clip.audio)
                row, faces = _row(_estimate(run, batch), 0), 1
            else:
                row, faces = _best_face(run, clip, detector, tracks)
            if faces > 1:
                note(f"{video}: {faces} faces; the offset is that of the one that fits the sound best")
            rows.append({"key": key, **row})
        except Reject as reject:
            note(f"{video}: {reject}")
    return rows


def reading_rate(run: TrainedRun) -> float | None:
    """Frames a second at which a run reads videos: the rate of its corpus, None (their own) where that has several.

    At a higher rate than that of filming, frames are repeated, and their standing still reads as a lag of up to 16 ms.
    """
    rates = run.corpus.get("fps") or []
    return run.corpus["config"]["fps"] or (rates[0] if len(rates) == 1 else None)


def _shard_offsets(run: TrainedRun, data: Path, batch_size: int, note: Callable[[str], None]) -> Iterator[dict]:
    for split in read_corpus_json(data)["splits"]:
        dataset = run.dataset(data, split, any_speaker=True)
        for batch in track(evaluation_loader(dataset, batch_size), f"estimating {split}"):
            estimate = _estimate(run, batch)
            for i, key in enumerate(batch.key):
                try:
                    yield {"key": key, **_row(estimate, i)}
                except Reject as reject:
                    note(f"{key}: {reject}")


def _best_face(run: TrainedRun, clip: Clip, detector: str | None, limits: Thresholds) -> tuple[dict, int]:
    """The row of the face whose sound this is, judged by the confidence, and how many faces were followed."""
    prepared = run.corpus["config"]
    how = FaceCrop.of({**prepared, "faces": detector or prepared["faces"]})
    tracks = face_tracks(clip.frames, clip.fps, how, limits)
    if not tracks:
        raise Reject(
            "no_face",
            f"no face of tracks.smallest_face={limits.smallest_face:g} pixels is followed for tracks.shortest="
            f"{limits.shortest:g} s",
        )
    rows = []
    for one in tracks:
        crops = cut(clip.frames[one.first : one.last], one.geometry, how.size)
        sound = clip.audio[round(one.first / clip.fps * SAMPLE_RATE) :]
        rows.append(_row(_estimate(run, as_batch(run, crops, clip.fps, 0, sound)), 0))
    return max(rows, key=lambda row: row["confidence"]), len(tracks)


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
