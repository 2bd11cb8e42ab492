"""Batches from shards: the clips of a split in the order of slts.data.order, or every one once."""

import gc
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from slts.data.batch import Batch, collate
from slts.data.dataset import ShardDataset
from slts.data.fetch_ahead import FetchAhead
from slts.data.handover import AHEAD, Piped, narrow
from slts.data.order import EndlessSampler, SampleOrder
from slts.data.shard_source import Remote
from slts.errors import UserError


class TrainingBatches:
    """Endless batches of this rank from a position of the order on; see ``training_loader``."""

    def __init__(self, dataset: ShardDataset, batch_size: int, position: int, loader: DataLoader):
        self.dataset, self.batch_size, self.position, self.loader = dataset, batch_size, position, loader

    def __iter__(self) -> Iterator[Batch]:
        batches, position, ahead = iter(self.loader), self.position, None
        if isinstance(self.dataset.source, Remote):
            order = SampleOrder(self.dataset.clips, self.dataset.seed, self.dataset.order.window_shards)
            ahead = FetchAhead(self.dataset.source, order, self.dataset.shards)
        try:
            while True:
                if ahead:
                    ahead.reached(position)
                batch = next(batches)
                if isinstance(batch, UserError):
                    raise batch
                yield batch.batch() if isinstance(batch, Piped) else batch
                position += self.batch_size
        finally:
            if ahead:
                ahead.stop()


def training_loader(
    dataset: ShardDataset, batch_size: int, position: int, rank: int, ranks: int, workers: int
) -> TrainingBatches:
    """Endless batches of this rank from a position of the order on.

    Raises:
        UserError: the ranks cannot share a batch; on iteration, what ShardDataset raises.
    """
    sampler = EndlessSampler(dataset.order, batch_size, position, rank, ranks)
    reason = narrow(dataset.clip_bytes * batch_size / ranks, workers) if workers else None
    if reason and rank == 0:
        print(f"{reason}: batches go through pipes, which is slower; workers=0 needs neither", flush=True)
    loader = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate_to_pipe if reason else _collate_or_error,
        pin_memory=torch.cuda.is_available() and not reason,
        prefetch_factor=AHEAD if workers else None,
        worker_init_fn=_begin,
        generator=torch.Generator(),  # its own, so that starting to iterate draws nothing from the training's
    )
    return TrainingBatches(dataset, batch_size, position, loader)


def evaluation_loader(
    dataset: ShardDataset, batch_size: int, clips: int | None = None, rank: int = 0, ranks: int = 1
) -> DataLoader:
    """Whole clips in the order of the shards, every one once; rank r takes clips r, r + ranks, ..."""
    count = len(dataset) if clips is None else min(clips, len(dataset))
    chosen = [(0, i) for i in np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()][rank::ranks]
    return _whole_clips(dataset, chosen, batch_size)


def clips_in_turn(dataset: ShardDataset, batch_size: int, first: int, last: int) -> DataLoader:
    """Whole clips in the order of the shards, from clip ``first`` to before clip ``last``."""
    return _whole_clips(dataset, [(0, i) for i in range(first, last)], batch_size)


def shared_batches(dataset: ShardDataset, batch_size: int, rank: int, ranks: int) -> DataLoader:
    """The batches of one process's ``evaluation_loader``, of which rank r takes r, r + ranks, ...: what a batch holds,
    and so what a system makes of it, does not depend on the number of processes."""
    return _whole_clips(dataset, [(0, i) for i in range(len(dataset))], batch_size, rank, ranks)


def _whole_clips(
    dataset: ShardDataset, chosen: list[tuple[int, int]], batch_size: int, rank: int = 0, ranks: int = 1
) -> DataLoader:
    batches = [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
    return DataLoader(dataset, batch_sampler=batches[rank::ranks], collate_fn=_collate_or_raise)


def _collate_or_error(samples: list[dict] | UserError) -> Batch | UserError:
    return samples if isinstance(samples, UserError) else collate(samples)


def _collate_to_pipe(samples: list[dict] | UserError) -> Piped | UserError:
    return samples if isinstance(samples, UserError) else Piped.of(collate(samples))


def _collate_or_raise(samples: list[dict] | UserError) -> Batch:
    if isinstance(samples, UserError):
        raise samples
    return collate(samples)


def _begin(_: int) -> None:
    """In a loader process: it shares the cores, and leaves alone what it shares with the training process, which the
    garbage collector would copy by looking at it."""
    gc.freeze()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
