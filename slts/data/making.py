"""Shards made, a job a shard, and put together at the end.

A finished shard stays whatever happens to the others: to a node, a process or the command itself. Given again, the
command makes those that are missing.
"""

import errno
from collections.abc import Callable, Sequence
from typing import Protocol

from slts.data.claim import Busy
from slts.data.destination import Bucket, Folder
from slts.data.engine import Engine, part_of, run_jobs
from slts.errors import UserError


class ShardJob(Protocol):
    """What makes one shard; picklable."""

    @property
    def file(self) -> str:
        """The shard's name."""
        ...

    @property
    def clips(self) -> int:
        """That it is made from."""
        ...


def make_shards(
    make: Callable,
    jobs: Sequence[ShardJob],
    merge: Callable[[list[dict]], dict],
    out: Folder | Bucket,
    settings: dict,
    engine: Engine,
    title: str,
    part: str | None = None,
) -> dict | None:
    """Make the shards in ``out`` that are not there yet, and then what ``merge`` makes of all of them.

    Args:
        make: ``make(job, tick)`` leaves a shard and its sidecar in ``out``, as slts.data.assembly.assemble_shard does.
        jobs: of all shards of the corpus.
        merge: writes corpus.json, from the facts of the shards in the order of the jobs, and returns it.
        settings: what the shards depend on, by which ``claimed`` knows the place.
        title: shown before the bar.
        part: 0/16 to 15/16 make a sixteenth of the shards, beside other processes that make others.

    Returns:
        What ``merge`` gave; None if the part is made and others are not yet, of which the last calls it.

    Raises:
        UserError: no such part, or ``out`` is taken, full, or cannot be written.
    """

    def finished() -> dict[str, dict]:
        return out.finished([job.file for job in jobs])

    def run(chosen: Sequence[ShardJob]) -> None:
        made = finished()
        left = [job for job in chosen if job.file not in made]
        clips, to_do = (sum(job.clips for job in some) for some in (chosen, left))
        for _ in run_jobs(engine, make, left, title, clips, clips - to_do):
            pass

    part_made, mine = False, part_of(jobs, part)
    try:
        if part is not None:
            with out.claimed(settings, with_others=True):
                run(mine)
            part_made = True
            if len(finished()) < len(jobs):
                return None
        with out.claimed(settings):
            run(jobs)
            made = finished()
            if missing := [job.file for job in jobs if job.file not in made]:
                raise UserError(
                    f"out={out}: {missing[0]} is not there once it was made; is it one place to all workers?"
                )
            return merge(list(made.values()))
    except Busy:
        if not part_made:
            raise
        return None  # another part is the last
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(out, jobs) from None
        raise UserError(f"out={out}: cannot be written ({error.strerror or error}); choose another") from None


def _disk_full(out: Folder | Bucket, jobs: Sequence[ShardJob]) -> UserError:
    """What to free, judged by the shards that are there."""
    out.remove_unfinished()
    made = out.finished([job.file for job in jobs])
    done = [(made[job.file]["bytes"], job.clips) for job in jobs if job.file in made]
    left = sum(job.clips for job in jobs) - sum(clips for _, clips in done)
    each = sum(size for size, _ in done) / max(1, sum(clips for _, clips in done))
    need = f"about {left * each / 1e6:.0f} MB for the {left} clips left" if each else "the room that the shards need"
    return UserError(
        f"out={out}: the disk is full; free {need} and give the same command again: {len(done)} of {len(jobs)} shards "
        f"are whole and are kept"
    )
