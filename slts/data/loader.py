"""Batches from shards: random access to the clips of a split, in the order of slts.data.order.

What is random about a clip depends on (seed, epoch, sample) alone, so that ranks and workers change nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from slts.audio import SAMPLE_RATE
from slts.data.augmentation import Augmentation, augment
from slts.data.batch import Batch, collate
from slts.data.decoding import check_picture, check_sound, decode_picture, decode_sound, to_rgb
from slts.data.facts import LEARNED_FROM, sample_facts
from slts.data.handover import AHEAD, Piped, narrow
from slts.data.location import Address
from slts.data.order import EndlessSampler, SampleOrder
from slts.data.shard_source import FetchAhead, Remote, is_sound, shard_source
from slts.data.shards import MEMBERS, index_shard
from slts.errors import UserError


@dataclass(frozen=True)
class _Index:
    """Where the samples of one shard lie; ``places`` (clips, members, 2) are offsets and sizes in bytes."""

    keys: list[str]
    places: np.ndarray


class ShardDataset(Dataset):
    """Random access to the clips of one split, asked for as (epoch, sample).

    A shard is fetched and indexed when its first sample is asked for. A damaged shard or sample is refused, never
    skipped: what is in corpus.json takes part in training, or nothing does.

    Args:
        data: a folder, or an address or command that the user typed, as ``slts.data.shard_source`` reads them.
        split: train, val or test.
        image_size: side of the pictures in pixels.
        channels: 3 for RGB, 1 for grey.
        augmentation: None gives whole, uncropped clips.
        seed: of order and augmentation.
        cache_bytes: memory for decoded clips in each loader process.
        speakers: names in the order of ``Batch.speaker``; None takes the corpus's.
        window_shards: shards whose samples are mixed with each other; 0 mixes all.
        disk_gb: room for fetched shards.
        verify_shards: hash every shard at its first use in a process.
        sounds: names of further sounds of the clips that are read too, into ``Batch.sounds``.

    Raises:
        UserError: no such data or split; on access, a shard that cannot be had, or is damaged, or an unknown speaker.
    """

    def __init__(
        self,
        data: str | Path | Address,
        split: str,
        image_size: int,
        channels: int,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        cache_bytes: int = 0,
        speakers: list[str] | None = None,
        window_shards: int = 0,
        disk_gb: float = 20.0,
        verify_shards: bool = True,
        sounds: tuple[str, ...] = (),
    ):
        self.source = shard_source(data, disk_gb, verify_shards)
        corpus = self.source.corpus
        shards = [shard for shard in corpus["shards"] if shard["file"].startswith(f"{split}-")]
        if not shards:
            raise UserError(f"data={data}: no {split} split; it has {', '.join(corpus['splits'])}")
        self.shards = [shard["file"] for shard in shards]
        self.clips = [shard["clips"] for shard in shards]
        self.digests = [shard["sha256"] for shard in shards] if verify_shards else None
        self.order = SampleOrder(self.clips, seed, window_shards)
        self.speakers = {name: i for i, name in enumerate(speakers or corpus["speakers"])}
        self.image_size, self.channels = image_size, channels
        self.sounds = sounds
        self.members = (*MEMBERS, *(f"{name}.flac" for name in sounds))
        self.augmentation, self.seed = augmentation or Augmentation(), seed
        self.stored_size = corpus.get("size")
        self.indices: dict[int, _Index] = {}
        self.cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.cache_bytes, self.cached = cache_bytes, 0

    def __len__(self) -> int:
        return len(self.order)

    @property
    def clip_bytes(self) -> float:
        """Of a clip of ``chunk_seconds`` at the corpus's highest frame rate."""
        seconds, fps = self.augmentation.chunk_seconds or 0.0, max(self.source.corpus.get("fps") or [30])
        return seconds * (fps * self.image_size**2 * self.channels + 4 * SAMPLE_RATE)

    @property
    def keys(self) -> list[str]:
        """Of all samples; every shard is fetched for them."""
        return [key for shard in range(len(self.shards)) for key in self._index(shard).keys]

    def __getitem__(self, item: tuple[int, int]) -> dict:
        epoch, sample = item
        shard = int(np.searchsorted(self.order.starts, sample, side="right")) - 1
        try:
            key, members = self._read(shard, sample - int(self.order.starts[shard]))
        except OSError as error:
            raise UserError(
                f"{self.shards[shard]} of {self.source} can no longer be read ({error.strerror}); put it back, or free"
                " what is missing, and give the same command again"
            ) from None
        change = self.augmentation
        rng = np.random.default_rng([self.seed, epoch, sample]) if change.chunk_seconds else None
        try:
            facts = sample_facts(members["json"], LEARNED_FROM)
            fps, frames, speaker, offset = (facts[name] for name in ("fps", "frames", "speaker", "offset_ms"))
            if sample not in self.cache:
                check_picture(members["mp4"], fps, frames, self.stored_size)
                check_sound(members["flac"], fps, frames)
            first, count = _chunk(frames, fps, change.chunk_seconds, rng)
            video, sounds = self._stretch(sample, members, fps, frames, first, count)
        except Exception as error:  # bytes from anywhere may raise anything
            raise UserError(
                f"{self.shards[shard]}: sample {key} cannot be read ({error!r}); look for more with slts prepare "
                "action=verify, and prepare the corpus again"
            ) from None
        if speaker not in self.speakers:
            raise UserError(f"{key}: speaker {speaker!r} was not in training; known: {[*self.speakers]}")
        return {
            "video": augment(video, fps, self.image_size, change, rng),
            "audio": torch.from_numpy(sounds[0]),
            "sounds": dict(zip(self.sounds, torch.from_numpy(sounds[1:]), strict=True)),
            "fps": float(fps),
            "speaker": self.speakers[speaker],
            "offset_ms": float("nan") if offset is None else float(offset),
            "key": key,
        }

    def __getitems__(self, items: list[tuple[int, int]]) -> list[dict] | UserError:
        """A batch for DataLoader. An error is returned, because one raised in a worker arrives with a traceback."""
        try:
            return [self[item] for item in items]
        except UserError as error:
            return error

    def _index(self, shard: int) -> _Index:
        if shard not in self.indices:
            path = self.source.path(self.shards[shard])
            entries = index_shard(path)
            if len(entries) != self.clips[shard]:
                raise UserError(
                    f"{self.shards[shard]}: {len(entries)} samples, and {self.clips[shard]} in corpus.json; "
                    "prepare the corpus again"
                )
            if self.digests and not is_sound(path, self.digests[shard]):
                raise UserError(
                    f"{path}: its SHA-256 is not that of corpus.json; copy it or prepare the corpus again, or train on"
                    " it as it is with verify_shards=false"
                )
            if lacking := [name for name in self.members if any(name not in entry["members"] for entry in entries)]:
                raise UserError(
                    f"{path}: clips without {', '.join(f'KEY.{name}' for name in lacking)}, which the system takes;"
                    " give data= with it"
                )
            places = np.array([[entry["members"][name] for name in self.members] for entry in entries])
            self.indices[shard] = _Index([entry["key"] for entry in entries], places)
        return self.indices[shard]

    def _read(self, shard: int, number: int) -> tuple[str, dict[str, bytes]]:
        index = self._index(shard)
        with self.source.path(self.shards[shard]).open("rb", buffering=0) as file:
            members = {}
            for name, (offset, size) in zip(self.members, index.places[number].tolist(), strict=True):
                file.seek(offset)
                members[name] = file.read(size)
        return index.keys[number], members

    def _stretch(
        self, sample: int, members: dict[str, bytes], fps: float, frames: int, first: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames (count, H, W, C) uint8 from ``first`` on and the sounds (1 + further ones, N) float32 of the same
        instants."""
        start, samples = round(first / fps * SAMPLE_RATE), round(count / fps * SAMPLE_RATE)
        grey = self.channels == 1
        if sample in self.cache:
            video, sounds = self.cache[sample]
        elif self.cached < self.cache_bytes:
            video = decode_picture(members["mp4"], fps, 0, frames, grey)
            sounds = self._sounds(members, 0, round(frames / fps * SAMPLE_RATE))
            if self.cached + video.nbytes + sounds.nbytes <= self.cache_bytes:
                self.cache[sample] = video, sounds
                self.cached += video.nbytes + sounds.nbytes
            else:
                self.cache_bytes = self.cached  # full: from now on only what is needed is decoded
        else:
            video = decode_picture(members["mp4"], fps, first, count, grey)
            return (video[..., None] if grey else to_rgb(video)), self._sounds(members, start, samples)
        video, sounds = video[first : first + count], sounds[:, start : start + samples]
        sounds = np.pad(sounds, ((0, 0), (0, samples - sounds.shape[1])))
        return (video[..., None] if grey else to_rgb(video)), sounds

    def _sounds(self, members: dict[str, bytes], first: int, count: int) -> np.ndarray:
        return np.stack([decode_sound(members[name], first, count) for name in self.members if name.endswith("flac")])


def _chunk(frames: int, fps: float, seconds: float | None, rng: np.random.Generator | None) -> tuple[int, int]:
    """First frame and number of frames of a random stretch of at most ``seconds``; all of them without ``rng``."""
    if rng is None or frames <= seconds * fps:
        return 0, frames
    count = int(seconds * fps + 1e-6)
    return int(rng.integers(frames - count + 1)), count


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
        worker_init_fn=_one_thread,
        generator=torch.Generator(),  # its own, so that starting to iterate draws nothing from the training's
    )
    return TrainingBatches(dataset, batch_size, position, loader)


@contextmanager
def deaths_named() -> Iterator[None]:
    """Context of a training, whatever part of which learns by a signal that a loader process died. Raises UserError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            f"a loader process died ({str(error).splitlines()[0].rstrip('. ')}), perhaps for want of memory; fewer"
            " workers= or less cache_gb= need less; the same command continues from the last checkpoint"
        ) from None


def evaluation_loader(
    dataset: ShardDataset, batch_size: int, clips: int | None = None, rank: int = 0, ranks: int = 1
) -> DataLoader:
    """Whole clips in the order of the shards, every one once; rank r takes clips r, r + ranks, ..."""
    count = len(dataset) if clips is None else min(clips, len(dataset))
    chosen = [(0, i) for i in np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()][rank::ranks]
    batches = [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
    return DataLoader(dataset, batch_sampler=batches, collate_fn=_collate_or_raise)


def _collate_or_error(samples: list[dict] | UserError) -> Batch | UserError:
    return samples if isinstance(samples, UserError) else collate(samples)


def _collate_to_pipe(samples: list[dict] | UserError) -> Piped | UserError:
    return samples if isinstance(samples, UserError) else Piped.of(collate(samples))


def _collate_or_raise(samples: list[dict] | UserError) -> Batch:
    if isinstance(samples, UserError):
        raise samples
    return collate(samples)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
