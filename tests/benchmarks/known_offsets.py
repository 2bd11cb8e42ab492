"""How well a run that gives P(k) reads offsets that are known, by each way of reading it.

    python tests/benchmarks/known_offsets.py RUN DATA [--split test] [--checkpoint last]
        [--record FILE.json --what TEXT]

P(k) of every clip of DATA is read by its highest place, by a parabola through that and its neighbours, by its mean
around it, and by that mean with the corpus's own prior (``slts offsets corpus_prior=true``), which all splits make.
Printed of the clips of one split: R2, plain and around the constant, the constant, the mean error, plain and around
the median, and the share that is more than 40 ms from the median. ``--record`` adds the rows to a list in a file.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from slts.audio.mel import MEL_RATE
from slts.data.loader import evaluation_loader
from slts.data.shards import read_corpus_json
from slts.offsets.agreement import offset_agreement
from slts.offsets.peak import peak
from slts.offsets.prior import corpus_prior, most_likely, with_prior
from slts.systems.trained import load_run

STEP = 1000 / MEL_RATE
FIGURES = "R2", "R2 centred", "constant ms", "MAE ms", "MAE centred ms", "beyond 40 ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--checkpoint", default="best")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--what", default="")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = load_run(options.run, options.checkpoint)
    of_splits = {split: distributions(run, options.data, split) for split in read_corpus_json(options.data)["splits"]}
    p, truth = of_splits[options.split]
    prior = corpus_prior(np.concatenate([p for p, _ in of_splits.values()]))
    best, radius = p.argmax(1), p.shape[1] // 2
    curves = np.log(p + 1e-30)
    readings = {
        "highest": best - radius,
        "parabola": best - radius + np.array([peak(curve, index) for curve, index in zip(curves, best, strict=True)]),
        "mean around it": most_likely(p)[0],
        "with the prior": most_likely(with_prior(p, prior))[0],
    }
    print(f"{'':<16}" + "".join(f"{name:>16}" for name in FIGURES))
    rows = []
    for name, places in readings.items():
        figures = agreement(truth, STEP * places)
        print(f"{name:<16}" + "".join(f"{value:>16.3f}" for value in figures.values()))
        rows.append({"what": options.what, "seed": run.config.seed, "read by": name, **figures})
    if options.record:
        before = json.loads(options.record.read_text()) if options.record.exists() else []
        options.record.write_text(json.dumps(before + rows, indent=1) + "\n")


@torch.no_grad()
def distributions(run, data: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """P(k) (clips, 2 K + 1) and true offsets (clips,) in ms of a split."""
    p, truth = [], []
    for batch in track(evaluation_loader(run.dataset(data, split, any_speaker=True), 16), split):
        p.append(run.task.offsets(batch.to(run.device)).distribution.float().cpu().numpy())
        truth += batch.offset_ms.tolist()
    return np.concatenate(p), np.array(truth)


def agreement(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    known = offset_agreement(truth, found)
    error = np.abs(found - truth - np.median(found - truth))
    values = known["r2"], known["r2_centred"], known["bias_ms"], known["mae_ms"], error.mean(), (error > 40).mean()
    return {name: round(float(value), 4) for name, value in zip(FIGURES, values, strict=True)}


if __name__ == "__main__":
    main()
