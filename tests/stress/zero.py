"""DDP, ZeRO-1 and ZeRO-2 on two CPU processes: equal losses, and exact resume under ZeRO.

``python tests/stress/zero.py [--steps 20] [--modes two_cpus zero1 zero2] [--data FOLDER]``; needs g++ and ninja.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from launched import differences, generated_corpus, launch


def losses(run: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["value"] for row in rows if row["name"] == "loss/total"}


def train(mode: str, runs: Path, data: Path, name: str, steps: int) -> Path:
    keys = [f"data={data}", f"runs={runs}", f"name={name}", f"steps={steps}", f"validate_every={steps // 2}"]
    done = launch(mode, 2, *keys, "workers=0")
    if done.returncode:
        sys.exit(f"{mode} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return runs / name


def resumed(mode: str, run: Path, data: Path, steps: int) -> list[str]:
    """What differs when the run is continued from its middle."""
    again = run.with_name(f"{run.name}-again")
    shutil.copytree(run, again, symlinks=True)
    shutil.rmtree(again / "checkpoints" / f"step-{steps:08d}")
    train(mode, run.parent, data, again.name, steps)
    return differences(run, again)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--modes", nargs="+", default=["two_cpus", "zero1", "zero2"])
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        data = given.data or generated_corpus(runs / "data")
        found = {mode: losses(train(mode, runs, data, mode, given.steps)) for mode in given.modes}
        for step in range(1, given.steps + 1):
            print(f"step {step:3d}  " + "  ".join(f"{mode} {values[step]:.6f}" for mode, values in found.items()))
        first, *others = found.values()
        worst = max(abs(first[step] - other[step]) for other in others for step in first)
        print(f"largest difference {worst:.1e} over {len(first)} steps")
        changed = resumed(given.modes[-1], runs / given.modes[-1], data, given.steps)
        print(f"{given.modes[-1]} resumed: {', '.join(changed[:5]) or 'bit-identical'}")
        good = worst < 5e-5 and len(first) == given.steps and not changed
        print(f"{', '.join(found)}: {'equal to 4 decimals' if good else 'NOT equal'}")
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
