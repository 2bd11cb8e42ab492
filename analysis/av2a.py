"""AV2A against its base and its controls, on generated clips: the runs behind av2a.ipynb, and their record.

python analysis/av2a.py folder=runs/av2a [seeds=0,1,2] [clips=600] [steps=400] [more=200] [record=analysis/av2a.json]

Of each seed: a base of ``steps`` steps; the control, which goes on from it for ``more``; AV2A on it for ``more`` by
each procedure; and AV2A by the first procedure that hears another clip's speech, or silence. Everything is made by the
commands that a user has. What is done is not done again: given once more, it goes on. The record is written anew after
every evaluation.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from slts.data.assembly import assemble_shard, facts_of, merge_shards
from slts.data.claim import claimed
from slts.data.media import decode_flac, encode_flac
from slts.data.shards import read_corpus_json, read_shard
from slts.reporting.paired import scored_clips
from slts.reporting.records import read_record, write_record

CPU = ("variant=anchored", "tracking=none", "validate_clips=8", "keep_checkpoints=1")
AV2A = {
    "both": ("spoken", "task.procedure=both"),
    "dropout": ("spoken", "task.procedure=dropout"),
    "dropout_true_audio": ("spoken", "task.procedure=dropout_true_audio"),
    "joint_statistics": ("spoken", "task.procedure=dropout", "task.split_statistics=false"),
    "shuffled": ("shuffled", "task.procedure=both"),
    "zeroed": ("zeroed", "task.procedure=both"),
}
"""Runs on a base: the corpus they learn from, and what they are told."""
HEARD = {
    "both": (("spoken", "av"), ("spoken", "v"), ("shuffled", "av"), ("zeroed", "av")),
    "dropout": (("spoken", "av"), ("spoken", "v"), ("spoken", "a")),
    "dropout_true_audio": (("spoken", "av"), ("spoken", "v"), ("spoken", "a")),
}
"""What an AV2A is scored on; those not named here on what they learned from, with both inputs."""


def main(given: dict[str, str]) -> None:
    folder = Path(given["folder"])
    steps, more = steps_of(given)
    plain = folder / "data"
    if not (plain / "corpus.json").exists():
        slts("prepare", "corpus=synthetic", "profile=lagged", f"clips={given.get('clips', 600)}", f"out={plain}")
        slts("recogniser", f"data={plain}")
    for seed in given.get("seeds", "0,1,2").split(","):
        of_seed = folder / f"seed-{seed}"
        train(of_seed, "base", plain, "experiment=cpu", f"steps={steps}", f"seed={seed}")
        base = of_seed / "base"
        evaluate(base, plain)
        corpora = of_seed / "corpora"
        spoken = corpora / "spoken"
        if not (spoken / "corpus.json").exists():
            slts("generate", f"run={base}", f"data={plain}", f"out={spoken}")
        for kind in ("shuffled", "zeroed"):
            derive(spoken, corpora / kind, kind)
        # As experiment=av2a_cpu goes on: at 0.3 of the base's rate.
        rates = ("optim.learning_rate=6.0e-4", f"optim.warmup_steps={more // 20}", f"steps={more}", f"seed={seed}")
        train(of_seed, "control", plain, "experiment=cpu", f"warm_start={base}", *rates)
        evaluate(of_seed / "control", plain)
        write(folder, given)
        for name, (corpus, *keys) in AV2A.items():
            train(of_seed, name, corpora / corpus, "experiment=av2a_cpu", f"task.base={base}", *keys, *rates)
            for heard, modalities in HEARD.get(name, ((corpus, "av"),)):
                evaluate(of_seed / name, corpora / heard, modalities)
            write(folder, given)


def steps_of(given: dict[str, str]) -> tuple[int, int]:
    """Of the base, and of what goes on from it."""
    return int(given.get("steps", 400)), int(given.get("more", 200))


def train(folder: Path, name: str, data: Path, *keys: str) -> None:
    steps = next(key for key in keys if key.startswith("steps=")).partition("=")[2]
    if not (folder / name / "checkpoints" / f"step-{int(steps):08d}").is_dir():
        began = time.time()
        slts("train", f"data={data}", f"runs={folder}", f"name={name}", f"validate_every={steps}", *keys, *CPU)
        print(f"{folder / name}: {time.time() - began:.0f} s", flush=True)


def evaluate(run: Path, data: Path, modalities: str | None = None) -> None:
    """Scores the test clips as others do, and keeps the table of clips by what was heard."""
    table = run / f"heard-{data.name}-{modalities or 'v'}.csv"
    if not table.exists():
        chosen = [f"modalities={modalities}"] if modalities else []
        recogniser = f"recogniser={run.parents[1]}/data/recogniser"
        slts("evaluate", f"run={run}", f"data={data}", "checkpoint=last", "show=0", "workers=1", recogniser, *chosen)
        alone = f"-{modalities}" if modalities in ("a", "v") else ""
        (run / f"clips-test{alone}.csv").rename(table)


def derive(spoken: Path, out: Path, kind: str) -> None:
    """A spoken corpus whose clips have another clip's speech (of the same shard), or silence."""
    corpus = read_corpus_json(spoken)
    with claimed(out, corpus["config"] | {"derived": kind}):
        for shard in corpus["shards"]:
            if facts_of(out / shard["file"]) is not None:
                continue
            samples = list(read_shard(spoken / shard["file"]))
            sounds = [decode_flac(sample["synth.flac"]) for sample in samples]
            others = np.roll(np.arange(len(samples)), 1)
            heard = [
                np.resize(sounds[other], len(own)) if kind == "shuffled" else np.zeros_like(own)
                for own, other in zip(sounds, others, strict=True)
            ]
            made = [s | {"synth.flac": encode_flac(sound)} for s, sound in zip(samples, heard, strict=True)]
            assemble_shard(out / shard["file"], made, [])
        files = [out / shard["file"] for shard in corpus["shards"]]
        merge_shards(out, files, corpus["name"], corpus["config"], {"synthesised": corpus["synthesised"]})


def write(folder: Path, given: dict[str, str]) -> None:
    """The record of all that is scored in the folder; what it holds of other numbers of steps stays."""
    file, steps, runs = Path(given.get("record", folder / "av2a.json")), list(steps_of(given)), []
    for table in sorted(folder.glob("seed-*/*/heard-*.csv")):
        _, heard, modalities = table.stem.split("-")
        of = {"seed": int(table.parents[1].name.partition("-")[2]), "system": table.parent.name, "steps": steps}
        runs.append({**of, "heard": heard, "modalities": modalities, **scored_clips(table)})
    others = [run for run in read_record(file, []) if run["steps"] != steps]
    write_record([*others, *runs], file)


def slts(*arguments: object) -> None:
    done = subprocess.run([sys.executable, "-m", "slts.cli", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"slts {' '.join(map(str, arguments))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    main(dict(argument.split("=", 1) for argument in sys.argv[1:]))
