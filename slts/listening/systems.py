"""What is heard: the sounds or videos that runs left of the same clips, and what was recorded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slts.data.clip import Clip, Reject
from slts.data.media import VIDEO_SUFFIXES, read_clip
from slts.errors import UserError
from slts.evaluation.sounds import read_audio, sound_folder
from slts.folders import files_below, printable
from slts.metrics import Undefined
from slts.training.evaluation_name import PROTOCOLS

RECORDED = "-recorded"
"""What ``slts evaluate`` adds to the name of a clip's recorded sound."""
LEFT, RIGHT = 0, 1
"""Halves of the videos that ``slts evaluate`` leaves: what was recorded, and what was drawn."""


@dataclass(frozen=True)
class System:
    name: str
    clips: dict[str, Path]
    """Files by key."""
    half: int | None = None
    """Of videos: which half is shown; None is all of it."""
    recorded: "System | None" = None
    """What it was given, where that is beside what it made of it."""

    def read(self, key: str) -> Clip:
        """Sound at 16 kHz, and the pictures of a video; of a sound ``frames`` is empty.

        Raises:
            UserError: the file cannot be read.
        """
        file = self.clips[key]
        try:
            if not is_video(file):
                return Clip(np.zeros((0, 2, 2, 3), np.uint8), 25.0, read_audio(file))
            clip = read_clip(file)
        except (Reject, Undefined) as error:
            raise UserError(f"{file}: {error}; make it again, or give another clip or run") from None
        if self.half is not None:
            clip.frames = np.split(clip.frames, 2, axis=2)[self.half]
        return clip


def systems_of(runs: list[str], split: str, reference: str | None) -> list[System]:
    """What was recorded, then one system for each of ``runs``.

    Args:
        runs: run directories that ``slts evaluate`` scored, or folders of sounds or of videos.
        split: the evaluation whose sounds are heard, a folder in ``RUN/samples``.
        reference: a folder of what was recorded, by the same names; None takes what lies beside the sounds of a run.

    Raises:
        UserError: a folder is missing or holds nothing to hear, two share a name, or some are heard and some seen.
    """
    if not runs:
        raise UserError("runs=[A,B] is required for a new test: runs that slts evaluate scored (slts listen --help)")
    systems = [_of_run(Path(run), split) if _is_run(Path(run)) else _of_folder(Path(run), "runs") for run in runs]
    beside = next((one.recorded for one in systems if one.recorded), None)
    recorded = _of_folder(Path(reference), "reference") if reference else beside
    if recorded is None:
        raise UserError(f"runs={runs[0]} is no run of slts train; give reference=FOLDER of what was recorded, too")
    shown = "unsynced" if split.endswith(PROTOCOLS) else "real"
    systems.insert(0, System(shown, recorded.clips, recorded.half))
    names = [one.name for one in systems]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"runs=: two are called {twice[0]}; ratings are told apart by the folder's name, rename one")
    if len({is_video(file) for one in systems for file in one.clips.values()}) > 1:
        raise UserError("runs=: some left sounds and some videos; these are judged in tests of their own")
    return systems


def is_video(file: Path) -> bool:
    return file.suffix.lower() in VIDEO_SUFFIXES


def common_keys(systems: list[System]) -> list[str]:
    """Clips that every system has."""
    return sorted(set.intersection(*(set(one.clips) for one in systems)))


def refuse_other_recordings(systems: list[System], key: str) -> None:
    """Raises UserError where what runs were given of a clip is not the same recording."""
    heard = [(one.name, one.recorded.read(key).audio) for one in systems if one.recorded]
    for (first, reference), (name, audio) in zip(heard[:1] * len(heard), heard, strict=True):
        shorter = min(len(audio), len(reference))
        if not np.array_equal(audio[:shorter], reference[:shorter]):
            raise UserError(
                f"runs=: {first} and {name} were given different recordings of {key}; evaluate both on the same data="
            )


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()


def _of_run(run: Path, split: str) -> System:
    """Of what ``slts evaluate`` leaves: sounds, else videos."""
    folder, name = run / "samples" / split, run.resolve().name
    recorded = {file.stem.removesuffix(RECORDED): file for file in folder.glob(f"*{RECORDED}.wav")}
    given = {key: file for key in recorded if (file := folder / f"{key}.wav").is_file()}
    if given:
        return System(name, given, recorded=System(name, recorded))
    drawn = {file.stem: file for file in folder.glob("*.mp4")}
    if not drawn:
        raise UserError(f"{folder} holds no sounds and no videos; slts evaluate run={run} split={split} leaves them")
    return System(name, drawn, RIGHT, System(name, drawn, LEFT))


def _of_folder(folder: Path, key: str) -> System:
    """All videos of a folder, or all sounds where there is none."""
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: no such folder")
    videos = {
        printable(file.relative_to(folder).with_suffix("").as_posix()): file
        for file in files_below(folder)
        if is_video(file)
    }
    return System(folder.resolve().name, videos or sound_folder(key, folder).sounds)
