"""A new test: chooses clips, brings them to one level, hides whose they are, and plans what each rater hears."""

import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import cycle, islice, product
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from slts.data.media import encode_h264, mux, write_sound
from slts.errors import UserError
from slts.files import write_whole
from slts.folders import read_plain
from slts.listening.aspects import OF_PICTURES, OF_SOUND, ONLY_PICTURES
from slts.listening.attention import NUMBERS, instruction
from slts.listening.level import active_level, common_level, levelled
from slts.listening.plan import Plan, PlannedClip, Rater, new_token, steps_of
from slts.listening.systems import System, common_keys, is_video, refuse_other_recordings, systems_of

CLIPS, PAGE = "clips", "page.html"
"""What a test holds besides its plan and its answers."""
RUNNING = ("out", "serve", "host", "port", "webmushra")
"""Keys that may differ when a test is gone on with."""
LONGEST = 20000
"""Bytes of a text of the owner's."""
CONSENT = """Thank you for taking part.

You will hear short clips of speech and say what you think of them. Some were recorded and some were made by a computer.
There are no right answers.

Your answers are kept together with the time at which you gave them. Your name, your address and your device are not
asked for and not kept. Taking part is voluntary: you can stop at any time, and go on later at the same link.
"""


def asked_of(config: DictConfig) -> dict:
    """The settings that make a test."""
    asked = OmegaConf.to_container(config)
    assert isinstance(asked, dict)
    return {key: value for key, value in asked.items() if key not in RUNNING}


def build(config: DictConfig, out: Path) -> list[str]:
    """Leaves a new test in ``out``, which is there whole or not at all, and gives what is to be said of it.

    Raises:
        UserError: what ``runs`` left does not make the test that was asked for, or ``out`` holds something else.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"out={out} holds something that is no listening test; give the name of a new folder")
    consent = _consent(config.consent)
    systems = systems_of(list(config.runs), config.split, config.reference)
    aspects = _aspects(config.aspects, is_video(next(iter(systems[0].clips.values()))))
    keys, spare = _chosen(systems, config)
    for key in keys:
        refuse_other_recordings(systems, key)
    names = [one.name for one in systems]
    training = list(zip(cycle(spare or keys), islice(cycle(names), config.training), strict=False))
    pairs = dict.fromkeys([*product(keys, names), *training])
    checks = NUMBERS if config.check_every else ()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name[:40]}.", suffix=".tmp") as temporary:
        made = Path(temporary, "test")
        made.mkdir()
        clips, notes = _write_clips(made / CLIPS, systems, list(pairs), checks, config.seed)
        raters = []
        for number in range(config.raters):
            token = new_token()
            steps = steps_of(clips, keys, names, training, aspects, config.check_every, config.seed, number, token)
            raters.append(Rater(f"r{number + 1:02}", token, steps))
        write_whole(made / PAGE, (files("slts.listening") / PAGE).read_bytes())
        Plan(asked_of(config), f"test{secrets.token_hex(3)}", aspects, consent, clips, tuple(raters)).save(made)
        if out.exists():
            out.rmdir()
        made.rename(out)
    return notes


def _consent(file: str | None) -> str:
    if file is None:
        return CONSENT
    try:
        return read_plain(Path(file), LONGEST)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"consent={file}: {reason}; give a text file of at most {LONGEST} bytes in UTF-8") from None


def _aspects(asked: list[str] | None, pictures: bool) -> tuple[str, ...]:
    aspects = tuple(dict.fromkeys(asked or (OF_PICTURES if pictures else OF_SOUND)))
    if not pictures and (seen := [name for name in aspects if name in ONLY_PICTURES]):
        raise UserError(f"aspects={seen[0]} is of videos, and runs= left sounds; {', '.join(OF_SOUND)} are of these")
    return aspects


def _chosen(systems: list[System], config: DictConfig) -> tuple[list[str], list[str]]:
    """Keys of the clips that are rated, and of others for training, as many as there are."""
    common = common_keys(systems)
    if len(common) < config.clips:
        raise UserError(
            f"clips={config.clips}: {len(common)} clips of {config.split} have a sound in all of runs=; give"
            f" clips={len(common)} or less, or slts evaluate run=... show={config.clips + config.training} for each"
        )
    keys = [str(key) for key in np.random.default_rng(config.seed).permutation(common)]
    return keys[: config.clips], keys[config.clips : config.clips + config.training]


def _write_clips(
    folder: Path, systems: list[System], pairs: list[tuple[str, str]], checks: Sequence[int], seed: int
) -> tuple[tuple[PlannedClip, ...], list[str]]:
    """Every version at one level under a number that tells nothing, and a clip for every number of ``checks``.

    Args:
        pairs: (key, system) of the versions; the first is what was recorded of its key.
    """
    of = {one.name: one for one in systems}
    sounds = {pair: _sound(of[pair[1]], pair[0]) for pair in pairs}
    voices = {number: instruction(number) for number in checks}
    level = common_level([*sounds.values(), *voices.values()])
    silent = [pair for pair, audio in sounds.items() if active_level(audio) == -np.inf]
    notes = [f"{len(silent)} clips are silent, such as {silent[0][0]} of {silent[0][1]}"] if silent else []
    told = [PlannedClip("", key, system) for key, system in pairs] + [PlannedClip("", says=number) for number in checks]
    numbers = np.random.default_rng(seed).permutation(len(told)).tolist()
    first, clips = of[pairs[0][1]], []
    folder.mkdir()
    for clip, number in zip(told, numbers, strict=True):
        system, key = (first, pairs[0][0]) if clip.says else (of[clip.system], clip.key)
        audio = levelled(voices[clip.says] if clip.says else sounds[key, clip.system], level)
        file = folder / f"{number:03}{'.mp4' if is_video(system.clips[key]) else '.wav'}"
        if is_video(system.clips[key]):
            seen = system.read(key)
            height, width = (side // 2 * 2 for side in seen.frames.shape[1:3])  # as the encoder wants them
            mux(encode_h264(seen.frames[:, :height, :width], seen.fps), audio, file)
        else:
            write_sound(file, audio)
        clips.append(replace(clip, file=file.name))
    return tuple(clips), notes


def _sound(system: System, key: str) -> np.ndarray:
    """(N,) at 16 kHz. Raises UserError where there is nothing to hear."""
    audio = system.read(key).audio
    if not audio.size or not np.isfinite(audio).all():
        raise UserError(f"{system.clips[key]}: {'not finite' if audio.size else 'empty'}; evaluate {system.name} again")
    return audio
