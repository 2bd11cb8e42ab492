"""Trained runs applied to a whole corpus: every clip spoken, beside what was recorded (arXiv 2307.16584, step 2)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch.nn import functional

from slts.data.assembly import assemble_shard, merge_facts, rejections
from slts.data.batch import collate
from slts.data.destination import Bucket, Folder, refuse_source
from slts.data.engine import Engine
from slts.data.making import make_shards
from slts.data.media import encode_flac
from slts.data.parallel import HERE
from slts.data.shards import read_corpus_json, read_shard
from slts.errors import UserError
from slts.systems.cross_fit import Speakers, speakers
from slts.systems.trained import TrainedRun
from slts.training.rng import rng_aside

SYNTH = "synth"
"""The further sound ``KEY.synth.flac``: what a run says of the picture, in sync with it."""


@dataclass(frozen=True)
class Job:
    """One shard to speak."""

    out: Folder | Bucket
    file: str
    clips: int
    source: Path
    voices: Speakers
    batch_size: int


def synthesise_corpus(
    runs: Sequence[TrainedRun],
    data: Path,
    out: Folder | Bucket,
    batch_size: int = 16,
    folds: int = 1,
    engine: Engine = HERE,
    part: str | None = None,
) -> dict | None:
    """Write the corpus in ``data`` to ``out`` with ``KEY.synth.flac`` in every sample; finished shards are kept.

    Pictures, sounds and facts are copied as they are. The speech of a clip is as long as its picture. Its last 80 ms
    may depend on ``batch_size``, as the shorter clips of a batch are padded to the longest.

    Args:
        runs: give speech; one, or with ``folds`` those of ``slts.systems.cross_fit.speakers``.
        data: shards of slts prepare whose speakers and frame rates the runs know.
        out: another folder, or an address.
        folds: of the training clips, each spoken by the run that did not learn from it; 1 is all by the one run.
        engine: speaks the shards, a job each.
        part: as in slts.data.making.make_shards.

    Returns:
        The new corpus.json; None if the part is spoken and others are not yet. Its ``synthesised`` holds the hash of
        the corpus it came from (``of``) and ``Speakers.provenance``.

    Raises:
        UserError: ``out`` is ``data`` or holds something else, ``data`` was synthesised before or is of other speakers
            or frame rates, a run learned from what it would speak, a shard is not the one that corpus.json records, or
            the disk is full.
    """
    corpus = read_corpus_json(data)
    refuse_source(out, data)
    for run in runs:
        _refuse(run, corpus, data)
    voices = speakers(runs, folds, corpus, data)
    made = {"of": corpus["hash"], **voices.provenance()}
    # What is known of the corpus beyond its shards, that it was repaired for one, stays known.
    record = {name: corpus[name] for name in ("repaired",) if name in corpus} | {"synthesised": made}
    files = {shard["file"]: shard["clips"] for shard in corpus["shards"]}
    for split in dict.fromkeys(file.partition("-")[0] for file in files):
        for run in voices.runs:
            run.dataset(data, split)  # refuses what it cannot read before anything is written
    jobs = [Job(out, file, clips, data / file, voices, batch_size) for file, clips in files.items()]
    settings = corpus["config"] | {"synthesis": made}

    def merge(found: list[dict]) -> dict:
        return merge_facts(out.write, found, corpus["name"], corpus["config"], record, rejections(data))

    return make_shards(_speak_shard, jobs, merge, out, settings, engine, "speaking", part)


def _refuse(run: TrainedRun, corpus: dict, data: Path) -> None:
    if before := corpus.get("synthesised"):
        raise UserError(
            f"data={data} was spoken by the run {before.get('run')} already; give the corpus that it was made from,"
            f" whose corpus.json has the hash {before.get('of')}: slts generate run={run.directory.path} data=FOLDER"
            " out=..."
        )
    if strangers := sorted({*corpus["speakers"]} - {*run.corpus["speakers"]}):
        raise UserError(
            f"data={data}: the run has no voice of {', '.join(strangers)}, only of {', '.join(run.corpus['speakers'])};"
            " give the corpus that it was trained on, or train one on this"
        )
    if others := sorted({*corpus["fps"]} - {*run.corpus["fps"]}):
        known = ", ".join(f"{rate:g}" for rate in run.corpus["fps"])
        raise UserError(
            f"data={data} has {others[0]:g} video frames a second, and the run was trained on {known}; prepare it with"
            " slts prepare fps=, or train a run on this"
        )


def _speak_shard(job: Job, tick: Callable[[], None]) -> None:
    def counted() -> Iterator[dict]:
        for sample in _spoken(job.voices, job.source, job.batch_size):
            yield sample
            tick()

    with job.out.shard(job.file) as path:
        assemble_shard(path, counted(), [])


def _spoken(voices: Speakers, shard: Path, batch_size: int) -> Iterator[dict]:
    """The samples of a shard with their speech."""
    split = shard.name.partition("-")[0]
    seen = [run.dataset(shard.parent, split) for run in voices.runs]  # the split's clips as each of the runs sees them
    number = seen[0].shards.number(shard.name)
    first, count, samples = int(seen[0].order.starts[number]), seen[0].clips[number], read_shard(shard)
    for start in range(0, count, batch_size):
        batch = list(islice(samples, batch_size))
        speech: dict[int, torch.Tensor] = {}
        for run, dataset in zip(voices.runs, seen, strict=True):
            mine = [place for place, sample in enumerate(batch) if voices.of(split, sample["key"]) is run]
            if mine:
                speech |= zip(mine, _speech(run, [dataset[0, first + start + place] for place in mine]), strict=True)
        for place, sample in enumerate(batch):
            if f"{SYNTH}.flac" in sample:
                raise UserError(f"{shard}: {sample['key']} has a sound '{SYNTH}' already; give a corpus without it")
            yield sample | {f"{SYNTH}.flac": encode_flac(speech[place].clamp(-1, 1).numpy())}


def _speech(run: TrainedRun, clips: list[dict]) -> list[torch.Tensor]:
    """What a run says of some clips, each (N,) as long as its picture."""
    with rng_aside():  # vocoders draw noise: the same for a clip whenever its shard is made
        torch.manual_seed(0)
        speech = run.task.generate(collate(clips).to(run.device)).float().cpu()
    lengths = [len(clip["audio"]) for clip in clips]
    return [
        functional.pad(said[:length], (0, max(0, length - len(said))))
        for length, said in zip(lengths, speech, strict=True)
    ]
