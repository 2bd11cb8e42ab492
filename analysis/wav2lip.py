"""Wav2Lip, its experts by window, and its controls on faces: the runs behind wav2lip.ipynb, and their records.

python analysis/wav2lip.py folder=runs/wav2lip data=data/faces syncnet=RUN [seeds=0,1] [expert_steps=1200]
    [steps=1500] [more=500] [windows=3,1] [record=analysis/wav2lip]

Of each seed: an expert with a window of 5 pictures; a generator that learns by L1 alone for ``steps``; and what goes on
from it for ``more``: by L1 still (the control), with the expert frozen, with the expert as it learns on, and with the
quality net; each is scored on the test split beside the controls, the first two with another clip's sound as well. Then
the experts of other windows. Everything is made by the commands that a user has. What is done is not done again: given
once more, it goes on. ``experts.json`` and ``drawn.json`` are written anew after every run.
"""

from pathlib import Path

from commands import arguments, python, slts, train

from slts.reporting.lip_sync import drawn_rows
from slts.reporting.records import write_record
from slts.training.evaluation_name import evaluation_name

BENCHMARK = Path(__file__).resolve().parents[1] / "tests/benchmarks/lipsync_expert.py"
EVERY = "log_every=10"
OF_OTHERS = ("l1", "expert")
"""Generators that are scored as they say another clip's sentence, too."""
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
    folder, data, more = Path(given["folder"]), Path(given["data"]), int(given.get("more", 500))
    seeds = given.get("seeds", "0,1").split(",")
    for seed in seeds:
        judge = expert(folder, data, FRAMES, seed, given)
        usual = ("experiment=wav2lip_cpu", f"seed={seed}", EVERY)
        begun = train(folder / f"begun-{seed}", data, given.get("steps", 1500), *usual)
        # At 0.3 of the rate, as other systems go on from their base.
        goes_on = (*usual, f"warm_start={begun}", "optim.learning_rate=3.0e-4", f"optim.warmup_steps={more // 20}")
        for name, keys in GENERATORS.items():
            told = [key.format(expert=judge) for key in keys]
            run = train(folder / f"{name}-{seed}", data, more, *goes_on, *told)
            for protocol in ("own", "random") if name in OF_OTHERS else ("own",):
                if not (run / f"clips-{evaluation_name('test', protocol=protocol)}.csv").exists():
                    told = ("checkpoint=last", "workers=1", f"syncnet={given['syncnet']}", f"protocol={protocol}")
                    slts("evaluate", f"run={run}", f"data={data}", *told)
            rows = [{key: row[key] for key in row if kept(row[key])} for row in drawn_rows(folder)]
            write_record(rows, Path(given.get("record", folder)) / "drawn.json")
    for seed in seeds:
        for frames in map(int, given.get("windows", "3,1").split(",")):
            expert(folder, data, frames, seed, given)


def expert(folder: Path, data: Path, frames: int, seed: str, given: dict[str, str]) -> Path:
    steps, record = given.get("expert_steps", 1200), Path(given.get("record", folder))
    keys = ("experiment=lipsync_expert_cpu", f"task.frames={frames}", f"seed={seed}", EVERY)
    run = train(folder / f"expert{frames}-{seed}", data, steps, *keys)
    judged = run / "judged"
    if not judged.exists():
        python(BENCHMARK, run, data, "--split", "test", "--windows", "32", "--record", record / "experts.json")
        judged.touch()
    return run


def kept(value: object) -> bool:
    return isinstance(value, (str, int, float)) and value == value


if __name__ == "__main__":
    main(arguments())
