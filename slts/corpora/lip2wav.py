"""Lip2Wav (Prajwal et al. 2020): five speakers of whole YouTube videos, with the official split by video.

Below the root, ``<speaker>/{train,val,test}.txt`` name the videos and ``<speaker>/videos/<id>.*`` are the downloads.
``source=preprocessed`` reads what Lip2Wav's own preprocess.py leaves, ``<speaker>/preprocessed/<id>/cut-N/`` with the
face crops ``i.jpg`` of the frames i where one was found, and ``audio.wav``. Its cuts are made by copying streams, which
leaves audio and video of some cuts apart, by 23 ms in the first one; the videos do not have that fault.
"""

import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from slts.audio import SAMPLE_RATE
from slts.corpora.splits import SPLITS
from slts.data.clip import Clip, Reject
from slts.data.media import VIDEO_SUFFIXES, Streams, read_audio, read_clip
from slts.data.utterance import Utterance
from slts.errors import UserError


def utterances(config) -> list[Utterance]:
    """The listed videos, or the cuts of them, ordered by split, speaker and place in the list.

    An id that has no video is an utterance too, which is rejected as missing when it is loaded.

    Args:
        config: ``root`` (the folder of the speakers, one that holds it as ``Dataset``, or one speaker's), ``speakers``,
            ``source``, ``windows``, ``fps``, ``video_stream``, ``audio_stream``; of the crops also ``faces``, ``size``
            and ``largest_gap``.

    Raises:
        UserError: no such root, no lists, an unknown speaker, a bad list, or keys that do not go together.
    """
    if not config.root or not Path(config.root).is_dir():
        raise UserError(f"root={config.root}: no such folder; root must be Lip2Wav's folder Dataset")
    root = Path(config.root)
    root = root / "Dataset" if (root / "Dataset").is_dir() else root
    _check(config)
    people = _speakers(root)
    if not people:
        raise UserError(f"root={config.root}: no Lip2Wav lists there; expected for example Dataset/chem/train.txt")
    chosen = [config.speakers] if isinstance(config.speakers, str) else config.speakers or list(people)
    if unknown := [speaker for speaker in chosen if speaker not in people]:
        raise UserError(f"speakers: no lists of {', '.join(unknown)} in {root}; there are {', '.join(people)}")
    read = _video if config.source == "videos" else _cuts
    found = []
    for speaker in chosen:
        for identity, split in _read_lists(people[speaker]).items():
            found += read(people[speaker], identity, speaker, split, config)
    return sorted(found, key=lambda utterance: SPLITS.index(utterance.split))


def _check(config) -> None:
    if config.source == "preprocessed" and config.faces != "none":
        raise UserError("source=preprocessed: these are face crops already; add faces=none")
    if config.source == "preprocessed" and not config.fps:
        raise UserError("source=preprocessed: pictures do not tell their rate; add fps=30 or that of the videos")
    for speaker, window in config.windows.items():
        if len(window) != 4 or not all(isinstance(side, int | float) and 0 <= side <= 1 for side in window):
            raise UserError(f"windows.{speaker}={list(window)}: must be left, top, right, bottom, each in 0..1")
        if window[0] >= window[2] or window[1] >= window[3]:
            raise UserError(f"windows.{speaker}={list(window)}: left must be less than right and top less than bottom")


