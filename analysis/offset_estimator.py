"""The evidence behind the shipped offset estimator, and its weights: from a run of task=matching.

python analysis/offset_estimator.py run=runs/matching data=SHARDS splits=val,test own=8 other=8 [most=CLIPS]
    [record=evidence.jsonl note=TEXT] [out=estimator.safetensors] [checkpoint=best] [degraded=true] [natural=CSV]

Prints the figures of people held out, by group; the confidence is calibrated on the people of the other folds. With
``record`` they become a line of a JSON file; with ``out`` the weights are written, calibrated on all people held out.
With ``degraded`` pictures are JPEGs of half the size at quality 25, and the sound is a telephone's, 10 dB above noise.
With ``natural``, a CSV of key and predicted_ms that another estimate left, errors are also printed against the injected
offset with what it found of the clip's own.
"""

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from omegaconf import OmegaConf
from scipy.signal import butter, sosfiltfilt

from slts.audio import SAMPLE_RATE
from slts.data.augmentation import Augmentation
from slts.data.batch import Batch
from slts.data.dataset import ShardDataset
from slts.offsets.estimator import OffsetEstimator
from slts.offsets.held_out import calibrated, figures, measure, told_by_others
from slts.offsets.trials import trials
from slts.systems.trained import load_run

RADIUS = 40
"""Mel frames searched to either side."""


def main(given: dict[str, str]) -> None:
    torch.set_num_threads(1)
    run = load_run(given["run"], given.get("checkpoint", "best"))
    picture = (run.config.model.image_size, run.config.model.channels)
    most = int(given["most"]) if "most" in given else None

    def batches():
        for split in given["splits"].split(","):
            dataset = ShardDataset(given["data"], split, *picture, Augmentation(run.config.augment.crop))
            for batch, facts in trials(
                dataset, split, int(given.get("own", 8)), int(given.get("other", 8)), True, most
            ):
                yield (degraded(batch) if given.get("degraded") == "true" else batch), facts

    found = measure(run.task, batches(), RADIUS)
    told = told_by_others(found, RADIUS)
    table = figures(found, told, lambda person: re.sub(r"^head\d+$", "heads", person))
    for name, row in table.items():
        print(name, json.dumps(row))
    if "natural" in given:
        with open(given["natural"], newline="") as file:
            say_beside({row["key"]: float(row["predicted_ms"]) for row in csv.DictReader(file)}, found)
    if "record" in given:
        fact = {"run": run.config.name, "step": run.step, "note": given.get("note", ""), "splits": given["splits"]}
        with Path(given["record"]).open("a") as file:
            file.write(json.dumps(fact | {"figures": table}) + "\n")
    if "out" in given:
        config = {name: OmegaConf.to_container(run.config[name]) for name in ("model", "task")}
        estimator = OffsetEstimator(run.task, config, calibrated(found, RADIUS))
        estimator.save(given["out"])
        print(f"{given['out']}: {Path(given['out']).stat().st_size / 1e6:.2f} MB, {estimator.calibration}")


def say_beside(natural: dict[str, float], found: dict[str, np.ndarray]) -> None:
    """Mean and median errors around the median of the clips of which there is another estimate."""
    own = np.array([natural.get(str(key), np.nan) for key in found["key"]])
    known = (found["kind"] == "own") & np.isfinite(own)
    raw = found["found_ms"] - found["truth_ms"]
    for name, error in (("injected", raw), ("injected and own", raw - own), ("nothing but own", own)):
        size = np.abs(error[known] - np.median(error[known]))
        print(f"{known.sum()} trials against {name}: mean {size.mean():.1f} ms, median {np.median(size):.1f} ms")


def degraded(batch: Batch) -> Batch:
    """The batch as a bad connection passes it on; noise does not depend on anything but the batch's size."""
    rng = np.random.default_rng(0)
    video = batch.video.numpy().copy()
    for picture in video.reshape(-1, *video.shape[-2:]):
        small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 25])
        picture[:] = cv2.resize(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE), picture.shape[::-1])
    sound = batch.audio.numpy()
    band = butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE, output="sos")
    sound = sosfiltfilt(band, sound).astype(np.float32)
    level = np.sqrt(np.square(sound).mean(1, keepdims=True))
    sound = sound + 10**-0.5 * level * rng.standard_normal(sound.shape, np.float32)
    return replace(batch, video=torch.from_numpy(video), recorded=torch.from_numpy(sound))


if __name__ == "__main__":
    main(dict(argument.split("=", 1) for argument in sys.argv[1:]))
