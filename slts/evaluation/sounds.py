"""Folders of sound: which files are read, why others are not, and the pairs of two folders."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from slts.audio import SAMPLE_RATE
from slts.data import media
from slts.data.clip import Reject
from slts.data.media.container import open_media, refuse_special
from slts.data.media.streams import audio_stream
from slts.errors import UserError
from slts.folders import files_below, printable
from slts.metrics import Undefined

BY_SOUNDFILE = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"}
BY_SOUNDFILE |= {".aif", ".oga", ".opus"}
BY_FFMPEG = {".aac", ".ac3", ".amr", ".m4a", ".mka", ".wma"}


@dataclass(frozen=True)
class SoundFolder:
    """The files at any depth below a folder, links to folders followed."""

    sounds: dict[str, Path]
    """By relative path without suffix: what has the suffix of a format that is read."""
    others: dict[str, str]
    """By relative path, why the other files are not read."""

    def find(self, stem: str) -> Path | str | None:
        """The sound of that stem, else why the file of that stem is not read, None where there is no such file."""
        reasons = (why for name, why in self.others.items() if _stem(Path(name)) == stem)
        return self.sounds.get(stem) or next(reasons, None)


def sound_folder(key: str, folder: Path) -> SoundFolder:
    """The sounds below a folder. Raises UserError for no folder, none in it, or two that share a stem."""
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: no such folder")
    sounds: dict[str, Path] = {}
    others: dict[str, str] = {}
    for file in files_below(folder):
        place = file.relative_to(folder)
        if why := why_not_read(file):
            others[printable(place.as_posix())] = why
        elif (stem := _stem(place)) in sounds:
            raise UserError(f"{key}: {sounds[stem].name} and {file.name} in {file.parent} share a stem; keep one")
        else:
            sounds[stem] = file
    if not sounds:
        raise UserError(f"{key}={folder}: no audio file of a format that is read (.wav, .flac, .ogg, .m4a, ...)")
    return SoundFolder(sounds, others)


def why_not_read(file: Path) -> str | None:
    """Why a file of a folder is not taken for sound, None if it is; its content is not looked at."""
    try:
        if file.is_dir():
            return "a folder that cannot be listed"
        refuse_special(file)
    except Reject as special:
        return special.detail
    except OSError as error:
        return (error.strerror or str(error)).lower()
    suffix = file.suffix.lower()
    return None if suffix in BY_SOUNDFILE | BY_FFMPEG else f"{suffix or 'no suffix'} is not a format that is read"


def read_audio(file: Path) -> np.ndarray:
    """Mono audio (N,) float32 at 16 kHz of any file that soundfile or FFmpeg reads. Raises Undefined if it cannot."""
    try:
        if file.suffix.lower() in BY_FFMPEG:
            return media.read_audio(file)[0]
        samples, rate = soundfile.read(os.fsencode(file), dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError, Reject):
        raise Undefined("unreadable audio file") from None
    mono = samples.mean(1)
    return mono if rate == SAMPLE_RATE or not mono.size else soxr.resample(mono, rate, SAMPLE_RATE)


def sample_rate(file: Path) -> int | None:
    """Hz of the file, before it becomes 16 kHz; None where it cannot be told."""
    try:
        if file.suffix.lower() in BY_FFMPEG:
            with open_media(file) as container:
                return audio_stream(container).rate
        return soundfile.info(os.fsencode(file)).samplerate
    except (OSError, soundfile.SoundFileError, Reject):
        return None


def read_pair(reference: Path | str | None, generated: Path | str | None) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a pair, as SoundFolder.find gives them. Raises Undefined if one is missing or unreadable."""
    audio = []
    for name, file in (("reference", reference), ("generated", generated)):
        if file is None:
            raise Undefined(f"no {name} file")
        if isinstance(file, str):
            raise Undefined(f"{name}: {file}")
        try:
            audio.append(read_audio(file))
        except Undefined as reason:
            raise Undefined(f"{name}: {reason}") from None
    return audio[0], audio[1]


def _stem(place: Path) -> str:
    return printable(place.with_suffix("").as_posix())
