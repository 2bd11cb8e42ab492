"""An estimator on people held out: errors, coverage, what it says of wrong sounds, and its calibration."""

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import torch
from rich.progress import track

from slts.audio.mel import MEL_RATE
from slts.data.batch import Batch
from slts.offsets.confidence import REACH, Calibration, evidence, fit
from slts.offsets.trials import CONTROLS, Trial
from slts.systems.matching.network import peak, profile
from slts.systems.matching.task import MatchingTask

TOLERANCE_MS = 80
"""An offset further from the person's median is wrong."""
TOLD = 0.02
"""Share of the wrong sounds, and of the wrong offsets, that may be told at the threshold."""
FOLDS = 5
STEP = 1000 / MEL_RATE


@torch.no_grad()
def measure(task: MatchingTask, batches: Iterable[tuple[Batch, list[Trial]]], radius: int) -> dict[str, np.ndarray]:
    """Trials with what was found: ``person, key, split, kind, truth_ms, seconds, found_ms`` (n,), ``evidence`` (n, 6)
    and ``profile`` (n, 2 REACH + 1)."""
    rows: dict[str, list] = {}
    for batch, facts in track(batches, "measuring"):
        lips, sound, frames = task.embed_both(batch)
        curve = profile(lips, sound, frames, REACH)
        backwards = torch.stack([_backwards(one, int(n)) for one, n in zip(sound, frames, strict=True)])
        chance = profile(lips, backwards, frames, REACH)
        found = STEP * peak(curve[:, REACH - radius : REACH + radius + 1])
        columns = {name: [getattr(fact, name) for fact in facts] for name in Trial.__dataclass_fields__}
        columns |= {"found_ms": found.numpy(), "profile": curve.numpy()}
        columns["evidence"] = evidence(curve.numpy(), chance.numpy(), frames.numpy(), radius)
        for name, values in columns.items():
            rows.setdefault(name, []).extend(values)
    return {name: np.array(values) for name, values in rows.items()}


def _backwards(sound: torch.Tensor, count: int) -> torch.Tensor:
    return torch.cat([sound[:count].flip(0), sound[count:]])


def errors_ms(found: dict[str, np.ndarray]) -> np.ndarray:
    """(n,) found less injected offset less the person's median of that; NaN for controls."""
    raw = found["found_ms"] - found["truth_ms"]
    medians = {person: np.nanmedian(raw[found["person"] == person]) for person in set(found["person"])}
    return raw - np.array([medians[person] for person in found["person"]])


def calibrated(found: dict[str, np.ndarray], radius: int, who: np.ndarray | None = None) -> Calibration:
    """A calibration on the trials ``who`` (n,) bool (None: all of them).

    The threshold is the lowest at which at most TOLD of the wrong sounds are told, and at most TOLD of the told offsets
    of own sounds are wrong. Every person weighs the same, right and wrong trials weigh the same.
    """
    who = np.ones(len(found["kind"]), bool) if who is None else who
    error = errors_ms(found)[who]
    part = {name: values[who] for name, values in found.items()}
    own = part["kind"] == "own"
    right = own & (np.abs(np.nan_to_num(error, nan=1e3)) <= TOLERANCE_MS)
    weight = np.zeros(len(right))
    for group in (right, ~right):
        for person in set(part["person"][group]):
            mine = group & (part["person"] == person)
            weight[mine] = 1 / mine.sum()
        weight[group] /= max(weight[group].sum(), 1e-9)
    weights, bias = fit(part["evidence"], right, weight)
    trial = Calibration(weights, bias, 0.0, radius)
    sure = trial.confidence(part["evidence"])
    threshold = 1.0
    for candidate in np.sort(np.unique(sure))[::-1]:
        told = sure >= candidate
        other = part["kind"] == "other"
        if told[other].mean() > TOLD or (told & own & ~right).sum() > TOLD * (told & own).sum():
            break
        threshold = float(candidate)
    raw = (part["found_ms"] - part["truth_ms"])[own]
    constant = float(np.median([np.median(raw[part["person"][own] == p]) for p in set(part["person"][own])]))
    return Calibration(weights, bias, threshold, radius, constant)


def told_by_others(found: dict[str, np.ndarray], radius: int) -> np.ndarray:
    """(n,) whether each trial's offset is told, by a calibration on the people of the other folds."""
    numbers = {person: int(hashlib.sha256(str(person).encode()).hexdigest(), 16) for person in set(found["person"])}
    fold = np.array([numbers[person] % FOLDS for person in found["person"]])
    told = np.zeros(len(fold), bool)
    for number in range(FOLDS):
        calibration = calibrated(found, radius, fold != number)
        mine = fold == number
        told[mine] = calibration.confidence(found["evidence"][mine]) >= calibration.threshold
    return told


def figures(found: dict[str, np.ndarray], told: np.ndarray, group: Callable[[str], str]) -> dict[str, dict]:
    """What to print of each group of people: name -> figure; errors are about each person's median."""
    groups = np.array([group(str(person)) for person in found["person"]])
    error, raw = errors_ms(found), found["found_ms"] - found["truth_ms"]
    table = {}
    for name in sorted(set(groups)):
        own = (groups == name) & (found["kind"] == "own")
        size = np.abs(error[own])
        around = np.abs(raw[own] - np.median(raw[own]))
        row = {
            "people": len(set(found["person"][own])),
            "trials": int(own.sum()),
            "constant_ms": np.median(raw[own]),
            "median_error_ms": np.median(size),
            "mae_ms": size.mean(),
            **{f"within_{limit}_ms": (size <= limit).mean() for limit in (20, 40, 80)},
            "within_40_ms_of_constant": (around <= 40).mean(),
            "told": told[own].mean(),
            "told_mae_ms": size[told[own]].mean() if told[own].any() else None,
            "told_beyond_80_ms": (size[told[own]] > TOLERANCE_MS).mean() if told[own].any() else None,
        }
        for kind in CONTROLS:
            control = (groups == name) & (found["kind"] == kind)
            row[f"cannot_tell_{kind}"] = (~told[control]).mean() if control.any() else None
        table[name] = {k: v if v is None or isinstance(v, int) else round(float(v), 4) for k, v in row.items()}
    return table
