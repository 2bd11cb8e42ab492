"""Lips of a film drawn to a sound and pasted back into it, piece by piece."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile
import torch
from torch import Tensor

from slts import __version__
from slts.audio import SAMPLE_RATE
from slts.data.augmentation import fit_picture
from slts.data.clip import Reject
from slts.data.faces import LINES, FaceCrop, cut, square
from slts.data.faces.edge import soft_edge
from slts.data.faces.tracks import moving_boxes, one_person
from slts.data.media import read_audio
from slts.data.media.film import Film, FilmWriter, FrameReader, Survey
from slts.data.media.reading import nearest
from slts.data.media.streams import AS_PLAYERS, Streams
from slts.errors import UserError, disk_fault
from slts.files import sha256, whole_file, write_whole
from slts.folders import read_plain
from slts.systems.contract import REACH
from slts.systems.trained import TrainedRun

EVERY = 0.2
"""Seconds between the pictures in which the face is looked for."""
HELD = 0.35
"""Seconds from the nearest picture with a face within which a frame has one."""
AT_ONCE, BYTES = 32, 2**27
"""Pictures, and bytes of them, that are drawn at once while as many are encoded."""
LOOKS = 16
"""Pictures in which faces are looked for at once."""
SHORTEST = 0.2
"""Seconds of sound that a picture's lips need."""
REFERENCES = 5
"""Pictures of the person that a run may choose its reference among."""
BACK_AND_FORTH, HOLD = "back_and_forth", "hold"
"""What a film does that is shorter than its sound."""
LARGEST_SIDECAR = 2**20
"""Bytes of a .json beside a film."""
SYNTHETIC = "The lips are synthetic: drawn to another sound by slts dub"


@dataclass(frozen=True)
class Manner:
    """How films are dubbed."""

    detector: str | None = None
    """Of faces; None is that of the run's corpus."""
    person: str = "largest"
    """A name of slts.data.faces.PERSONS."""
    short: str = BACK_AND_FORTH
    """BACK_AND_FORTH or HOLD."""
    streams: Streams = AS_PLAYERS
    mel_lead_ms: float | None = None
    """What published weights were loaded with, no part of them."""


@dataclass(frozen=True)
class Faces:
    """Where one person's face is in each frame of a film."""

    squares: np.ndarray
    """(T, 3) left, top and side in pixels."""
    seen: np.ndarray
    """(T,) bool."""


