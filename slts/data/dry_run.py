"""What ``slts prepare dry_run=true`` reports: hours, disk and memory for a whole root, from some of its files.

The files are put in order of size and cut into strata of equal number, of which two files each are drawn by the seed,
and the largest file is always taken, as it needs most memory. Everything that preparation does to a clip is done to
them, in this process, and measured stage by stage. Totals and their intervals are those of a stratified sample
(Cochran, Sampling Techniques, 5.4): the spread within strata, with Student's t.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest
from scipy.stats import t as student

from slts.data.assembly import heard
from slts.data.clip import Clip, Reject
from slts.data.cutting import cut
from slts.data.engine import run_jobs
from slts.data.parallel import Processes
from slts.data.preparation import Recipe, make_sample, recipe_of
from slts.data.shards import stored_bytes
from slts.data.utterance import Utterance
from slts.errors import UserError
from slts.memory import peak_bytes

STRATA = 12
"""Of which two files each are read."""
CHUNKS = 3
"""Most chunks of one file that are made; the others are taken for like them."""
MANY = 20_000
"""Shards above which larger ones are advised: every process that trains keeps the list of all."""
BUSY = 0.75
"""Part of the time that a core works below which this is said."""


@dataclass
class Measured:
    """What one file took and gave; chunks that were not made counted as the mean of those that were."""

    listing: float = 0.0
    """Seconds of wall time before any shard is begun: a file's length is asked for, one file after another."""
    seconds: float = 0.0
    """Of wall time for its clips."""
    stages: Counter = field(default_factory=Counter)
    """Seconds of processor by stage."""
    clips: float = 0.0
    video: float = 0.0
    """Seconds of the clips that are kept."""
    disk: float = 0.0
    """Bytes of them in a shard."""
    rejected: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Estimate:
    """A total over the root, and by how much it may be off with 95 % confidence."""

    value: float
    margin: float


@dataclass(frozen=True)
class Sample:
    """Some files of a root: strata of (places in ``measured``, files of the root that they stand for)."""

    strata: list[tuple[list[int], int]]
    measured: list[Measured]

    def total(self, of: Callable[[Measured], float]) -> Estimate:
        """Of a figure of each file, over the root."""
        values = np.array([of(file) for file in self.measured])
        value, variance, freedom = 0.0, 0.0, 0
        for places, files in self.strata:
            part = values[places]
            value += files * part.mean()
            if 1 < len(part) < files:
                variance += files**2 * (1 - len(part) / files) * part.var(ddof=1) / len(part)
                freedom += len(part) - 1
        return Estimate(value, float(student.ppf(0.975, max(1, freedom)) * variance**0.5))

    def shares(self) -> dict[str, float]:
        """The part of the work that each stage is."""
        names = dict.fromkeys(name for file in self.measured for name in file.stages)
        work = {name: self.total(lambda file, name=name: file.stages[name]).value for name in names}
        return {name: seconds / (sum(work.values()) or 1) for name, seconds in work.items()}


def report(config, utterances: list[Utterance], inject: Callable[..., Clip] | None, listed: float = 0.0) -> Sample:
    """Prints it, and gives what it is made of. ``listed`` is the seconds that listing the root took.

    Raises:
        UserError: as ``recipe_of``.
    """
    began = time.monotonic()
    sample = measure(utterances, recipe_of(config, inject), config)
    read, made = len(sample.measured), time.monotonic() - began
    clips = sample.total(lambda file: file.clips)
    workers = min(config.workers or os.cpu_count() or 1, max(1, ceil(clips.value / config.shard_clips)))
    wall = sample.total(lambda file: (file.listing + file.seconds / workers) / 3600)
    work = sample.total(lambda file: file.stages.total() / 3600)
    table = Table("", "estimate", "95 % interval", title_justify="left", box=None)
    table.title = f"{config.corpus}: {len(utterances)} files, {read} of them read in {made:.0f} s"
    for name, found, unit in (
        ("clips", clips, ""),
        ("video", sample.total(lambda file: file.video / 3600), " h"),
        ("work", work, " core h"),
        (f"time at workers={workers}", Estimate(wall.value + listed / 3600, wall.margin), " h"),
        ("disk", sample.total(lambda file: file.disk / 1e9), " GB"),
    ):
        low, high = max(0.0, found.value - found.margin), found.value + found.margin
        table.add_row(name, f"{_short(found.value)}{unit}", f"{_short(low)} to {_short(high)}")
    table.add_row("memory of a process", f"{peak_bytes() / 1e6:.0f} MB", "")
    console = Console()
    console.print(table)
    console.print("work: " + ", ".join(f"{name} {share:.0%}" for name, share in sample.shares().items()))
    console.print(_rejections(sample.measured, len(utterances)), markup=False)
    if (shards := clips.value / config.shard_clips) > MANY:
        larger = ceil(clips.value / MANY)
        console.print(f"{shards:.0f} shards, whose list every process keeps; shard_clips={larger} makes {MANY} of them")
    busy = sum(file.stages.total() for file in sample.measured) / sum(
        file.listing + file.seconds for file in sample.measured
    )
    if busy < BUSY:
        console.print(f"a core worked {busy:.0%} of the time only: files came slowly, or other programs took it")
    return sample


