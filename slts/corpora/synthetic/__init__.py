"""The generated corpus: GRID sentences by a speech synthesiser, a drawn mouth or face that speaks them, known offsets.

A clip depends on the seed, its index and the knobs only, whatever was generated before it and in which process.
"""

from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from slts.audio import SAMPLE_RATE
from slts.corpora import grid_grammar
from slts.corpora.synthetic import face, mouth, speech, visemes
from slts.corpora.synthetic.speakers import SPEAKERS
from slts.data.clip import Clip, Reject
from slts.data.utterance import Utterance
from slts.errors import UserError
from slts.offsets.profiles import PROFILES, draw_offset_ms

FPS = 25
_MARGIN = 0.04
"""Least lead and tail around the sentence, seconds."""
_ROOM_TONE = 4e-4
"""Standard deviation of the noise under the speech: no recording is digitally silent."""

# Every use of chance has its own stream, so that one cannot be told from another: the lead says nothing of the offset.
_SENTENCES, _TEXTURE = 100, 101
_OFFSET, _DELIVERY, _MOTION, _LIGHT, _CROP, _NOISE, _TONE = range(7)


@dataclass(frozen=True)
class Spec:
    """All that a clip depends on."""

    seed: int
    index: int
    speaker: int
    stem: str
    """The sentence as a GRID code."""
    profile: str
    frames: int
    view: str
    """``mouth`` or ``face``."""
    size: int
    noise: float
    coarticulation: float
    head_motion: float
    crop_jitter: float
    light: float

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.index, purpose])


def utterances(config) -> list[Utterance]:
    """The corpus that ``conf/corpus/synthetic.yaml`` describes, plus ``config.seed``: train, then val, then test.

    No sentence occurs twice; speakers take turns, so all are in every split. Raises UserError for an unknown profile,
    too many speakers, too few clips for the splits, or when espeak-ng is not installed.
    """
    speech.check_installed()
    if config.profile not in PROFILES:
        raise UserError(f"profile={config.profile}: choose one of {', '.join(PROFILES)}")
    if not 1 <= config.speakers <= len(SPEAKERS):
        raise UserError(f"speakers={config.speakers}: choose 1 to {len(SPEAKERS)}")
    if not 1 <= config.clips <= grid_grammar.SENTENCES:
        raise UserError(f"clips={config.clips}: choose 1 to {grid_grammar.SENTENCES}, the number of GRID sentences")
    held_out = {
        split: max(config.speakers, round(part * config.clips)) if part > 0 else 0
        for split, part in (("val", config.val), ("test", config.test))
    }
    training = config.clips - sum(held_out.values())
    if training < config.speakers:
        needed = config.speakers * (1 + sum(part > 0 for part in (config.val, config.test)))
        raise UserError(
            f"clips={config.clips} leaves {max(training, 0)} for training with val={config.val} test={config.test}: "
            f"take smaller parts or more clips (every split has all {config.speakers} speakers: at least {needed})"
        )

    splits = ["train"] * training + ["val"] * held_out["val"] + ["test"] * held_out["test"]
    sentences = np.random.default_rng([config.seed, _SENTENCES]).permutation(grid_grammar.SENTENCES)
    items = []
    for index, split in enumerate(splits):
        spec = Spec(
            seed=config.seed,
            index=index,
            speaker=index % config.speakers,
            stem=grid_grammar.stem(int(sentences[index])),
            profile=config.profile,
            frames=round(config.seconds * FPS),
            view=config.view,
            size=config.size,
            noise=config.noise,
            coarticulation=config.coarticulation,
            head_motion=config.head_motion,
            crop_jitter=config.crop_jitter,
            light=config.light,
        )
        speaker = f"v{spec.speaker + 1}"
        items.append(
            Utterance(
                key=f"{speaker}-{index:05d}-{spec.stem}",
                split=split,
                speaker=speaker,
                text=grid_grammar.sentence(spec.stem),
                source=f"seed {spec.seed} clip {index}",
                load=partial(render, spec),
            )
        )
    return items


def render(spec: Spec) -> Clip:
    """The clip of ``spec``: audio, and the pictures of the same scene ``offset_ms`` later.

    Raises Reject("too_long") when the sentence does not fit into the clip, Reject("synthesis") when espeak-ng fails.
    """
    audio, phones, words, lead = sound(spec)
    offset_ms = draw_offset_ms(spec.profile, spec.rng(_OFFSET))
    view = scene if spec.view == "mouth" else _face
    return Clip(
        frames=_sensor(view(spec, phones, offset_ms), spec),
        fps=FPS,
        audio=audio,
        offset_ms=float(offset_ms),
        words=words,
        extra={
            "phones": [[round(start, 4), round(end, 4), phone] for start, end, phone in phones],
            "lead": round(lead, 4),
            "voice": SPEAKERS[spec.speaker].voice,
        },
    )


