"""A trained run applied to video files: the face found and cropped as its corpus was, in windows of bounded length."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from slts.audio import SAMPLE_RATE
from slts.data.augmentation import fit_picture
from slts.data.batch import Batch
from slts.data.clip import Clip
from slts.data.faces import FaceCrop, crop
from slts.data.keys import distinct_keys
from slts.data.media import Streams, read_picture
from slts.data.media.folder import unread_note, videos_below
from slts.data.media.streams import AS_PLAYERS, unchosen
from slts.errors import UserError
from slts.files import refuse_sources
from slts.systems.trained import TrainedRun

WINDOW, OVERLAP = 10.0, 0.4
"""Seconds of video put through the networks at once, and of the cross-fade between windows."""


def find_videos(path: Path, note: Callable[[str], None] = lambda _: None) -> dict[Path, str]:
    """The video files of a folder and its subfolders, or the one file, with their keys: what they are called in tables.

    A key is the path below the folder (or the name) without the suffix; with it where another video has the same.
    Hidden files are left out; ``note`` is told how many files are no videos. Raises UserError when there is none.
    """
    if path.is_file():
        return {path: path.stem}
    videos, unread = videos_below(path)
    if not videos:
        why = f" ({unread_note(unread)})" if unread else ""
        raise UserError(f"{path}: no video here{why}; give a video file or a folder that holds some")
    if unread:
        note(unread_note(unread))
    names = {file: file.relative_to(path) for file in videos}
    return distinct_keys(
        {file: name.with_suffix("").as_posix() for file, name in names.items()},
        {file: name.as_posix() for file, name in names.items()},
    )


def speech_files(videos: dict[Path, str], out: Path) -> dict[Path, tuple[Path, Path]]:
    """The .wav and the .mp4 in ``out`` for each video, given with its key.

    Raises:
        UserError: one is a source, or lies beside its video already, where it may be what was recorded with it.
    """
    files = {video: (out / f"{key}.wav", out / f"{key}.mp4") for video, key in videos.items()}
    refuse_sources((file for pair in files.values() for file in pair), videos)
    for video, pair in files.items():
        for file in pair:
            if file.exists() and file.parent.samefile(video.parent):
                raise UserError(
                    f"out={out}: {file} lies beside {video}, and may be its recording; choose another folder"
                )
    return files


def speaker_index(run: TrainedRun, name: str | None) -> int:
    """Index of the voice to speak with. Raises UserError when it is unknown, or not given and not the only one."""
    speakers = run.corpus["speakers"]
    if name is None and len(speakers) == 1:
        return 0
    if name not in speakers:
        raise UserError(f"speaker={name}: the run knows {', '.join(speakers)}; choose one of them")
    return speakers.index(name)


def speak(
    run: TrainedRun, video: Path, speaker: int, detector: str | None = None, streams: Streams = AS_PLAYERS
) -> np.ndarray:
    """Speech (N,) float32 at 16 kHz for a video, in sync with it and as long. Raises Reject for an unusable video."""
    clip = read_picture(video, run.task.fps or run.corpus["config"]["fps"], streams)
    if note := unchosen(clip.extra.get("streams", {}), streams):
        print(f"{video}: {note}")
    frames = face_crops(run, clip, detector)
    audio = np.zeros(round(len(frames) / clip.fps * SAMPLE_RATE), np.float32)
    fade = round(OVERLAP * SAMPLE_RATE)
    for first, last in _windows(len(frames), clip.fps):
        piece = run.task.generate(as_batch(run, frames[first:last], clip.fps, speaker))[0].cpu().numpy()
        start = round(first / clip.fps * SAMPLE_RATE)
        piece = piece[: len(audio) - start]
        if first:
            rise = np.linspace(0, 1, min(fade, len(piece)), dtype=np.float32)
            audio[start : start + len(rise)] *= 1 - rise
            piece[: len(rise)] *= rise
        audio[start : start + len(piece)] += piece
    return audio.clip(-1, 1)


def face_crops(run: TrainedRun, clip: Clip, detector: str | None) -> np.ndarray:
    """(T, size, size, 3) uint8, cropped with the settings recorded in corpus.json."""
    prepared = run.corpus["config"]
    return crop(clip.frames, clip.fps, FaceCrop.of({**prepared, "faces": detector or prepared["faces"]}))[0]


def as_batch(run: TrainedRun, frames: np.ndarray, fps: float, speaker: int, audio: np.ndarray | None = None) -> Batch:
    """A batch of one clip: crops (T, H, W, 3) uint8 RGB, and its sound (N,), padded or cut to their length, if any."""
    picture = fit_picture(frames, run.config.model.image_size, run.config.model.channels, run.config.augment.crop)
    samples = round(len(frames) / fps * SAMPLE_RATE)
    sound = None if audio is None else np.pad(audio[:samples], (0, max(0, samples - len(audio))))
    return Batch(
        video=torch.from_numpy(picture)[None],
        recorded=None if sound is None else torch.from_numpy(sound)[None],
        frames=torch.tensor([len(frames)]),
        fps=torch.tensor([float(fps)]),
        speaker=torch.tensor([speaker]),
        offset_ms=torch.tensor([float("nan")]),
        key=[""],
    ).to(run.device)


def _windows(frames: int, fps: float) -> list[tuple[int, int]]:
    """Overlapping windows of frames that cover a video; the last one is never shorter than the overlap."""
    size, step = round(WINDOW * fps), round((WINDOW - OVERLAP) * fps)
    starts = range(0, max(1, frames - round(OVERLAP * fps)), step)
    return [(start, min(frames, start + size)) for start in starts]
