"""Batches from shards: every sample once an epoch, in an order that is a pure function of seed and position.

The stream of samples is one endless sequence, the permutation of epoch 0, then that of epoch 1, and so on. Step s takes
its batch_size samples at s x batch_size; each rank takes its part of every batch. The position is therefore one
integer, it does not depend on ranks or workers, batches may straddle epochs, and no tail is dropped.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slts.audio import SAMPLE_RATE
from slts.data.clip import Reject
from slts.data.media import decode_flac, decode_frames
from slts.data.shards import index_shard, read_corpus_json
from slts.errors import UserError


@dataclass
class Batch:
    """Clips of one step, padded at the end to the longest."""

    video: Tensor
    """(B, T_v, C, H, W) uint8, RGB or grey."""
    audio: Tensor
    """(B, N) float32 at 16 kHz."""
    frames: Tensor
    """(B,) valid video frames."""
    fps: Tensor
    """(B,) video frames a second."""
    speaker: Tensor
    """(B,) index into the corpus's speakers."""
    offset_ms: Tensor
    """(B,) true audio-visual offset, NaN where unknown."""
    key: list[str]
    valid: Tensor | None = None
    """(B, T_v) bool, False where a shorter clip was padded; None where no clip was."""

    def to(self, device: torch.device) -> "Batch":
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in values.items()})


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training clip; ``crop`` is the share of the side that is kept, ``flip`` a chance."""

    crop: float = 1.0
    flip: float = 0.0
    chunk_seconds: float | None = None


class ShardDataset(Dataset):
    """Random access to the clips of one split.

    An item is asked for as (epoch, index); what is random about it depends on (seed, epoch, index) alone. Decoded clips
    are kept in memory up to ``cache_bytes`` in each loader process.

    Raises:
        UserError: no such split, or a damaged shard.
    """

    def __init__(
        self,
        data: Path,
        split: str,
        image_size: int,
        channels: int,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        cache_bytes: int = 0,
        speakers: list[str] | None = None,
    ):
        corpus = read_corpus_json(data)
        shards = [shard["file"] for shard in corpus["shards"] if shard["file"].startswith(f"{split}-")]
        if not shards:
            raise UserError(f"data={data}: no {split} split; it has {', '.join(corpus['splits'])}")
        self.entries = [(Path(data) / shard, entry) for shard in shards for entry in index_shard(Path(data) / shard)]
        self.speakers = {name: i for i, name in enumerate(speakers or corpus["speakers"])}
        self.image_size, self.channels = image_size, channels
        self.augmentation, self.seed = augmentation, seed
        self.cache: OrderedDict[int, tuple] = OrderedDict()
        self.cache_bytes, self.cached = cache_bytes, 0
        self.files: dict[Path, int] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, item: tuple[int, int]) -> dict:
        epoch, index = item
        video, audio, facts = self.decoded(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        change = self.augmentation or Augmentation()
        video, audio = _chunk(video, audio, facts["fps"], change.chunk_seconds, rng)
        video = _picture(video, self.image_size, change, rng)
        if self.speakers.get(facts["speaker"]) is None:
            raise UserError(
                f"{facts['key']}: speaker {facts['speaker']!r} was not in training; known: {[*self.speakers]}"
            )
        return {
            "video": torch.from_numpy(video),
            "audio": torch.from_numpy(audio),
            "fps": float(facts["fps"]),
            "speaker": self.speakers[facts["speaker"]],
            "offset_ms": float("nan") if facts["offset_ms"] is None else float(facts["offset_ms"]),
            "key": facts["key"],
        }

    def decoded(self, index: int) -> tuple[np.ndarray, np.ndarray, dict]:
        """Frames (T, H, W, C) uint8, audio (N,) float32 and the sample's JSON with its key."""
        if index in self.cache:
            return self.cache[index]
        path, entry = self.entries[index]
        read = {suffix: self._read(path, *place) for suffix, place in entry["members"].items()}
        try:
            facts = {**json.loads(read["json"]), "key": entry["key"]}
            frames = decode_frames(read["mp4"], grey=self.channels == 1)
            value = (frames.reshape(*frames.shape[:3], self.channels), decode_flac(read["flac"]), facts)
        except (KeyError, ValueError, OSError, Reject) as error:
            raise UserError(
                f"{path}: sample {entry['key']} cannot be read ({error}); prepare the corpus again"
            ) from None
        size = value[0].nbytes + value[1].nbytes
        if self.cached + size <= self.cache_bytes:
            self.cache[index] = value
            self.cached += size
        return value

    def _read(self, path: Path, offset: int, size: int) -> bytes:
        if path not in self.files:
            self.files[path] = os.open(path, os.O_RDONLY)
        return os.pread(self.files[path], size, offset)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "files": {}}


