"""What the page answers, without a page: of a video its offset and its repair, its speech, its dub. The work is that of
``slts offsets``, ``slts generate`` and ``slts dub``; here are the bounds of what visitors may give, and plain words."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from slts.audio import SAMPLE_RATE
from slts.audio.mel import log_mel
from slts.data.clip import Reject
from slts.data.media import mux, probe, read_audio, write_sound
from slts.data.media.container import refuse_special
from slts.data.media.streams import AS_PLAYERS
from slts.errors import UserError
from slts.evaluation.figures import mel_figure
from slts.files import write_whole
from slts.offsets.alignment import ANY_LENGTH, described, find_offset, take_out
from slts.offsets.curve import VideoEstimator
from slts.offsets.finding import Finding
from slts.offsets.verdict import CANNOT_TELL, FAIL, Limits, judge
from slts.reporting.offset_page import curve_figure
from slts.systems.dubbing import Manner, dub
from slts.systems.trained import TrainedRun
from slts.systems.videos import speak, speaker_index

TOLD = {
    "unreadable": "it is no video or sound that can be read",
    "no_video": "there is no picture in it",
    "no_audio": "there is no sound in it",
}
"""What a word of Reject means to somebody who dropped a file."""

MB = 2**20
"""Bytes, as the page counts them too."""
PICTURE = (5.5, 3.0)
"""Inches of the curve, small enough for its letters to be read on a phone."""


@dataclass(frozen=True)
class Runs:
    """What answers."""

    offset: TrainedRun
    speech: TrainedRun | None = None
    dub: TrainedRun | None = None
    """None, of both, where the page is to say how one is made."""
    faces: str | None = None
    """Detector for all of them; None is that of each one's corpus."""


@dataclass(frozen=True)
class Bounds:
    """Of what is taken."""

    max_mb: int
    max_seconds: float


@dataclass(frozen=True)
class Offset:
    """The answer to a video."""

    word: str
    """PASS, FAIL, CANNOT TELL; without a standard "Offset"."""
    sentence: str
    curve: Path | None = None
    """PNG, where the file could be measured."""
    mended: Path | None = None
    """The video with its offset taken out, where it is sure."""


@dataclass(frozen=True)
class Speech:
    """The answer to a silent picture: .wav, the video with it, and a PNG."""

    sentence: str
    sound: Path
    film: Path
    mel: Path


@dataclass(frozen=True)
class Dub:
    """The answer to a face and a sound."""

    sentence: str
    film: Path


def admit(given: str | None, what: str, bounds: Bounds, sound: bool = False) -> Path:
    """The file that was given as ``what``, once it is known to be within the ``bounds``; a film, or with ``sound`` only
    heard. Raises UserError with a sentence."""
    if given is None:
        raise UserError(f"There is no {what} yet: drop a file, or choose an example.")
    file = Path(given)
    try:
        refuse_special(file)
        size, seconds = file.stat().st_size, None
        if 0 < size <= bounds.max_mb * MB:
            seconds = _heard(file, bounds.max_seconds) if sound else probe(file)[0]
    except Reject as reject:
        raise UserError(f"The {what} cannot be used: {in_words(reject)}.") from None
    except OSError:
        raise UserError(f"The {what} is not there any more; drop it again.") from None
    if not size:
        raise UserError(f"The {what} is empty: it has no bytes.")
    if seconds is None:
        raise UserError(f"The {what} has {size / MB:.0f} MB, and at most {bounds.max_mb} MB are taken.")
    if seconds > bounds.max_seconds:
        raise UserError(f"The {what} is longer than the {bounds.max_seconds:g} s that are taken; cut it.")
    return file


def _heard(file: Path, limit: float) -> float:
    """Seconds of sound, as far as a little beyond the limit; no more is decoded, whatever the file states."""
    sound, start = read_audio(file, (-np.inf, limit + 1))
    return max(0.0, start) + len(sound) / SAMPLE_RATE


