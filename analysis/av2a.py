"""AV2A against its base and its controls: the runs behind av2a.ipynb, and their record.

python analysis/av2a.py folder=runs/av2a [seeds=0,1,2] [steps=400] [more=200] [systems=both,dropout,...]
    [clips=600 | data=DIR] [corpus=NAME] [unseen=SPEAKER] [variant=anchored] [experiment=wavegan_cpu]
    [record=analysis/av2a.json]

Of each seed: a base of ``steps`` steps; the control, which goes on from it for ``more``; AV2A on it for ``more`` by
each procedure; and AV2A by the first procedure that hears another clip's speech, silence, in training what bases say
of clips that they did not learn from (cross_fit), or the sentence of the grammar that a recogniser hears in the base's
speech, in recorded words (grammar). The first procedure's is also scored as it hears what it said itself
(again), and, with several seeds, what another seed's base says (other).

Clips are generated ones with lagged offsets, ``clips`` of them, or those of ``data``, which the record calls
``corpus``. ``unseen`` is a speaker who is tested on and never learned from; as a stranger has no voice, it is the first
speaker's that is asked for. ``experiment`` is what a base is trained with; V2A-WaveGAN knows no offsets and no
variants, so that it wants ``data`` in sync and variant=paper. Everything is made by the commands that a user has. What
is done is not done again: given once more, it goes on. The record is written anew after every evaluation.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from commands import arguments, slts, train
from recorded_words import in_recorded_words

from slts.config import compose
from slts.data.assembly import assemble_shard, merge_facts
from slts.data.destination import Folder
from slts.data.media import decode_flac, encode_flac
from slts.data.shards import read_corpus_json, read_shard
from slts.reporting.paired import scored_clips
from slts.reporting.records import read_record, write_record
from slts.training.evaluation_name import evaluation_name

AV2A = {
    "both": ("spoken", "task.procedure=both"),
    "dropout": ("spoken", "task.procedure=dropout"),
    "dropout_true_audio": ("spoken", "task.procedure=dropout_true_audio"),
    "joint_statistics": ("spoken", "task.procedure=dropout", "task.split_statistics=false"),
    "shuffled": ("shuffled", "task.procedure=both"),
    "zeroed": ("zeroed", "task.procedure=both"),
    "cross_fit": ("cross_fit", "task.procedure=both"),
    "grammar": ("grammar", "task.procedure=both"),
}
"""Runs on a base: the corpus they learn from, and what they are told."""
HEARD = {
    "both": (("spoken", "av"), ("spoken", "v"), ("shuffled", "av"), ("zeroed", "av"), ("again", "av")),
    "dropout": (("spoken", "av"), ("spoken", "v"), ("spoken", "a")),
    "dropout_true_audio": (("spoken", "av"), ("spoken", "v"), ("spoken", "a")),
}
"""What an AV2A is scored on; those not named here on what they learned from, with both inputs."""


def main(given: dict[str, str]) -> None:
    folder = Path(given["folder"])
    data, recogniser = clips(folder, given)
    seeds = [
        Seed(folder / f"seed-{seed}", seed, data, recogniser, given)
        for seed in given.get("seeds", "0,1,2").split(",")
    ]  # fmt: skip
    for seed in seeds:
        seed.score("base", data)
        seed.score("control", data)
        for name in seed.systems:
            for heard, modalities in HEARD.get(name, ((AV2A[name][0], "av"),)):
                seed.score(name, seed.spoken(heard), modalities)
    for seed, other in zip(seeds, [*seeds[1:], seeds[0]], strict=True):
        if "both" in seed.systems and other is not seed:
            link = seed.folder / "corpora" / "other"
            link.exists() or link.symlink_to(other.spoken("spoken").resolve())
            seed.score("both", link, "av")


@dataclass(frozen=True)
class Seed:
    """The runs of a seed, each made when it is asked for."""

    folder: Path
    seed: str
    data: Path
    recogniser: Path
    given: dict[str, str]

    @property
    def systems(self) -> list[str]:
        return self.given.get("systems", ",".join(AV2A)).split(",")

    def run(self, name: str) -> Path:
        """The trained run of a system."""
        steps, more = steps_of(self.given)
        base = self.given.get("experiment", "cpu")
        keys, data = [f"seed={self.seed}", f"variant={self.given.get('variant', 'anchored')}"], self.data
        if name in ("base", "half-0", "half-1"):
            more = steps
            keys += [f"experiment={base}", *([f"leave_out={name[-1]}/2"] if name != "base" else [])]
        else:
            rate = compose("train", ["data=x", "name=x", f"experiment=av2a_{base}"])[0].optim.learning_rate
            keys += [f"optim.learning_rate={rate}", f"optim.warmup_steps={more // 20}"]
            if name == "control":
                keys += [f"experiment={base}", f"warm_start={self.run('base')}"]
            else:
                heard, *told = AV2A[name]
                data = self.spoken(heard)
                keys += [f"experiment=av2a_{base}", f"task.base={self.run('base')}", *told]
        return train(self.folder / name, data, more, *keys, f"validate_every={more}", "validate_clips=8")

    def spoken(self, heard: str) -> Path:
        """The corpus with what is heard."""
        out = self.folder / "corpora" / heard
        if heard in OTHER_SPEECH:
            derive(self.spoken("spoken"), out, OTHER_SPEECH[heard], {"derived": heard})
        elif heard == "grammar":
            change = partial(in_recorded_words, self.data, self.recogniser)
            derive(self.spoken("spoken"), out, change, {"derived": heard})
        elif not (out / "corpus.json").exists():
            if heard == "cross_fit":
                speakers = ",".join(str(self.run(name)) for name in ("base", "half-0", "half-1"))
                slts("generate", f"run=[{speakers}]", "folds=2", f"data={self.data}", f"out={out}")
            else:
                slts(
                    "generate",
                    f"run={self.run('both' if heard == 'again' else 'base')}",
                    f"data={self.data}",
                    f"out={out}",
                )
        return out

    def score(self, name: str, heard: Path, modalities: str | None = None) -> None:
        """Scores the test clips as others do, and keeps the table of clips by what was heard."""
        run = self.run(name)
        table = run / f"heard-{heard.name if name in AV2A else 'data'}-{modalities or 'v'}.csv"
        if not table.exists():
            chosen = [f"modalities={modalities}", "heard=data"] if modalities else []
            told = ("checkpoint=last", "show=0", "workers=1", f"recogniser={self.recogniser}", *chosen)
            slts("evaluate", f"run={run}", f"data={heard}", *told)
            scored = evaluation_name("test", modalities=modalities, heard="data" if modalities else None)
            (run / f"clips-{scored}.csv").rename(table)
            write(self.folder.parent, self.given)


def clips(folder: Path, given: dict[str, str]) -> tuple[Path, Path]:
    """The corpus without any speech but the recorded, and the recogniser of its words."""
    whole = Path(given.get("data", folder / "data"))
    if not (whole / "corpus.json").exists():
        slts("prepare", "corpus=synthetic", "profile=lagged", f"clips={given.get('clips', 600)}", f"out={whole}")
    if not (whole / "recogniser").exists():
        slts("recogniser", f"data={whole}")
    if "unseen" not in given:
        return whole, whole / "recogniser"
    unseen, out = given["unseen"], folder / f"without-{given['unseen']}"
    voice = next(speaker for speaker in read_corpus_json(whole)["speakers"] if speaker != unseen)

    def split(samples: list[dict], of: str) -> Iterable[dict]:
        for sample in samples:
            stranger = sample["json"]["speaker"] == unseen
            if stranger == (of == "test"):
                yield sample | {"json": sample["json"] | {"speaker": voice}} if stranger else sample

    derive(whole, out, split, {"unseen": unseen})
    return out, whole / "recogniser"


def others(samples: list[dict], of: str) -> Iterable[dict]:
    """Each clip with the speech of another of its shard."""
    sounds = [decode_flac(sample["synth.flac"]) for sample in samples]
    for sample, own, other in zip(samples, sounds, [*sounds[-1:], *sounds[:-1]], strict=True):
        yield sample | {"synth.flac": encode_flac(np.resize(other, len(own)))}


def silence(samples: list[dict], of: str) -> Iterable[dict]:
    for sample in samples:
        yield sample | {"synth.flac": encode_flac(np.zeros_like(decode_flac(sample["synth.flac"])))}


OTHER_SPEECH = {"shuffled": others, "zeroed": silence}
"""What is heard in place of the base's speech."""


