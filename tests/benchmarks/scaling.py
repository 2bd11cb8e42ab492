"""Two training processes against one: clips a second of slts train on two cores.

    python tests/benchmarks/scaling.py data=DIR [--rounds N] [--steps N] [key=value ...]

Keys are those of slts train (experiment=cpu unless given). One process takes batch_size clips a step and two take twice
as many, one core each; they run in turn, round by round. The medians of train/clips_per_second without the first window
are printed, and the scaling: clips/s of two processes over twice those of one. Other load on the machine falls on two
processes harder than on one, so give it two idle cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from slts.config import compose  # noqa: E402


def clips_per_second(processes: int, steps: int, overrides: list[str]) -> float:
    """Median over the windows of one run but the first, which warms up caches and memory."""
    window = max(1, steps // 5)
    with tempfile.TemporaryDirectory() as runs:
        command = [
            sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes),
            "--main_process_port", "0", *(["--multi_gpu"] if processes > 1 else []), "slts/train.py", "name=scaling",
            f"runs={runs}", "tracking=none", f"steps={steps}", f"log_every={window}", f"validate_every={steps}",
            "validate_clips=1", *overrides,
        ]  # fmt: skip
        environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout[-2000:] + done.stderr[-3000:])
        rows = [json.loads(line) for line in (Path(runs) / "scaling" / "metrics.jsonl").read_text().splitlines()]
    assert f"{processes} process(es) on cpu" in done.stdout, done.stdout
    return float(np.median([r["value"] for r in rows if r["name"] == "train/clips_per_second" and r["step"] > window]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("overrides", nargs="+", metavar="key=value")
    options = parser.parse_args()
    overrides = ["experiment=cpu", *options.overrides]
    config, _ = compose("train", ["name=scaling", *overrides])
    overrides += [f"data={Path(config.data).resolve()}"]
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed")
    found = {1: [], 2: []}
    for _ in range(options.rounds):
        for processes, rates in found.items():
            rates.append(
                clips_per_second(processes, options.steps, [*overrides, f"batch_size={processes * config.batch_size}"])
            )
    one, two = (float(np.median(rates)) for rates in found.values())
    for processes, rates in found.items():
        print(f"{processes} process(es): {np.median(rates):.1f} clips/s, of {', '.join(f'{r:.1f}' for r in rates)}")
    print(f"two processes on two cores: {two / one:.2f} times one, scaling {two / one / 2:.1%}")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} (2.0 is what two processes make)")


if __name__ == "__main__":
    main()
