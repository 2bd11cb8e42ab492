"""What any system on a corpus lies between: speech from the corpus's mean mel, and Griffin-Lim from the recorded mel.

python tests/benchmarks/floor_and_ceiling.py DATA [SPLIT]
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch

from slts.audio.griffin_lim import griffin_lim
from slts.audio.mel import log_mel
from slts.data.dataset import ShardDataset
from slts.data.shards import read_corpus_json
from slts.metrics import score_pairs, summarise


def main(data: Path, split: str = "val") -> None:
    mean = torch.tensor(read_corpus_json(data)["mel"]["mean"])
    dataset = ShardDataset(data, split, 32, 1)
    recorded = [dataset[0, i]["audio"].numpy() for i in range(len(dataset))]
    systems = {
        "mean mel": lambda audio: mean.expand(1, len(audio) // 160, -1),
        "recorded mel": lambda audio: log_mel(torch.from_numpy(audio)[None]),
    }
    metrics = ("stoi", "estoi", "pesq", "mcd", "a_stoi", "a_estoi")
    print(f"{data}, {split}, {len(recorded)} clips")
    print(f"{'':>14}" + "".join(f"{name:>9}" for name in metrics))
    for name, mel in systems.items():
        generated = [griffin_lim(mel(audio))[0].numpy().clip(-1, 1) for audio in recorded]
        rows = score_pairs(list(zip(recorded, map(np.asarray, generated), strict=True)), os.cpu_count(), metrics)
        means = summarise(rows)["means"]
        print(f"{name:>14}" + "".join(f"{means[m]:9.3f}" for m in metrics))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