def _chunk(
    video: np.ndarray, audio: np.ndarray, fps: float, seconds: float | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random stretch of at most ``seconds``, picture and sound cut at the same instants."""
    frames = len(video)
    if seconds is not None and frames > seconds * fps:
        frames = int(seconds * fps + 1e-6)
        first = int(rng.integers(len(video) - frames + 1))
        start = round(first / fps * SAMPLE_RATE)
        video, audio = video[first : first + frames], audio[start:]
    samples = round(frames / fps * SAMPLE_RATE)
    return video, np.pad(audio[:samples], (0, max(0, samples - len(audio))))


def _picture(video: np.ndarray, size: int, change: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Crop (random place in training, centre otherwise), mirror, resize: (T, H, W, C) to (T, C, size, size)."""
    height, width = video.shape[1:3]
    side = round(min(height, width) * change.crop)
    centre = (height - side) / 2, (width - side) / 2
    top, left = (int(rng.integers(2 * c + 1)) for c in centre) if change.chunk_seconds else map(int, centre)
    video = video[:, top : top + side, left : left + side]
    if change.chunk_seconds and rng.random() < change.flip:
        video = video[:, :, ::-1]
    if side != size:
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        video = np.stack([cv2.resize(np.ascontiguousarray(f), (size, size), interpolation=how) for f in video])
        video = video.reshape(len(video), size, size, -1)
    return np.ascontiguousarray(video.transpose(0, 3, 1, 2))


def fit_picture(frames: np.ndarray, size: int, channels: int, crop: float) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 RGB as an evaluation batch has them: (T, channels, size, size) uint8."""
    if channels == 1:
        # Shards give grey as the luma of H.264, 16-235.
        grey = np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames])
        frames = (grey * (219 / 255) + 16.5).astype(np.uint8)[..., None]
    return _picture(frames, size, Augmentation(crop), np.random.default_rng())


def collate(samples: list[dict]) -> Batch:
    """Pads pictures and audio at the end to the longest of the batch."""

    def pad(name: str) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence([s[name] for s in samples], batch_first=True)

    frames = torch.tensor([len(s["video"]) for s in samples])
    valid = torch.arange(int(frames.max())) < frames[:, None]
    return Batch(
        pad("video"),
        pad("audio"),
        frames,
        torch.tensor([s["fps"] for s in samples]),
        torch.tensor([s["speaker"] for s in samples]),
        torch.tensor([s["offset_ms"] for s in samples]),
        [s["key"] for s in samples],
        None if bool(valid.all()) else valid,
    )


class EndlessSampler(Sampler):
    """Batches of (epoch, index) for one rank, from a position on; see the head of this module."""

    def __init__(self, size: int, batch_size: int, seed: int, position: int = 0, rank: int = 0, ranks: int = 1):
        if batch_size % ranks:
            raise UserError(
                f"batch_size={batch_size} cannot be divided by {ranks} processes; use a multiple of {ranks}"
            )
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.position, self.rank, self.ranks = position, rank, ranks

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.empty(0, int)
        start = self.position
        while True:
            batch = []
            for place in range(start + self.rank, start + self.batch_size, self.ranks):
                if place // self.size != epoch:
                    epoch = place // self.size
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
                batch.append((epoch, int(order[place % self.size])))
            yield batch
            start += self.batch_size


def training_loader(dataset: ShardDataset, batch_size: int, position: int, rank: int, ranks: int, workers: int):
    """Endless batches of this rank from a position of the sample stream on."""
    sampler = EndlessSampler(len(dataset), batch_size, dataset.seed, position, rank, ranks)
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        worker_init_fn=_one_thread,
        generator=torch.Generator(),  # its own, so that starting to iterate draws nothing from the training's
    )


def evaluation_loader(dataset: ShardDataset, batch_size: int, clips: int | None = None, rank: int = 0, ranks: int = 1):
    """Whole clips in the order of the shards, every one once; rank r takes clips r, r + ranks, ..."""
    count = len(dataset) if clips is None else min(clips, len(dataset))
    chosen = [(0, i) for i in np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()][rank::ranks]
    batches = [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collate)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