def measure(utterances: Sequence[Utterance], recipe: Recipe, config) -> Sample:
    """Draws files of a root and makes their clips. ``config`` has ``root``, ``seed`` and ``chunk_seconds``."""
    if not utterances:
        raise UserError(f"corpus={config.corpus}: nothing to read")
    strata = draw([_size(utterance, config.root) for utterance in utterances], config.seed)
    jobs = [(utterances[place], recipe, config.chunk_seconds) for places, _ in strata for place in places]
    numbers = iter(range(len(jobs)))
    strata = [([next(numbers) for _ in places], files) for places, files in strata]
    return Sample(strata, list(run_jobs(Processes(1), measure_file, jobs, "measuring", len(jobs))))


def draw(sizes: Sequence[float], seed: int) -> list[tuple[list[int], int]]:
    """Strata of (places drawn, files in it): the largest alone, the others in order of size."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(np.array(sizes)[order], kind="stable")]
    parts = [part for part in np.array_split(order[:-1], STRATA) if len(part)]
    drawn = [(rng.choice(part, min(2, len(part)), replace=False).tolist(), len(part)) for part in parts]
    return [*drawn, ([int(order[-1])], 1)]


def measure_file(job: tuple[Utterance, Recipe, float | None], tick: Callable[[], None]) -> Measured:
    """Makes the clips of one file, or CHUNKS of them from its beginning to its end, and keeps none."""
    utterance, recipe, chunk_seconds = job
    file, stages = Measured(), Counter()

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            stages[name] += time.process_time() - began

    began, chunks = time.monotonic(), [utterance]
    if chunk_seconds is not None:
        with stage("cutting"):
            chunks = cut([utterance], chunk_seconds)
    file.listing, cutting, began = time.monotonic() - began, Counter(stages), time.monotonic()
    stages.clear()
    chosen = [chunks[i] for i in sorted({*np.linspace(0, len(chunks) - 1, CHUNKS).round().astype(int).tolist()})]
    for chunk in chosen:
        try:
            sample = make_sample(chunk, recipe, stage)
            with stage("mel"):
                heard(sample["flac"])
        except Reject as reject:
            file.rejected.append(reject)
        except UserError:
            raise
        except Exception as error:  # as preparation itself takes it
            file.rejected.append(Reject("error", f"{type(error).__name__}: {error}"))
        else:
            file.clips += 1
            file.video += sample["json"]["frames"] / sample["json"]["fps"]
            file.disk += stored_bytes(sample)
    tick()
    times = len(chunks) / len(chosen)
    file.seconds = (time.monotonic() - began) * times
    file.stages = cutting + Counter({name: seconds * times for name, seconds in stages.items()})
    file.clips, file.video, file.disk = file.clips * times, file.video * times, file.disk * times
    return file


def _size(utterance: Utterance, root: str | None) -> float:
    """Bytes of the file behind an utterance; 0 where it is none, or not a single one."""
    path = utterance.video or Path(root or ".", utterance.source)
    return path.stat().st_size if isinstance(path, Path) and path.is_file() else 0


def _rejections(measured: list[Measured], files: int) -> str:
    """Of how many files, and why; and of how many of the root by the exact interval of a share (Clopper, Pearson)."""
    rejected = [reject for file in measured for reject in file.rejected]
    times = sum(bool(file.rejected) for file in measured)
    most = binomtest(times, len(measured)).proportion_ci(0.95).high
    others = f", of all {files} at most {most:.0%}" if len(measured) < files else ""
    if not rejected:
        return f"rejected: none of {len(measured)} files{others}"
    counted = ", ".join(f"{reason} {number}" for reason, number in Counter(r.reason for r in rejected).most_common())
    return f"rejected: {times} of {len(measured)} files ({counted}){others}; first {rejected[0]}"


def _short(value: float) -> str:
    """Three figures that count, none of them after the point of whole hundreds."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