def scene(spec: Spec, phones: list[tuple[float, float, str]], offset_ms: float) -> np.ndarray:
    """Pictures without sensor noise, (frames, size, size, 3) float32, while ``phones`` are spoken.

    Frame i shows the instant i / 25 - offset_ms / 1000 of the audio's clock. The whole scene, head and light included,
    is a function of that instant: offsets of whole frames give the same pictures, shifted.
    """
    speaker = SPEAKERS[spec.speaker]
    times = np.arange(spec.frames) / FPS - offset_ms / 1000
    states, resting = visemes.articulate(phones, times, spec.coarticulation)
    motion = spec.rng(_MOTION)
    states *= motion.uniform(0.85, 1.1)
    states += resting[:, None] * _idle(motion, times)

    def sway(amplitude: float, low: float = 0.15, high: float = 0.9) -> np.ndarray:
        return spec.head_motion * amplitude * _wave(motion, times, low, high)

    # The crop is misplaced once a clip, as a detector does.
    right, down, zoom = spec.crop_jitter * spec.rng(_CROP).uniform(-0.08, 0.08, 3)
    light = spec.rng(_LIGHT)
    pose = mouth.Pose(
        x=right + sway(0.035),
        y=down + sway(0.030),
        roll=sway(0.035),
        scale=1 + zoom + sway(0.015),
        brightness=1 + spec.light * (light.uniform(-0.12, 0.06) + 0.015 * _wave(light, times, 0.3, 3.0)),
        side_light=spec.light * light.uniform(-0.18, 0.18),
    )
    texture = np.random.default_rng([spec.seed, spec.speaker, _TEXTURE])
    return mouth.render(states, pose, speaker.looks, spec.size, texture)


def _face(spec: Spec, phones: list[tuple[float, float, str]], offset_ms: float) -> np.ndarray:
    """As ``scene``, of the whole face: the mouth moves in it, and the detector misplaces the face."""
    right, down, larger = spec.crop_jitter * spec.rng(_CROP).uniform(-0.04, 0.04, 3)
    mouths = scene(
        replace(spec, size=face.MOUTH, head_motion=0.6 * spec.head_motion, crop_jitter=0.0), phones, offset_ms
    )
    return face.cut_faces(mouths, SPEAKERS[spec.speaker].looks, spec.size, (right, down, larger))


def sound(spec: Spec) -> tuple[np.ndarray, list, list, float]:
    """Audio of the clip's length, phones and words on its clock, and the lead in seconds."""
    speaker, delivery = SPEAKERS[spec.speaker], spec.rng(_DELIVERY)
    rate = round(speaker.rate * delivery.uniform(0.95, 1.08))
    pitch = round(np.clip(speaker.pitch + delivery.uniform(-6, 6), 0, 100))
    said = speech.speak(grid_grammar.sentence(spec.stem), speaker.voice, rate, pitch)

    length = spec.frames * SAMPLE_RATE // FPS
    slack = (length - len(said.audio)) / SAMPLE_RATE - 2 * _MARGIN
    if slack < 0:
        raise Reject("too_long", f"'{spec.stem}' takes {len(said.audio) / SAMPLE_RATE:.2f} s; raise seconds")
    start = round((_MARGIN + slack * delivery.random()) * SAMPLE_RATE)
    audio = spec.rng(_TONE).standard_normal(length, dtype=np.float32) * np.float32(_ROOM_TONE)
    loudness = delivery.uniform(0.4, 0.8) / max(np.abs(said.audio).max(), 1e-3)
    audio[start : start + len(said.audio)] += np.float32(loudness) * said.audio

    lead = start / SAMPLE_RATE
    phones = [(lead + a, lead + b, phone) for a, b, phone in said.phones]
    words = [(round(lead + a, 4), round(lead + b, 4), word) for a, b, word in said.words]
    return audio, phones, words, lead


def _wave(rng: np.random.Generator, times: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth random movement of unit variance with frequencies of ``low``..``high`` Hz, at ``times`` (T,)."""
    frequency, phase = rng.uniform(low, high, 5), rng.uniform(0, 2 * np.pi, 5)
    return np.sin(2 * np.pi * frequency * times[:, None] + phase).sum(1) * np.sqrt(2 / 5)


def _idle(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """What a silent mouth does, added to the articulators (T, articulators): it parts, closes, stretches, purses.

    Without it the first movement would mark the onset of speech.
    """
    parting = np.clip(0.22 * _wave(rng, times, 0.4, 2.2) + rng.uniform(-0.1, 0.15), -0.1, 0.6)
    idle = np.zeros((len(times), len(visemes.ARTICULATORS)))
    for articulator, movement in (
        ("lips", parting),
        ("jaw", 0.7 * np.clip(parting, 0, None) + 0.04 * _wave(rng, times, 0.3, 1.5)),
        ("width", 0.35 * _wave(rng, times, 0.3, 2.0)),
        ("round", np.clip(0.3 * _wave(rng, times, 0.3, 2.0), 0, None)),
        ("tongue", 0.2 * _wave(rng, times, 0.3, 2.0)),
    ):
        idle[:, visemes.ARTICULATORS.index(articulator)] = movement
    return idle


def _sensor(pictures: np.ndarray, spec: Spec) -> np.ndarray:
    """What the camera records of ``pictures``: noise of its own in every frame, then 8 bits.

    The noise is in brightness only: of noise in colour, video coding leaves little.
    """
    noise = np.float32(spec.noise) * spec.rng(_NOISE).standard_normal(pictures.shape[:3], dtype=np.float32)
    rows = (-1, spec.size)
    recorded = cv2.add(pictures.reshape(*rows, 3), cv2.merge([noise.reshape(rows)] * 3), dtype=cv2.CV_8U)
    return recorded.reshape(pictures.shape)