def _speakers(root: Path) -> dict[str, Path]:
    """Folders with at least one list, by speaker; the root itself where it is one."""
    folders = {root.resolve().name: root} | {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
    return {name: path for name, path in folders.items() if any((path / f"{split}.txt").is_file() for split in SPLITS)}


def _read_lists(folder: Path) -> dict[str, str]:
    """Split by video id, in the order of the lists. A video in two of them would leak."""
    splits: dict[str, str] = {}
    for split in SPLITS:
        file = folder / f"{split}.txt"
        for identity in file.read_text().split() if file.is_file() else []:
            if not re.fullmatch(r"[\w-]+", identity, re.ASCII):
                raise UserError(f"{file}: '{identity}' is not a video id such as wrgnaV-cVrs; one id a line")
            if splits.setdefault(identity, split) != split:
                raise UserError(f"{file}: {identity} is also in {splits[identity]}.txt; remove it from one of them")
    return splits


def _video(folder: Path, identity: str, speaker: str, split: str, config) -> list[Utterance]:
    files = [folder / "videos" / f"{identity}{suffix}" for suffix in VIDEO_SUFFIXES]
    video = next((file for file in files if file.is_file()), None)
    if video is None:
        return [_missing(folder, identity, speaker, split, f"videos/{identity}")]
    window = config.windows.get(speaker)
    streams = Streams(config.video_stream, config.audio_stream)
    load = partial(_load_video, video, tuple(window) if window else None, config.fps, streams)
    source = f"{speaker}/videos/{video.name}"
    return [Utterance(f"{speaker}_{identity}", split, speaker, None, source, load, video, streams)]


def _cuts(folder: Path, identity: str, speaker: str, split: str, config) -> list[Utterance]:
    cuts = [
        (re.fullmatch(r"cut-(\d+)", path.name), path) for path in (folder / "preprocessed" / identity).glob("cut-*")
    ]
    cuts = sorted((int(match[1]), path) for match, path in cuts if match)
    if not cuts:
        return [_missing(folder, identity, speaker, split, f"preprocessed/{identity}")]
    return [
        Utterance(
            key=f"{speaker}_{identity}_{number}",
            split=split,
            speaker=speaker,
            text=None,
            source=f"{speaker}/preprocessed/{identity}/{path.name}",
            load=partial(_load_cut, path, float(config.fps), config.size, config.largest_gap),
        )
        for number, path in cuts
    ]


def _missing(folder: Path, identity: str, speaker: str, split: str, place: str) -> Utterance:
    load = partial(_load_missing, f"{identity} is in {split}.txt, but there is no {speaker}/{place}")
    return Utterance(f"{speaker}_{identity}", split, speaker, None, f"{speaker}/{place}", load)


def _load_missing(detail: str) -> Clip:
    raise Reject("missing", detail)


def _load_video(
    video: Path,
    window: tuple[float, float, float, float] | None,
    fps: float | None,
    streams: Streams,
    span: tuple[float, float] | None = None,
) -> Clip:
    """A video, or a span of it in seconds, of which only the window (parts of width and height) is kept.

    The window in pixels is recorded as ``window``; the geometry of the face counts from its corner.
    """
    clip = read_clip(video, fps=fps, span=span, streams=streams)
    if window:
        height, width = clip.frames.shape[1:3]
        left, top, right, bottom = (round(v * side) for v, side in zip(window, (width, height) * 2, strict=True))
        clip.frames = clip.frames[:, top:bottom, left:right].copy()
        clip.extra["window"] = [left, top, right, bottom]
    return clip


def _load_cut(folder: Path, fps: float, size: int, largest_gap: float) -> Clip:
    """A cut from its first crop to its last, all scaled to squares; where crops are missing, the nearest one stands.

    Raises:
        Reject: no_face, face_gap, no_audio, unreadable or too_short.
    """
    present = np.array(sorted(int(p.stem) for p in folder.glob("*.jpg") if re.fullmatch(r"\d{1,9}", p.stem)), int)
    if not len(present):
        raise Reject("no_face", "the cut holds no i.jpg")
    gap = (np.diff(present).max(initial=1) - 1) / fps
    if gap > largest_gap:
        raise Reject("face_gap", f"no face for {gap:.2f} s, more than largest_gap={largest_gap}")
    if not (folder / "audio.wav").is_file():
        raise Reject("no_audio", "the cut holds no audio.wav")
    audio, _ = read_audio(folder / "audio.wav", (-np.inf, (int(present[-1]) + 1) / fps))
    first = int(present[0])
    count = min(int(present[-1]) - first + 1, int(len(audio) / SAMPLE_RATE * fps) - first)
    if count < 1:
        raise Reject("too_short", "pictures and sound do not overlap")
    wanted = first + np.arange(count)
    after = np.searchsorted(present, wanted)
    before = np.maximum(after - 1, 0)
    nearest = present[np.where(present[after] - wanted < wanted - present[before], after, before)]
    crops = {index: _read_crop(folder / f"{index}.jpg", size) for index in np.unique(nearest).tolist()}
    begin, end = (round((first + frames) / fps * SAMPLE_RATE) for frames in (0, count))
    held = int((nearest != wanted).sum())
    return Clip(
        frames=np.stack([crops[index] for index in nearest.tolist()]),
        fps=fps,
        audio=audio[begin:end],
        extra={"start": round(first / fps, 6), "held_frames": held},
    )


def _read_crop(path: Path, size: int) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise Reject("unreadable", f"{path.name} is not a picture")
    way = cv2.INTER_AREA if min(picture.shape[:2]) >= size else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(picture, (size, size), interpolation=way), cv2.COLOR_BGR2RGB)
