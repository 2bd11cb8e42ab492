"""Wav2Lip on a corpus of faces, its expert by window, and its controls: the runs behind wav2lip.ipynb, and their records.

python analysis/wav2lip.py folder=runs/wav2lip data=data/faces [seeds=0,1] [expert_steps=1500] [steps=600]
    [windows=5,3,1] [record=analysis/wav2lip]

Of each seed: experts with windows of 5, 3 and 1 pictures; a generator without an expert, with that of 5, with one of
random weights, with that of 5 as it learns on, and with the quality net; each scored on the test split beside the
controls. Everything is made by the commands that a user has. What is done is not done again: given once more, it goes
on. ``experts.json`` and ``drawn.json`` are written anew after every run.
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
GENERATORS = {
    "plain": (),
    "expert": ("task.expert={expert}",),
    "fine_tuned": ("task.expert={expert}", "variant=fine_tuned_expert"),
    "quality": ("task.expert={expert}", "variant=with_quality"),
}


def main(given: dict[str, str]) -> None:
    folder, data, steps = Path(given["folder"]), Path(given["data"]), given.get("steps", "600")
    record = Path(given.get("record", folder))
    seeds = given.get("seeds", "0,1").split(",")
    for seed in seeds:
        expert(folder, data, FRAMES, seed, record, given)
        for name, keys in GENERATORS.items():
            of_expert = [key.format(expert=folder / f"expert{FRAMES}-{seed}") for key in keys]
            run = train(folder, f"{name}-{seed}", data, steps, "experiment=wav2lip_cpu", f"seed={seed}", *of_expert)
            if not (run / "results.jsonl").exists():
                slts("evaluate", f"run={run}", f"data={data}", "checkpoint=last", "show=2", "workers=1")
            rows = [{key: row[key] for key in row if told(row[key])} for row in drawn_rows(folder)]
            write_record(rows, record / "drawn.json")
    for seed in seeds:
        for frames in map(int, given.get("windows", "3,1").split(",")):
            expert(folder, data, frames, seed, record, given)


def expert(folder: Path, data: Path, frames: int, seed: str, record: Path, given: dict[str, str]) -> None:
    steps = given.get("expert_steps", "1500")
    keys = ("experiment=lipsync_expert_cpu", f"task.frames={frames}", f"seed={seed}")
    run = train(folder, f"expert{frames}-{seed}", data, steps, *keys)
    judged = run / "judged"
    if not judged.exists():
        python(BENCHMARK, run, data, "--split", "test", "--windows", "32", "--record", record / "experts.json")
        judged.touch()


def told(value: object) -> bool:
    return isinstance(value, (str, int, float)) and value == value


def train(folder: Path, name: str, data: Path, steps: str, *keys: str) -> Path:
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