def in_words(reject: Reject) -> str:
    return TOLD.get(reject.reason) or reject.detail or reject.reason.replace("_", " ")


def offset_answer(run: TrainedRun, video: Path, limits: Limits | None, faces: str | None, folder: Path) -> Offset:
    """Measures, judges against ``limits`` and, where sure, mends a video; what is made lies in ``folder``."""
    finding = find_offset(VideoEstimator(run, ANY_LENGTH, faces), video, "your video", lambda _: None, progress=False)
    word, sentence = verdict_of(finding, limits)
    curve = mended = None
    if finding.curve:
        curve = folder / "offset.png"
        write_whole(curve, curve_figure(finding, limits, PICTURE))
    if finding.course and finding.sure:
        mended = _mended(finding, folder)
    return Offset(word, sentence, curve, mended)


def _mended(finding: Finding, folder: Path) -> Path | None:
    """In an .mp4, or in an .mkv where that cannot hold the streams; None where neither can."""
    for suffix in (".mp4", ".mkv"):
        out = folder / f"mended{suffix}"
        try:
            take_out(finding.course, finding.video, out, "slts demo", AS_PLAYERS)
            return out
        except Reject:
            continue
    return None


def verdict_of(finding: Finding, limits: Limits | None) -> tuple[str, str]:
    """PASS, FAIL, CANNOT TELL or "Offset", and a sentence that says why."""
    course = finding.course
    if course is None:
        reason, _, detail = (finding.cannot_tell or "").partition(": ")
        return CANNOT_TELL, f"No offset can be told: {TOLD.get(reason) or detail or reason}."
    if course.kind == "constant" and abs(course.mean_ms) < 0.5:
        said = "picture and sound are together"
    elif course.kind == "constant":
        early = "early" if course.mean_ms > 0 else "late"
        which = "lags" if course.mean_ms > 0 else "leads"
        said = f"the video {which} the audio by {abs(course.mean_ms):.0f} ms: its sound comes {early}"
    else:
        said = f"the offset is not the same all along: {described(course)}"
    if not finding.sure:
        return CANNOT_TELL, f"Perhaps {said}; but a wrong sound may give as much."
    if limits is None:
        return "Offset", f"{said[0].upper()}{said[1:]}."
    word = judge(course, finding.sure, limits).word
    verb = "does not allow" if word == FAIL else "allows"
    bounds = f"sound at most {limits.early:g} ms early and {limits.late:g} ms late"
    return word, f"{said[0].upper()}{said[1:]}, which {short_name(limits)} {verb} ({bounds})."


def short_name(limits: Limits) -> str:
    """Of the document, without its year."""
    return limits.source.partition(" (")[0]


def speech_answer(run: TrainedRun, video: Path, speaker: str | None, faces: str | None, folder: Path) -> Speech:
    """What the run says of a silent picture, in the voice of a speaker that it knows. Raises Reject."""
    audio = speak(run, video, speaker_index(run, speaker), faces)
    made = Speech(
        f"{len(audio) / SAMPLE_RATE:.1f} s of speech from the picture alone; the sound of the video was not heard.",
        folder / "spoken.wav", folder / "spoken.mp4", folder / "mel.png",
    )  # fmt: skip
    write_sound(made.sound, audio)
    mux(video, audio, made.film)
    mel_figure({"spoken": log_mel(torch.from_numpy(audio)[None])[0].numpy()}, None, "log-mel", made.mel)
    return made


def dub_answer(run: TrainedRun, video: Path, audio: Path, faces: str | None, folder: Path) -> Dub:
    """The film whose lips say a sound. Raises UserError."""
    out = folder / "dubbed.mp4"
    facts = dub(run, video, audio, out, Manner(faces))
    left = facts["without_face"]
    without = f"; {left} without a face are left as they are" if left else ""
    return Dub(
        f"{facts['frames']} pictures with lips drawn to the sound{without}. The file says that they are synthetic.", out
    )
