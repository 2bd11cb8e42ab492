"""TCD-TIMIT (Harte and Gillen 2015): the three lipspeakers, 377 sentences each, filmed from the front at 29.97 fps."""

import re
from functools import partial
from pathlib import Path

from slts.corpora.splits import SPLITS, seeded_split
from slts.data.clip import Clip
from slts.data.media import read_clip
from slts.data.utterance import Utterance
from slts.errors import UserError

FOLDERS = ("lipspeakers", "Clips", "straightcam")
"""Between the root and a speaker's videos, with the speaker's folder after the first; matched in any letter case."""
UNITS = 10_000_000
"""HTK counts 100 ns."""

Label = tuple[float, float, str]


def utterances(config) -> list[Utterance]:
    """The front-view clips of the lipspeakers, ordered by split, speaker and name; 90/5/5 by seed and speaker.

    Text comes from a ``.txt`` beside a clip, phones from HTK label files; both may be missing.

    Args:
        config: ``root`` (the folder ``lipspeakers`` or the one above), ``speakers``, ``labels``, ``seed``, ``fps``.

    Raises:
        UserError: no such root, no clips, an unknown speaker or a bad label file.
    """
    if not config.root or not Path(config.root).is_dir():
        raise UserError(f"root={config.root}: no such folder; root must be TCD-TIMIT's folder with lipspeakers/ in it")
    root = Path(config.root)
    people = _speakers(root)
    chosen = [config.speakers] if isinstance(config.speakers, str) else config.speakers or list(people)
    if unknown := [speaker for speaker in chosen if speaker not in people]:
        raise UserError(f"speakers: no {', '.join(unknown)} in {root}; there are {', '.join(people) or 'none'}")
    labels = _read_labels(root, config.labels)
    found = []
    for speaker in chosen:
        videos = _videos(people[speaker])
        for stem, split in seeded_split(list(videos), speaker, config.seed).items():
            phones = labels.get((speaker.lower(), stem.lower()), [])
            found.append(
                Utterance(
                    key=re.sub(r"[^A-Za-z0-9_-]", "_", f"{speaker}_{stem}"),
                    split=split,
                    speaker=speaker,
                    text=_text(videos[stem]),
                    source=videos[stem].relative_to(root).as_posix(),
                    load=partial(_load, videos[stem], phones, config.fps),
                )
            )
    if not found:
        raise UserError(f"root={root}: no lipspeakers there; expected lipspeakers/Lipspkr1/Clips/straightcam/*.mp4")
    return sorted(found, key=lambda utterance: (SPLITS.index(utterance.split), utterance.speaker, utterance.key))


def _below(folder: Path, name: str) -> Path | None:
    """The subfolder of that name in any letter case."""
    return next(
        (path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() == name.lower()), None
    )


def _speakers(root: Path) -> dict[str, Path]:
    """The lipspeakers' folders by name, Lipspkr1 first."""
    top = _below(root, FOLDERS[0]) or root
    folders = sorted(path for path in top.iterdir() if path.is_dir())
    return {path.name: path for path in folders if re.fullmatch(r"lipspkr\d+", path.name, re.IGNORECASE)}


def _videos(folder: Path) -> dict[str, Path]:
    for name in FOLDERS[1:]:
        folder = _below(folder, name) or folder
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".mp4"}


def _text(video: Path) -> str | None:
    """The sentence of the ``.txt`` beside a clip, without the two sample counts that TIMIT writes before it."""
    path = video.with_suffix(".txt")
    if not path.is_file():
        return None
    return re.sub(r"^\d+\s+\d+\s+", "", " ".join(path.read_text("utf-8", errors="replace").split())) or None


def _read_labels(root: Path, given: str | None) -> dict[tuple[str, str], list[Label]]:
    """(start, end, phone) in seconds by (speaker, stem) in lower case, of HTK master label files.

    Names are paths such as ``"*/lipspeakers/Lipspkr1/Clips/straightcam/sa1.rec"``; those of volunteers are passed over.
    """
    if given and not Path(given).is_file():
        raise UserError(f"labels={given}: no such file; give HTK's .mlf of the lipspeakers, or leave the key out")
    files = [Path(given)] if given else sorted(path for path in root.iterdir() if path.suffix.lower() == ".mlf")
    labels: dict[tuple[str, str], list[Label]] = {}
    for file in files:
        lines = file.read_text("utf-8", errors="replace").splitlines()
        if not lines or lines[0].strip() != "#!MLF!#":
            raise UserError(f"{file}: not an HTK label file; its first line must be #!MLF!#")
        current: list[Label] = []
        for number, line in enumerate(lines[1:], 2):
            if name := re.fullmatch(r'"?([^"]*[/\\][^"/\\]+)\.\w+"?', line.strip()):
                parts = re.split(r"[/\\]", name[1].lower())
                speaker = next((part for part in parts if re.fullmatch(r"lipspkr\d+", part)), None)
                current = labels.setdefault((speaker, parts[-1]), []) if speaker else []
            elif label := re.match(r"(\d+)\s+(\d+)\s+(\S+)", line):
                current.append((int(label[1]) / UNITS, int(label[2]) / UNITS, label[3]))
            elif line.strip() not in ("", "."):
                raise UserError(
                    f"{file}, line {number}: '{line[:40]}' is neither a name in quotes nor 'start end phone'"
                )
    return labels


def _load(video: Path, phones: list[Label], fps: float | None) -> Clip:
    clip = read_clip(video, fps=fps)
    if phones:
        start = clip.extra["start"]
        clip.extra["phones"] = [(round(a - start, 4), round(b - start, 4), phone) for a, b, phone in phones]
    return clip
