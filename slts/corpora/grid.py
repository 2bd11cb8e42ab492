"""GRID (Cooke et al. 2006): 34 speakers, 1000 sentences of 3 s each, in the layouts found in practice."""

import logging
import re
from functools import partial
from pathlib import Path

from slts.corpora.grid_grammar import sentence
from slts.corpora.splits import SPLITS, seeded_split
from slts.data.clip import Clip, Reject
from slts.data.media import read_clip
from slts.data.utterance import Utterance
from slts.errors import UserError

LAYOUTS = (
    ("{speaker}/*.mpg", None),
    ("{speaker}/{speaker}/*.mpg", None),
    ("{speaker}.mpg_vcd/*.mpg", None),
    ("{speaker}.mpg_vcd/{speaker}/*.mpg", None),
    ("{speaker}/video/mpg_6000/*.mpg", None),
    ("{speaker}/video/mpg_vcd/*.mpg", None),
    ("{speaker}/video/{speaker}/*.mpg", None),
    ("{speaker}/video/*.mpg", None),
    ("{speaker}/video/*.mp4", "{speaker}/audio/{stem}.flac"),
    ("{speaker}/video/*.mp4", "{speaker}/audio/{stem}.wav"),
    ("{speaker}/video/*.mp4", None),
    ("{speaker}/*.mp4", None),
    ("video/{speaker}/*.mpg", None),
    ("videos/{speaker}/*.mpg", None),
    ("video_mpg/{speaker}/*.mpg", None),
    ("video/{speaker}/*.mp4", "audio/{speaker}/{stem}.wav"),
    ("video/{speaker}/*.mp4", None),
    ("videos/{speaker}/*.mp4", None),
)
"""Where the videos of a speaker lie, and their audio where it is a file of its own; the first that has files counts."""
ALIGNMENTS = tuple(
    place
    for name in ("align", "alignments", "aligns")
    for place in (
        f"{name}/{{speaker}}/{{stem}}.align",
        f"{name}/{{speaker}}/align/{{stem}}.align",
        f"{{speaker}}/{name}/{{stem}}.align",
        f"{{speaker}}/video/{name}/{{stem}}.align",
    )
)
SPEAKERS = tuple(f"s{number}" for number in range(1, 35))
"""Of s21 there is no video."""
UNITS = 25000
"""Alignment units a second: 1000 are one 25 fps frame."""
SHORTEST = 2.5
"""Seconds. All clips are 3 s long; a program stream that breaks off earlier does not tell by itself."""

log = logging.getLogger(__name__)


def utterances(config) -> list[Utterance]:
    """The clips of the chosen speakers, ordered by split, speaker and name.

    Speakers with ``<speaker>_{train,val,test}.txt`` (one file stem a line) in ``lists``, or else in the root, get that
    split, and their other clips are left out; the others get the seeded 90/5/5.

    Args:
        config: ``root``, ``speakers``, ``lists``, ``seed``, ``fps`` (conf/corpus/grid.yaml; fps None keeps 25).

    Raises:
        UserError: no such root, no clips, or contradictory lists.
    """
    if not config.root or not Path(config.root).is_dir():
        raise UserError(f"root={config.root}: no such folder; root must be the folder that holds s1, s2, ... of GRID")
    root = Path(config.root)
    found = []
    for speaker in _speakers(config.speakers):
        videos = _videos(root, speaker)
        if not videos:
            if config.speakers:
                raise UserError(f"speakers: no videos of {speaker} in {root}; take it off the list")
            continue
        lists = _read_lists(Path(config.lists) if config.lists else root, speaker)
        splits = lists or seeded_split(list(videos), speaker, config.seed)
        left_out = len(videos.keys() - splits.keys())
        if left_out:
            log.warning("%s: %d clips are in none of its lists and are left out", speaker, left_out)
        found += [
            _utterance(root, speaker, stem, split, videos.get(stem), config.fps) for stem, split in splits.items()
        ]
    if not found:
        raise UserError(f"root={config.root}: no GRID videos there; expected for example s1/*.mpg below it")
    return sorted(found, key=lambda utterance: (SPLITS.index(utterance.split), _natural(utterance.key)))


def _speakers(chosen) -> list[str]:
    if chosen:
        return [chosen] if isinstance(chosen, str) else [str(speaker) for speaker in chosen]
    return list(SPEAKERS)


def _natural(name: str) -> list:
    """A sort key that puts s2 before s10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _videos(root: Path, speaker: str) -> dict[str, tuple[Path, Path | None]]:
    """Video and separate audio file by stem, of the first layout that is there."""
    for pictures, sounds in LAYOUTS:
        files = sorted(root.glob(pictures.format(speaker=speaker)))
        separate = [root / sounds.format(speaker=speaker, stem=path.stem) if sounds else None for path in files]
        if files and (sounds is None or any(path and path.exists() for path in separate)):
            return {path.stem: (path, audio) for path, audio in zip(files, separate, strict=True)}
    return {}


def _read_lists(folder: Path, speaker: str) -> dict[str, str]:
    """Split by stem from the speaker's lists; empty if it has none."""
    splits: dict[str, str] = {}
    for split in SPLITS:
        file = folder / f"{speaker}_{split}.txt"
        for stem in file.read_text().split() if file.exists() else []:
            if not re.fullmatch(r"\w+", stem):
                raise UserError(f"{file}: '{stem}' is not a file stem such as bbaf2n; one stem a line")
            if splits.setdefault(stem, split) != split:
                raise UserError(f"{file}: {stem} is also in the {splits[stem]} list; remove it from one of them")
    return splits


def _utterance(
    root: Path, speaker: str, stem: str, split: str, files: tuple[Path, Path | None] | None, fps: float | None
) -> Utterance:
    try:
        text = sentence(stem)
    except Reject:
        text = None
    source = files[0].relative_to(root).as_posix() if files else f"{speaker}/{stem}"
    for pattern in ALIGNMENTS:
        alignment = root / pattern.format(speaker=speaker, stem=stem)
        if alignment.exists():
            break
    key = re.sub(r"[^A-Za-z0-9_-]", "_", f"{speaker}_{stem}")
    return Utterance(key, split, speaker, text, source, partial(_load, stem, files, alignment, fps))


def _load(stem: str, files: tuple[Path, Path | None] | None, alignment: Path, fps: float | None) -> Clip:
    if files is None:
        raise Reject("missing", f"{stem} is in a list, but there is no such video")
    sentence(stem)  # a file of another name is not a GRID clip: Reject
    clip = read_clip(*files, fps=fps)
    if len(clip.frames) / clip.fps < SHORTEST:
        raise Reject("truncated", f"{len(clip.frames)} frames where GRID clips have 75")
    if alignment.exists():
        clip.words = _read_words(alignment, clip.extra["start"])
    return clip


def _read_words(alignment: Path, clip_start: float) -> list[tuple[float, float, str]]:
    """(start, end, word) in seconds on the clip's clock; alignments count from the first video frame."""
    words = []
    for line in alignment.read_text(errors="replace").splitlines():
        match = re.fullmatch(r"(\d+)\s+(\d+)\s+(\w+)", line.strip())
        if not match:
            raise Reject("bad_alignment", f"{alignment.name}: '{line[:40]}' is not 'start end word'")
        if match[3] not in ("sil", "sp"):
            words.append((int(match[1]) / UNITS - clip_start, int(match[2]) / UNITS - clip_start, match[3]))
    return words
