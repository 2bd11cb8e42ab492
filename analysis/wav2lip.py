"""Wav2Lip, its experts by window, and its controls on faces: the runs behind wav2lip.ipynb, and their records.

python analysis/wav2lip.py folder=runs/wav2lip data=data/faces syncnet=RUN [seeds=0,1] [expert_steps=1200]
    [steps=1500] [more=500] [windows=3,1] [record=analysis/wav2lip]

Of each seed: an expert with a window of 5 pictures; a generator that learns by L1 alone for ``steps``; and what goes on
from it for ``more``: by L1 still (the control), with the expert frozen, with the expert as it learns on, and with the
quality net; each is scored on the test split beside the controls. Then the experts of other windows. Everything is made
by the commands that a user has. What is done is not done again: given once more, it goes on. ``experts.json`` and
``drawn.json`` are written anew after every run.
"""

import subprocess
import sys
import time
from pathlib import Path

from slts.reporting.lip_sync import drawn_rows
from slts.reporting.records import write_record

BENCHMARK = Path(__file__).resolve().parents[1] / "tests/benchmarks/lipsync_expert.py"
CPU = ("tracking=none", "keep_checkpoints=1", "log_every=10")
FRAMES = 5
"""T_v of the expert that generators are held to."""
HELD = ("task.expert={expert}", "task.sync_below=100", "task.loss.sync=0.03")
"""The sync loss counts from the first step on: it would not come below the published 0.75 by itself."""
GENERATORS = {
    "l1": (),
    "expert": HELD,
    "fine_tuned": (*HELD, "variant=fine_tuned_expert"),
    "quality": (*HELD, "variant=with_quality"),
}
"""What goes on from a generator that has learned by L1 alone, and what it is told."""


def main(given: dict[str, str]) -> None:
    folder, data = Path(given["folder"]), Path(given["data"])
    seeds = given.get("seeds", "0,1").split(",")
    more = int(given.get("more", 500))
    for seed in seeds:
        expert(folder, data, FRAMES, seed, given)
        begun = train(folder, f"begun-{seed}", data, given.get("steps", 1500), "experiment=wav2lip_cpu", f"seed={seed}")
        # At 0.3 of the rate, as other systems go on from their base.
        rates = ("optim.learning_rate=3.0e-4", f"optim.warmup_steps={more // 20}")
        for name, keys in GENERATORS.items():
            told = [key.format(expert=folder / f"expert{FRAMES}-{seed}") for key in keys]
            goes_on = ("experiment=wav2lip_cpu", f"seed={seed}", f"warm_start={begun}", *rates, *told)
            run = train(folder, f"{name}-{seed}", data, more, *goes_on)
            if not (run / "results.jsonl").exists():
                slts(
                    "evaluate",
                    f"run={run}",
                    f"data={data}",
                    "checkpoint=last",
                    "workers=1",
                    f"syncnet={given['syncnet']}",
                )
            rows = [{key: row[key] for key in row if kept(row[key])} for row in drawn_rows(folder)]
            write_record(rows, Path(given.get("record", folder)) / "drawn.json")
    for seed in seeds:
        for frames in map(int, given.get("windows", "3,1").split(",")):
            expert(folder, data, frames, seed, given)


def expert(folder: Path, data: Path, frames: int, seed: str, given: dict[str, str]) -> None:
    steps, record = given.get("expert_steps", 1200), Path(given.get("record", folder))
    keys = ("experiment=lipsync_expert_cpu", f"task.frames={frames}", f"seed={seed}")
    run = train(folder, f"expert{frames}-{seed}", data, steps, *keys)
    judged = run / "judged"
    if not judged.exists():
        python(BENCHMARK, run, data, "--split", "test", "--windows", "32", "--record", record / "experts.json")
        judged.touch()


def kept(value: object) -> bool:
    return isinstance(value, (str, int, float)) and value == value


def train(folder: Path, name: str, data: Path, steps: int | str, *keys: str) -> Path:
    if not (folder / name / "checkpoints" / f"step-{int(steps):08d}").is_dir():
        began = time.time()
        slts("train", f"data={data}", f"runs={folder}", f"name={name}", f"steps={steps}", *CPU, *keys)
        print(f"{folder / name}: {time.time() - began:.0f} s", flush=True)
    return folder / name


def slts(*arguments: object) -> None:
    python("-m", "slts.cli", *arguments)


def python(*arguments: object) -> None:
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    main(dict(argument.split("=", 1) for argument in sys.argv[1:]))
