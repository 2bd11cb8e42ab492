"""Shards made into a folder or at an address, a job a shard, and put together at the end.

A finished shard stays whatever happens to the others: to a node, a process or the command itself. Given again, the
command makes those that are missing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from slts.data.claim import Busy
from slts.data.destination import Bucket, Folder
from slts.data.engine import Engine, part_of, run_jobs
from slts.errors import UserError


class ShardJob(Protocol):
    """What makes one shard; picklable."""

    path: Path
    """Of the shard; only its name counts, as the destination knows the rest."""
    clips: int
    """That it is made from."""


def make_shards(
    make: Callable,
    jobs: Sequence[ShardJob],
    merge: Callable[[], dict],
    out: Folder | Bucket,
    settings: dict,
    engine: Engine,
    title: str,
    part: str | None = None,
) -> dict | None:
    """Make the shards in ``out`` that are not there yet, and then what ``merge`` makes of all of them.

    Args:
        make: ``make(job, tick)`` leaves a shard and its sidecar, as slts.data.assembly.assemble_shard does.
        jobs: of all shards of the corpus.
        merge: writes corpus.json and returns it.
        out: where they go.
        settings: what the shards depend on, by which ``out`` is known to be taken for the same corpus.
        title: shown before the bar.
        part: 0/16 to 15/16 make a sixteenth of the shards, beside other processes that make others.

    Returns:
        What ``merge`` gave; None if the part is made and others are not yet, of which the last calls it.

    Raises:
        UserError: no such part, or ``out`` is taken. OSError: it cannot be written.
    """

    def missing(some: Sequence[ShardJob]) -> list[ShardJob]:
        made = out.finished([job.path.name for job in some])
        return [job for job in some if job.path.name not in made]

    def run(chosen: Sequence[ShardJob]) -> None:
        left = missing(chosen)
        clips, to_do = (sum(job.clips for job in some) for some in (chosen, left))
        for _ in run_jobs(engine, make, left, title, clips, clips - to_do):
            pass

    part_made, mine = False, part_of(jobs, part)
    try:
        if part is not None:
            with out.claimed(settings, with_others=True):
                run(mine)
            part_made = True
            if missing(jobs):
                return None
        with out.claimed(settings):
            run(jobs)
            if lost := missing(jobs):
                raise UserError(
                    f"out={out}: {lost[0].path.name} was made and is not there; is this one place to all nodes?"
                )
            return merge()
    except Busy:
        if not part_made:
            raise
        return None  # another part is the last
