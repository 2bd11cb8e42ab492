"""How well a run of task=lipsync_expert tells windows in sync from windows of the same clip that are not.

    python tests/benchmarks/lipsync_expert.py RUN [DATA] [--split val] [--windows 16] [--record FILE]

Prints accuracy at the cosine 0.5 and at the best threshold, and the AUC of the cosine, over random windows of every
clip of the split; then the same where every clip hears the next clip's sound: chance, but for what clips have in common
(GRID's begin and end in silence). Offsets that were injected are taken out first, however the run was trained. What the
notebook analysis/wav2lip.ipynb reads of it, with the loss of the training by step, is added to the record FILE; without
DATA the loss alone is.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from slts.data.loader import evaluation_loader
from slts.data.shards import read_corpus_json
from slts.json_lines import read_rows
from slts.reporting.records import read_record, write_record
from slts.systems.lipsync_expert.sound_lead import NONE, TRUTH, SoundLead
from slts.systems.trained import TrainedRun, load_run
from slts.training.run_directory import RunDirectory


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a pair in sync has the larger score."""
    ranks, count = rankdata(score), positive.sum()
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


def told_apart(run: TrainedRun, data: str, split: str, windows: int, wrong: bool) -> dict[str, float]:
    found = []
    with torch.no_grad():
        for batch in evaluation_loader(run.dataset(Path(data), split, any_speaker=True), 16):
            batch = batch.to(run.device)
            if wrong:
                batch = replace(batch, recorded=batch.audio.roll(1, 0))
            found.append(torch.stack(run.task.pairs(batch, windows)))
    cosine, in_sync, counts = torch.cat(found, 1).cpu().numpy()
    cosine, in_sync = cosine[counts > 0], in_sync[counts > 0] > 0.5
    levels = np.quantile(cosine, np.linspace(0, 1, 101))
    return {
        "windows": len(cosine),
        "accuracy": float(((cosine > 0.5) == in_sync).mean()),
        "at_the_best_threshold": max(float(((cosine > level) == in_sync).mean()) for level in levels),
        "auc": auc(cosine, in_sync),
    }


def training(directory: RunDirectory) -> dict:
    """What a run was, and its loss by step, also of one that was cut off before it left a checkpoint."""
    config, corpus = directory.config(), directory.corpus()
    curve = [
        [row["step"], round(row["value"], 4)] for row in read_rows(directory.metrics) if row["name"] == "loss/cosine"
    ]
    return {
        "run": config.name, "corpus": corpus["name"], "inject": corpus["config"].get("inject"),
        "frames": config.task.frames, "sync": config.task.sync, "seed": config.seed, "step": curve[-1][0],
        "width": config.model.width, "image_size": config.model.image_size, "loss": curve,
    }  # fmt: skip


def judged(path: str, data: str, split: str, windows: int) -> dict:
    run = load_run(path)
    found = {"step": run.step, "split": split}
    injected = read_corpus_json(Path(data))["config"].get("inject", "none") != "none"
    run.task.sound_lead = SoundLead({"sync": TRUTH if injected else NONE})
    torch.manual_seed(0)
    for name, wrong in (("own_sound", False), ("wrong_sound", True)):
        found[name] = told_apart(run, data, split, windows, wrong)
        print(f"{name:>12}: " + ", ".join(f"{what} {value:.4g}" for what, value in found[name].items()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data", nargs="?")
    parser.add_argument("--split", default="val")
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    found = judged(given.run, given.data, given.split, given.windows) if given.data else {}
    row = training(RunDirectory(Path(given.run))) | found
    print(f"{row['run']}: loss {row['loss'][-1][1]} at step {row['loss'][-1][0]}")
    if given.record:
        others = [other for other in read_record(given.record, []) if other["run"] != row["run"]]
        write_record([*others, row], given.record)


if __name__ == "__main__":
    main()
