"""What scoring costs a validation: exact scores in the training process against batched float32 STOI.

    python tests/benchmarks/validation.py [clips]

The batched one (slts.audio.stoi, on the device in training) leaves silent frames in, so it is another number; its
difference from the exact score is printed.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from metric_clips import speech_like  # noqa: E402

from slts.audio.stoi import short_time_intelligibility  # noqa: E402
from slts.metrics import score_pairs  # noqa: E402

NAMES = ("stoi", "a_stoi", "a_estoi")


def main(clips: int = 60) -> None:
    torch.set_num_threads(1)
    pairs = [(speech_like(seed), speech_like(seed, noise=0.05)) for seed in range(clips)]
    score_pairs(pairs[:2], metrics=NAMES)
    start = time.process_time()
    rows = score_pairs(pairs, metrics=NAMES)
    exact = time.process_time() - start
    start = time.process_time()
    batched = []
    for first in range(0, clips, 32):
        both = zip(*pairs[first : first + 32], strict=True)
        batched += short_time_intelligibility(*(torch.from_numpy(np.stack(side)) for side in both)).tolist()
    quick = time.process_time() - start
    print(f"{clips} clips of 3 s, CPU time on one core")
    for name, seconds in ((f"exact {', '.join(NAMES)}", exact), ("batched float32 STOI", quick)):
        print(f"{name:<30}{seconds:>7.2f} s{1000 * seconds / clips:>7.1f} ms a clip")
    difference = np.array(batched) - [row["stoi"] for row in rows]
    print(f"batched less exact STOI: mean {difference.mean():+.3f}, largest {np.abs(difference).max():.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
