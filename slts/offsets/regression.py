"""Offsets of clips found without a network: ridge regression of the sound on single pictures.

What a single picture shows cannot be late. From the pictures of all clips one linear map to the mel is learned; the
offset of a clip is the lag at which the map explains most of its sound. Learned on clips as they are and again on clips
moved by what was found, until the offsets agree with the map.
"""

from pathlib import Path

import numpy as np
from rich.progress import track

from slts.audio.mel import MEL_RATE, log_mel
from slts.audio.upsampling import mel_lengths, upsample_by_time
from slts.data.dataset import ShardDataset
from slts.data.loader import evaluation_loader
from slts.data.shards import read_corpus_json
from slts.errors import UserError
from slts.offsets.peak import peak

REACH = 25
"""Mel frames either way that are searched."""
ROUNDS = 3
RIDGE = 1e-3
"""Penalty as a share of the pictures' mean variance."""
SIDE = 16
"""Pixels of the side of the grey pictures that the regression sees."""


def regression_offsets(data: Path, batch_size: int) -> list[dict]:
    """key, offset_ms, confidence (the share of the sound explained) and at_edge of every clip of a folder of shards.

    All clips are in memory at once, 0.13 MB a second.

    Raises:
        UserError: no shards, or a clip that is too short.
    """
    keys, pictures, mels = [], [], []
    for split in read_corpus_json(data)["splits"]:
        loader = evaluation_loader(ShardDataset(data, split, SIDE, channels=1), batch_size)
        for batch in track(loader, f"reading {split}"):
            mel = log_mel(batch.audio)
            lengths = mel_lengths(batch.frames, batch.fps).clamp_max(mel.shape[1]).tolist()
            seen = upsample_by_time(batch.video.flatten(2).float(), batch.frames, batch.fps, mel.shape[1])
            keys += batch.key
            pictures += [clip[:length].numpy() for clip, length in zip(seen, lengths, strict=True)]
            mels += [clip[:length].numpy() for clip, length in zip(mel, lengths, strict=True)]
    try:
        offsets, explained = regress_offsets(pictures, mels)
    except ValueError as error:
        raise UserError(f"data={data}: {error}; method=regression needs longer clips") from None
    edge = 1000 / MEL_RATE * (REACH - 0.5)  # within the last frame
    return [
        {
            "key": key,
            "offset_ms": round(float(offset), 1),
            "confidence": round(float(share), 4),
            "at_edge": bool(abs(offset) > edge),
        }
        for key, offset, share in zip(keys, offsets, explained, strict=True)
    ]


def regress_offsets(
    pictures: list[np.ndarray], mels: list[np.ndarray], reach: int = REACH
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (clips,) in ms, positive where the video lags the audio, and the share of the sound explained there.

    Args:
        pictures: of each clip (T, D), one row a mel frame of 10 ms, from the picture at that instant alone.
        mels: of each clip (T, bands), of its recorded audio.
        reach: largest offset searched, mel frames.

    Raises:
        ValueError: a clip that is not longer than the reach.
    """
    if short := [i for i, mel in enumerate(mels) if min(len(mel), len(pictures[i])) <= 2 * reach]:
        raise ValueError(f"clip {short[0]} is not longer than twice the reach of {1000 * reach / MEL_RATE:.0f} ms")
    # A clip's mean says who speaks and in what light, not when.
    x = [picture - picture.mean(0) for picture in pictures]
    y = [mel - mel.mean(0) for mel in mels]
    spread = np.sqrt(np.mean([np.square(clip).mean(0) for clip in x], axis=0))
    x = [clip / np.maximum(spread, 1e-3 * spread.max()) for clip in x]
    lags = np.arange(-reach, reach + 1)
    shifts = np.zeros(len(x), int)
    for _ in range(ROUNDS):
        weights = _fit(x, y, shifts)
        explained = np.array([_explained(clip @ weights, mel, lags) for clip, mel in zip(x, y, strict=True)])
        best = explained.argmax(1)
        shifts = lags[best]
    between = np.array([peak(curve, index) for curve, index in zip(explained, best, strict=True)])
    return 1000 / MEL_RATE * (shifts + between), explained.max(1)


def _fit(x: list[np.ndarray], y: list[np.ndarray], shifts: np.ndarray) -> np.ndarray:
    """The map (D, bands) of least squares on clips moved by ``shifts``."""
    gram, cross = 0.0, 0.0
    for clip, mel, shift in zip(x, y, shifts, strict=True):
        seen, heard = _moved(clip, mel, shift)
        gram, cross = gram + seen.T @ seen, cross + seen.T @ heard
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
    return np.linalg.solve(gram, cross)


def _explained(predicted: np.ndarray, mel: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Share of the sound that the prediction explains at each lag, <= 1, where both are there."""
    pairs = (_moved(predicted, mel, lag) for lag in lags)
    return np.array([1 - np.square(heard - seen).sum() / np.square(heard).sum() for seen, heard in pairs])


def _moved(seen: np.ndarray, heard: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame i of what is seen with frame i - shift of what is heard."""
    first, last = max(0, shift), min(len(seen), len(heard) + shift)
    return seen[first:last], heard[first - shift : last - shift]