def derive(source: Path, out: Path, change: Callable[[list[dict], str], Iterable[dict]], told: dict) -> None:
    """A corpus whose shards hold what ``change`` makes of the samples of those of ``source``."""
    corpus = read_corpus_json(source)
    if (out / "corpus.json").exists():
        return
    place, files = Folder(out), [shard["file"] for shard in corpus["shards"]]
    with place.claimed(corpus["config"] | told):
        for file in files:
            if file not in place.finished([file]):
                samples = change(list(read_shard(source / file)), file.partition("-")[0])
                assemble_shard(out / file, samples, [])
        kept = {"synthesised": corpus["synthesised"]} if "synthesised" in corpus else {}
        merge_facts(place.write, list(place.finished(files).values()), corpus["name"], corpus["config"], kept)


def steps_of(given: dict[str, str]) -> tuple[int, int]:
    """Of the base, and of what goes on from it."""
    return int(given.get("steps", 400)), int(given.get("more", 200))


def write(folder: Path, given: dict[str, str]) -> None:
    """The record of all that is scored in the folder; what it holds of other folders' kinds stays."""
    file, runs = Path(given.get("record", folder / "av2a.json")), []
    kind = {"corpus": given.get("corpus", "generated"), "variant": given.get("variant", "anchored")}
    kind |= {"experiment": given.get("experiment", "cpu"), "steps": list(steps_of(given))}
    for table in sorted(folder.glob("seed-*/*/heard-*.csv")):
        _, heard, modalities = table.stem.split("-")
        of = {"seed": int(table.parents[1].name.partition("-")[2]), "system": table.parent.name}
        runs.append({**of, **kind, "heard": heard, "modalities": modalities, **scored_clips(table)})
    stay = [run for run in read_record(file, []) if any(run[name] != kind[name] for name in kind)]
    write_record([*stay, *runs], file)


if __name__ == "__main__":
    main(arguments())
