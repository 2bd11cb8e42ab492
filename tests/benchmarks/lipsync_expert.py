"""How well a run of task=lipsync_expert tells windows in sync from windows of the same clip that are not.

    python tests/benchmarks/lipsync_expert.py RUN DATA [SPLIT] [WINDOWS]

Prints accuracy at the cosine 0.5 and at the best threshold, and the AUC of the cosine, over random windows of every
clip of the split; then the same where every clip hears the next clip's sound, which must be chance.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from slts.data.loader import evaluation_loader
from slts.systems.trained import load_run


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a pair in sync has the larger score."""
    ranks, count = rankdata(score), positive.sum()
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


def main(path: str, data: str, split: str = "val", windows: int = 16) -> None:
    run = load_run(path)
    torch.manual_seed(0)
    for wrong in (False, True):
        found = []
        with torch.no_grad():
            for batch in evaluation_loader(run.dataset(Path(data), split, any_speaker=True), 16):
                batch = batch.to(run.device)
                if wrong:
                    batch = replace(batch, recorded=batch.audio.roll(1, 0))
                found.append(torch.stack(run.task.pairs(batch, windows)))
        cosine, in_sync, counts = torch.cat(found, 1).cpu().numpy()
        cosine, in_sync = cosine[counts > 0], in_sync[counts > 0] > 0.5
        best = max(float(((cosine > level) == in_sync).mean()) for level in np.quantile(cosine, np.linspace(0, 1, 101)))
        plain = float(((cosine > 0.5) == in_sync).mean())
        print(
            f"{'wrong sound' if wrong else 'own sound':>12}: {len(cosine)} windows, accuracy {plain:.3f}, at the best"
            f" threshold {best:.3f}, AUC {auc(cosine, in_sync):.3f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:5]))
