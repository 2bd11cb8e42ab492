"""How well a run of task=lipsync_expert tells windows in sync from windows of the same clip that are not.

    python tests/benchmarks/lipsync_expert.py RUN DATA [SPLIT] [WINDOWS] [RECORD]

Prints accuracy at the cosine 0.5 and at the best threshold, and the AUC of the cosine, over random windows of every
clip of the split; then the same where every clip hears the next clip's sound: chance, but for what clips have in common
(GRID's begin and end in silence). Offsets that were injected are taken out first, however the run was trained. What the
notebook analysis/wav2lip.ipynb reads of it, with the loss of the training by step, is added to the JSON list RECORD.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from slts.data.loader import evaluation_loader
from slts.data.shards import read_corpus_json
from slts.files import write_whole
from slts.systems.lipsync_expert.sound_lead import NONE, TRUTH, SoundLead
from slts.systems.trained import TrainedRun, load_run


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


def record(run: TrainedRun, figures: dict, file: Path) -> None:
    logged = [json.loads(line) for line in (run.directory.path / "metrics.jsonl").read_text().splitlines()]
    curve = [[row["step"], round(row["value"], 4)] for row in logged if row.get("name") == "loss/cosine"]
    config = run.config
    row = {
        "run": config.name, "corpus": run.corpus["name"], "inject": run.corpus["config"].get("inject"),
        "frames": config.task.frames, "sync": config.task.sync, "seed": config.seed, "step": run.step,
        "width": config.model.width, "image_size": config.model.image_size, **figures, "loss": curve,
    }  # fmt: skip
    rows = json.loads(file.read_text()) if file.exists() else []
    rows = [other for other in rows if other["run"] != row["run"]]
    write_whole(file, json.dumps([*rows, row], indent=1).encode())


def main(path: str, data: str, split: str = "val", windows: str = "16", file: str | None = None) -> None:
    run, figures = load_run(path), {"split": split}
    injected = read_corpus_json(Path(data))["config"].get("inject", "none") != "none"
    run.task.sound_lead = SoundLead({"sync": TRUTH if injected else NONE})
    torch.manual_seed(0)
    for name, wrong in (("own_sound", False), ("wrong_sound", True)):
        figures[name] = found = told_apart(run, data, split, int(windows), wrong)
        print(f"{name:>12}: " + ", ".join(f"{what} {value:.4g}" for what, value in found.items()))
    if file:
        record(run, figures, Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:6])