def dub(
    run: TrainedRun, video: Path, audio: Path, out: Path, manner: Manner = Manner(),
    progress: Callable = lambda pieces, _: pieces, made: dict | None = None,
) -> dict:  # fmt: skip
    """Writes ``out`` and, beside it, ``out`` with the suffix .json: whole, both or neither.

    The film runs as long as the sound: it is cut, or prolonged as ``manner.short`` says. Frames without a face stay as
    they are.

    Args:
        run: gives pictures.
        video: a film or a still picture.
        audio: any file with sound.
        out: .mp4, .mov or .mkv.
        manner: which face, which streams.
        progress: (pieces, how many) -> the same pieces.
        made: ``made_from`` of these, where it is known.

    Returns:
        What the sidecar says.

    Raises:
        UserError: one line for anything that cannot be used.
    """
    how = face_crop(run, manner)
    _sidecar(out)
    try:
        sound = _sound(audio, manner.streams)
    except Reject as reject:
        raise UserError(f"audio={audio}: {reject}") from None
    try:
        film, faces = find_face(video, how, manner.streams, len(sound) / SAMPLE_RATE)
        facts = {
            "synthetic": "lips", "note": SYNTHETIC, "run": run.config.name, "task": run.config.task.name,
            "step": run.step, "video": video.name, "audio": audio.name, "fps": film.rate, "version": __version__,
        }  # fmt: skip
        order = frame_order(film, int(np.ceil(len(sound) / SAMPLE_RATE * film.rate - 1e-6)), manner.short)
        facts |= {"frames": len(order), "without_face": int((~faces.seen[order]).sum())}
        facts["made_from"] = made or made_from(run, video, audio, manner)
        comment = f"{SYNTHETIC} {__version__}, run {run.config.name}, step {run.step}"
        with whole_file(out) as file:
            shape = film.rate, film.height, film.width
            writing = FilmWriter(file, out.suffix.lower(), *shape, audio, manner.streams, {"comment": comment})
            with writing as writer, FrameReader(film) as reader, ThreadPoolExecutor(1) as beside:
                facts["sound"] = "copied" if writer.copied else "encoded as AAC"
                size = max(1, min(AT_ONCE, BYTES // (3 * film.height * film.width)))
                artist = _Artist(run, how, sound, film, faces, reader)
                firsts, written = range(0, len(order), size), beside.submit(writer.write, [])
                for first in progress(firsts, len(firsts)):
                    piece = artist.piece(first, order[first : first + size])
                    written.result()
                    written = beside.submit(writer.write, piece)
                written.result()
            out.unlink(missing_ok=True)  # an older film never lies beside the sidecar of this one
            write_whole(out.with_suffix(".json"), json.dumps(facts, indent=1).encode())
    except Reject as reject:
        raise UserError(f"video={video}: {reject}") from None
    except av.FFmpegError as error:  # of a sound whose packets the container does not take
        if disk_fault(error, [out.parent]):
            raise
        raise UserError(f"video={video}, audio={audio}: {error.strerror or error}") from None
    return facts


def face_crop(run: TrainedRun, manner: Manner) -> FaceCrop:
    """How the run's faces are cut out of any film. Raises UserError for a run or a manner that can dub none."""
    if run.config.model.channels != 3:
        raise UserError(f"{run.directory.path} draws grey pictures; dub with a run of model.channels=3")
    prepared = run.corpus["config"]
    how = FaceCrop.of({**prepared, "faces": manner.detector or prepared["faces"], "person": manner.person})
    how.detector()
    return how


def made_from(run: TrainedRun, video: Path, audio: Path, manner: Manner) -> dict:
    """What decides what a dubbed film is: the SHA-256 of the weights and of both sources, and the manner."""
    return {"weights": run.weights_sha256, "video": sha256(video), "audio": sha256(audio), **asdict(manner)}


def is_dubbed(out: Path, made: dict) -> bool:
    """Whether ``out`` is there and was ``made_from`` this. Raises UserError where what is there was not dubbed."""
    facts = _sidecar(out)
    if not out.exists():
        return False
    if facts is None:
        raise UserError(f"{out} is there, and no .json beside it says that slts dub made it; choose another folder")
    return facts.get("made_from") == made


def _sidecar(out: Path) -> dict | None:
    """What the .json beside a dubbed film says, None without one. Raises UserError for one of somebody else."""
    file, facts = out.with_suffix(".json"), None
    try:
        facts = json.loads(read_plain(file, LARGEST_SIDECAR))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        pass
    if not isinstance(facts, dict) or facts.get("synthetic") != "lips":
        raise UserError(f"{file} is there and not of slts dub, which writes one of that name; choose another out=")
    return facts


def find_face(video: Path, how: FaceCrop, streams: Streams = AS_PLAYERS, seconds: float = np.inf) -> tuple[Film, Faces]:
    """The film and the face of its person, smoothed over time, looked for in its first ``seconds``. Raises Reject as
    Survey does, or no_face."""
    survey, detect = Survey(video, EVERY, streams, seconds), how.detector()
    places, found, waiting, scale = [], [], [], 1.0

    def look() -> None:
        if waiting:
            pictures = np.stack(waiting)
            smallest = max(20, int(how.smallest_face * min(pictures.shape[1:3])))
            found.extend(boxes / scale for boxes in detect(pictures, smallest))
            waiting.clear()

    for number, picture in survey:
        places.append(number)
        scale = min(1.0, LINES / min(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        waiting.append(small)
        if len(waiting) == LOOKS:
            look()
    look()
    film = survey.film
    assert film is not None  # the survey was read to its end
    boxes = one_person(found, how.person, film.height, film.width)
    places = np.array(places)
    with_face = places[~np.isnan(boxes[:, 0])]
    if not len(with_face):
        raise Reject(
            "no_face", f"no face in any of the {len(places)} pictures looked at; faces= takes another detector"
        )
    moving = moving_boxes(boxes, places, len(film.times), film.rate)
    squares = np.array([square(box, how, film.height, film.width) for box in moving])
    after = np.searchsorted(with_face, np.arange(len(film.times))).clip(0, len(with_face) - 1)
    times = film.times[with_face]
    apart = np.minimum(np.abs(times[after] - film.times), np.abs(times[(after - 1).clip(0)] - film.times))
    return film, Faces(squares, apart <= HELD)


def frame_order(film: Film, count: int, short: str = BACK_AND_FORTH) -> np.ndarray:
    """Which frame of the film each of ``count`` pictures at its constant rate is: to its end, then ``short``: back, and
    so on, or its last frame held."""
    place = np.arange(count)
    if short == HOLD:
        place = place.clip(0, film.grid - 1)
    else:
        period = max(1, 2 * film.grid - 2)
        place = np.minimum(place % period, period - place % period)
    return nearest(film.times, film.times[0] + place / film.rate)


class _Artist:
    """Draws pieces of a film."""

    def __init__(
        self, run: TrainedRun, how: FaceCrop, sound: np.ndarray, film: Film, faces: Faces, reader: FrameReader
    ):
        self.run, self.how, self.sound, self.film, self.faces, self.reader = run, how, sound, film, faces, reader
        # One picture for all: the lips of the reference then cannot move with those of the film.
        seen = np.flatnonzero(faces.seen)
        places = np.unique(seen[(len(seen) * (2 * np.arange(REFERENCES) + 1)) // (2 * REFERENCES)])
        self.references = self._fitted([reader.read(place, place)[0] for place in places], places)

    def piece(self, first: int, order: np.ndarray) -> list[np.ndarray]:
        """The pictures ``first``, ``first`` + 1, ... of the output, which are the frames ``order`` of the film."""
        low = int(order.min())
        held = self.reader.read(low, int(order.max()))
        shown = [held[number - low] for number in order]
        drawn = [place for place, number in enumerate(order) if self.faces.seen[number]]
        if not drawn:
            return shown
        seconds = (first + np.array(drawn)) / self.film.rate
        # A tenth of a second is a whole number of frames of any spectrum in use.
        start = max(0.0, np.floor(10 * (seconds[0] - REACH)) / 10)
        heard = self.sound[round(start * SAMPLE_RATE) : round((seconds[-1] + REACH) * SAMPLE_RATE)]
        given = self._fitted([shown[place] for place in drawn], order[drawn])
        faces = self.run.task.draw_at(
            given, self._tensor(np.float32(seconds - start)), self._tensor(heard)[None], self.references
        )
        for place, face in zip(drawn, faces.permute(0, 2, 3, 1).cpu().numpy(), strict=True):
            shown[place] = self._pasted(shown[place], face, self.faces.squares[order[place]])
        return shown

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.run.device)

    def _fitted(self, frames: list[np.ndarray], numbers) -> Tensor:
        """Faces as the run's corpus and training cut them: (n, C, S, S) uint8."""
        config = self.run.config
        crops = cut(frames, {"squares": self.faces.squares[numbers].tolist()}, self.how.size)
        return self._tensor(fit_picture(crops, config.model.image_size, config.model.channels, config.augment.crop))

    def _pasted(self, frame: np.ndarray, face: np.ndarray, place: np.ndarray) -> np.ndarray:
        x, y, side = (int(value) for value in place)
        inner = round(side * self.run.config.augment.crop)
        x, y = x + (side - inner) // 2, y + (side - inner) // 2
        new = cv2.resize(face, (inner, inner), interpolation=cv2.INTER_CUBIC)
        pasted, share = frame.copy(), soft_edge(inner)[..., 0]
        region = pasted[y : y + inner, x : x + inner]
        region[:] = cv2.blendLinear(new, region, share, 1 - share)
        return pasted


def _sound(audio: Path, streams: Streams) -> np.ndarray:
    """(N,) at 16 kHz. Raises Reject for what cannot be read, is too short, or holds values that are no numbers."""
    try:
        with soundfile.SoundFile(audio) as file:
            if any(not np.isfinite(block).all() for block in file.blocks(2**18)):
                raise Reject("unreadable", "the sound holds values that are not finite numbers")
    except (OSError, soundfile.SoundFileError):
        pass  # no format of libsndfile: FFmpeg reads it, or tells why not
    sound, _ = read_audio(audio, streams=streams)
    if len(sound) < SHORTEST * SAMPLE_RATE:
        raise Reject("too_short", f"{len(sound) / SAMPLE_RATE:.2f} s of sound; lips need {SHORTEST} s at least")
    return sound
