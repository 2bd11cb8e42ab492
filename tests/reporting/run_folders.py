"""Run directories as slts train and slts evaluate leave them, written by hand."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import soundfile
import yaml

from slts import __version__
from slts.evaluation.results import CLIP_COLUMNS
from slts.metrics.columns import SCORES

GRID_4S = ["s1", "s2", "s29", "s4"]


def corpus_json(name="synthetic", speakers=("v1", "v2"), clips=(20, 4, 4), digest=None, **config) -> dict:
    splits = {
        split: {"clips": count, "hours": count / 1000, "speakers": len(speakers)}
        for split, count in zip(("train", "val", "test"), clips, strict=True)
        if count
    }
    settings = {"corpus": name, **config}
    digest = digest or f"{abs(hash(json.dumps([name, list(speakers), clips, settings]))):012x}"[:12]
    return {"name": name, "hash": digest, "splits": splits, "speakers": list(speakers), "config": settings}


def result(corpus: dict, variant="paper", split="test", **figures) -> dict:
    """A result row of today's version with some plausible figures."""
    scores = {"stoi": 0.5, "estoi": 0.3, "pesq": 1.5, "mcd": 40.0, "a_stoi": 0.7, "a_estoi": 0.5, "a_pesq": 1.6}
    row = {"task": "slts", "variant": variant, "corpus": corpus["name"], "split": split, "sync": "none", "step": 6}
    row |= {"clips": 4, "failed": 0, **scores, "a_mcd": 30.0, "w_wer": None, "k_wer": None}
    row |= {"offset_r2_frontend": 0.9, "offset_r2_syncnet": None, "offset_r2_truth": 0.8}
    return row | {"corpus_hash": corpus["hash"], "version": __version__} | figures


def write_run(folder: Path, corpus: dict | None, rows: list[dict | str], variant="paper") -> Path:
    """config.yaml, corpus.json (unless None) and results.jsonl (unless there are no rows)."""
    folder.mkdir(parents=True)
    task, model, vocoder = {"name": "slts"}, {"name": "small"}, {"name": "griffin_lim"}
    config = {"task": task, "variant": variant, "model": model, "vocoder": vocoder, "steps": 6}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if corpus:
        (folder / "corpus.json").write_text(json.dumps(corpus))
    if rows:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def write_clips(folder: Path, row: dict, frontend: list[float], truth: list[float], found: list[float | None]) -> None:
    """clips-SPLIT.csv of clips whose scores have the row's means, and sound and picture of the first."""
    with (folder / f"clips-{row['split']}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, CLIP_COLUMNS)
        writer.writeheader()
        for i, (heard, true, dsm) in enumerate(zip(frontend, truth, found, strict=True)):
            sign = 0 if len(truth) % 2 and i == len(truth) - 1 else (-1) ** i
            scores = {name: row[name] + 0.05 * sign for name in SCORES if name in row}
            offsets = {"frontend_offset_ms": heard, "offset_ms": true, "dsm_offset_ms": dsm, "confidence": 0.8}
            writer.writerow({"key": f"v{i % 2 + 1}-{i:05d}-x", **scores, **offsets})
    samples = folder / "samples" / row["split"]
    samples.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name in ("v1-00000-x", "v1-00000-x-recorded"):
        soundfile.write(samples / f"{name}.wav", 0.1 * rng.standard_normal(16000), 16000)
    cv2.imwrite(str(samples / "v1-00000-x.png"), rng.integers(0, 255, (60, 90, 3), np.uint8))
