"""DDP, ZeRO-1 and ZeRO-2 on two CPU processes: equal losses, and exact resume under ZeRO.

``python tests/stress/zero.py [--steps 20] [--modes ddp zero1 zero2] [--data FOLDER] [key=value ...]``; needs g++ and
ninja. With ``variant=with_discriminators vocoder=univnet_c16 batch_size=2`` there is a critic too.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]
os.environ["OMP_NUM_THREADS"] = "1"

from ranks import Ranks, differences, generated_corpus  # noqa: E402

MODES = {
    "ddp": {},
    "zero1": {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "1"},
    "zero2": {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"},
}


PAPER = ("optim.learning_rate=5e-4", "optim.warmup_steps=1000")
"""The modes add gradients in different orders. At the cpu experiment's rate, eighty times as high at the end of twenty
steps, training doubles such rounding every step (5e-2 at step 20)."""


def train(mode: str, runs: Path, name: str, steps: int, given: list[str]) -> Path:
    keys = [f"runs={runs}", f"name={name}", f"steps={steps}", f"validate_every={steps // 2}", "workers=0"]
    Ranks(2, runs / f"{name}.log", *keys, *PAPER, *given, **MODES[mode]).finish()
    return runs / name


def losses(run: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["value"] for row in rows if row["name"] == "loss/total"}


def resumed(mode: str, run: Path, steps: int, given: list[str]) -> list[str]:
    """What differs when the run is continued from its middle."""
    again = run.with_name(f"{run.name}-again")
    shutil.copytree(run, again, symlinks=True)
    shutil.rmtree(again / "checkpoints" / f"step-{steps:08d}")
    train(mode, run.parent, again.name, steps, given)
    return differences(run, again)


def compare(runs: Path, modes: list[str], steps: int, given: list[str]) -> bool:
    """Trains in every mode, resumes in the last, prints what came out and returns whether it is as it must be."""
    found = {mode: losses(train(mode, runs, mode, steps, given)) for mode in modes}
    first, *others = found.values()
    for step in first:
        print(f"step {step:3d}  " + "  ".join(f"{mode} {values[step]:.6f}" for mode, values in found.items()))
    worst = max(abs(first[step] - other[step]) for other in others for step in first)
    print(f"largest difference {worst:.1e} over {len(first)} steps")
    changed = resumed(modes[-1], runs / modes[-1], steps, given)
    print(f"{modes[-1]} resumed: {', '.join(changed[:5]) or 'bit-identical'}")
    good = worst < 5e-5 and len(first) == steps and not changed
    print(f"{', '.join(modes)}: {'equal to 4 decimals' if good else 'NOT equal'}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--modes", nargs="+", default=[*MODES], choices=[*MODES])
    parser.add_argument("--data", type=Path, help="shards; generated when not given")
    parser.add_argument("keys", nargs="*", metavar="key=value", help="of slts train")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or generated_corpus(Path(folder) / "data")
        return 0 if compare(Path(folder), given.modes, given.steps, [f"data={data}", *given.keys]) else 1


if __name__ == "__main__":
    sys.exit(main())
