"""Runs with the sounds or videos that ``slts evaluate`` leaves, and a listening test of them."""

from pathlib import Path

import numpy as np
import soundfile

from slts.config import compose
from slts.evaluation.films import write_film
from slts.listening.building import build
from slts.listening.plan import Plan, load_plan

SYSTEMS = ("quixotic", "zephyrine")
"""Names of runs that no page and no program would have by chance."""
SOFT, LOUD = 0.02, 0.2


def noise(seed: int, seconds: float, size: float) -> np.ndarray:
    return (size * np.random.default_rng(seed).standard_normal(int(seconds * 16000))).clip(-1, 1)


def write_runs(folder: Path, clips: int = 7, seconds: float = 0.3) -> list[str]:
    """Runs whose sounds are soft in one and loud in the other; returns their paths."""
    for number, name in enumerate(SYSTEMS):
        samples = folder / name / "samples" / "test"
        samples.mkdir(parents=True)
        (folder / name / "config.yaml").write_text("task: {name: slts}\n")
        for clip in range(clips):
            key, size = f"walrus-{clip:03}", (SOFT, LOUD)[number]
            soundfile.write(samples / f"{key}.wav", noise(10 * clip + number, seconds, size), 16000)
            soundfile.write(samples / f"{key}-recorded.wav", noise(10 * clip + 9, seconds, 0.1), 16000)
    return [str(folder / name) for name in SYSTEMS]


def write_drawn_runs(folder: Path, split: str, clips: int = 2, seconds: float = 0.4) -> list[str]:
    """Runs whose videos show a black recorded half and a drawn one, grey in the first run and white in the other."""
    for name, bright in zip(SYSTEMS, (128, 255), strict=True):
        samples = folder / name / "samples" / split
        samples.mkdir(parents=True)
        (folder / name / "config.yaml").write_text("task: {name: wav2lip}\n")
        for clip in range(clips):
            recorded = np.zeros((int(25 * seconds), 3, 16, 16), np.uint8)
            write_film(samples / f"walrus-{clip}.mp4", [recorded, recorded + bright], 25.0, noise(clip, seconds, 0.1))
    return [str(folder / name) for name in SYSTEMS]


def make_test(out: Path, runs: list[str], *keys: str) -> Plan:
    build(compose("listen", [f"runs=[{','.join(runs)}]", f"out={out}", *keys])[0], out)
    return load_plan(out)


def plausible(plan: Plan, rater, step: int, chosen=lambda clip, aspect: 3) -> dict:
    """An answer to a step as the page would send it; attention checks are passed."""
    kind, clips = rater.steps[step].kind, [plan.clips[place] for place in rater.steps[step].clips]
    answers = {"consent": {"agreed": True}, "setup": {"device": "headphones"}, "choice": {"preference": 0}}
    answers |= {"remark": {"remark": "=1+1"}}
    answer = answers.get(kind) or {aspect: clips[0].says or chosen(clips[0], aspect) for aspect in plan.rated}
    return {"step": step, "answer": answer, "plays": [1] * len(clips), "seconds": 1.5}
