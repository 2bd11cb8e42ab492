"""Random access to the clips of a split of shards.

What is random about a clip depends on (seed, epoch, sample) alone, so that ranks and workers change nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from slts.audio import SAMPLE_RATE
from slts.data.augmentation import Augmentation, augment
from slts.data.decoding import check_picture, check_sound, decode_picture, decode_sound, to_rgb
from slts.data.facts import LEARNED_FROM, sample_facts
from slts.data.folds import Fold
from slts.data.location import Address
from slts.data.order import SampleOrder
from slts.data.places import Places
from slts.data.shard_source import is_sound, shard_source
from slts.data.shards import MEMBERS, index_shard, read_sample
from slts.errors import UserError


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
        verify_shards: hash every shard at its first use, in this process or a loader process of it.
        sounds: names of further sounds of the clips that are read too, into ``Batch.sounds``.
        without: a fold whose clips are left out; every shard is indexed at once for it.

    Raises:
        UserError: no such data or split, or no clip in it; on access, a shard that cannot be had, or is damaged, or an
            unknown speaker.
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
        without: Fold | None = None,
    ):
        self.source = shard_source(data, disk_gb, verify_shards)
        corpus = self.source.corpus
        self.shards = corpus["shards"].split(split)
        if not self.shards:
            raise UserError(f"data={data}: no {split} split; it has {', '.join(corpus['splits'])}")
        self.speakers = {name: i for i, name in enumerate(speakers or corpus["speakers"])}
        self.image_size, self.channels = image_size, channels
        self.sounds = sounds
        self.members = (*MEMBERS, *(f"{name}.flac" for name in sounds))
        self.verify_shards, self.without = verify_shards, without
        self.augmentation, self.seed = augmentation or Augmentation(), seed
        self.stored_size = corpus.get("size")
        self.places = Places(self.shards.clips)
        self.cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.cache_bytes, self.cached = cache_bytes, 0
        if sounds:
            self._index(0)  # whether they are there is told before anything is written
        self.clips = [len(self._index(i)) for i in range(len(self.shards))] if without else self.shards.clips
        if not any(self.clips):
            raise UserError(f"data={data}: no {split} clip is left without fold {without}; use fewer folds")
        self.order = SampleOrder(self.clips, seed, window_shards)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def clip_bytes(self) -> float:
        """Of a clip of ``chunk_seconds`` at the corpus's highest frame rate."""
        seconds, fps = self.augmentation.chunk_seconds or 0.0, max(self.source.corpus.get("fps") or [30])
        sounds = 1 + len(self.sounds)
        return seconds * (fps * self.image_size**2 * self.channels + 4 * SAMPLE_RATE * sounds)

    @property
    def keys(self) -> list[str]:
        """Of all samples; every shard is fetched and indexed for them."""
        return [key for shard in range(len(self.shards)) for key in self._index(shard)]

    def __getitem__(self, item: tuple[int, int]) -> dict:
        epoch, sample = item
        shard, key, members = self._sample(sample, self.members if sample not in self.cache else ("json",))
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
            raise self._damaged(shard, key, error) from None
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

    def sound(self, sample: int) -> np.ndarray:
        """The whole recorded sound of a clip, (N,) float32 at 16 kHz; its picture is not decoded."""
        shard, key, members = self._sample(sample, ("flac", "json"))
        try:
            facts = sample_facts(members["json"], LEARNED_FROM)
            check_sound(members["flac"], facts["fps"], facts["frames"])
            return decode_sound(members["flac"], 0, round(facts["frames"] / facts["fps"] * SAMPLE_RATE))
        except Exception as error:
            raise self._damaged(shard, key, error) from None

    def _damaged(self, shard: int, key: str, error: Exception) -> UserError:
        return UserError(
            f"{self.shards[shard]['file']}: sample {key} cannot be read ({error!r}); look for more with slts prepare "
            "action=verify, and prepare the corpus again"
        )

    def _index(self, shard: int) -> list[str]:
        """Notes where the clips of a shard lie, once it is found whole and as recorded; their keys."""
        recorded = self.shards[shard]
        path = self.source.path(recorded)
        entries = index_shard(path)
        if len(entries) != recorded["clips"]:
            raise UserError(
                f"{recorded['file']}: {len(entries)} samples, and {recorded['clips']} in corpus.json; "
                "prepare the corpus again"
            )
        if self.verify_shards and not is_sound(path, recorded["sha256"]):
            raise UserError(
                f"{path}: its SHA-256 is not that of corpus.json; copy it or prepare the corpus again, or train on"
                " it as it is with verify_shards=false"
            )
        if lacking := [name for name in self.members if any(name not in entry["members"] for entry in entries)]:
            raise UserError(
                f"{path}: clips without {', '.join(f'KEY.{name}' for name in lacking)}, which the system takes;"
                " give data= with it"
            )
        if self.without:
            entries = [entry for entry in entries if not self.without.holds(entry["key"])]
        self.places.note(shard, np.array([entry["start"] for entry in entries], int))
        return [entry["key"] for entry in entries]

    def _sample(self, sample: int, wanted: Sequence[str]) -> tuple[int, str, dict[str, bytes]]:
        """The number of its shard, its key, and the members ``wanted`` by their suffix."""
        shard = int(np.searchsorted(self.order.starts, sample, side="right")) - 1
        try:
            return shard, *self._read(shard, sample - int(self.order.starts[shard]), wanted)
        except OSError as error:
            raise UserError(
                f"{self.shards[shard]['file']} of {self.source} can no longer be read ({error.strerror}); put it back,"
                " or free what is missing, and give the same command again"
            ) from None

    def _read(self, shard: int, number: int, wanted: Sequence[str]) -> tuple[str, dict[str, bytes]]:
        start = self.places.offset(shard, number)
        if start is None:
            self._index(shard)
            start = self.places.offset(shard, number)
        with self.source.path(self.shards[shard]).open("rb", buffering=0) as file:
            return read_sample(file, start, wanted)

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
