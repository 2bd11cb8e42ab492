"""Offsets of shards without a network."""

from pathlib import Path

from rich.progress import track

from slts.audio.mel import MEL_RATE, log_mel
from slts.data.loader import ShardDataset, evaluation_loader
from slts.data.shards import read_corpus_json
from slts.errors import UserError
from slts.metrics.regression import REACH, regress_offsets
from slts.models.upsampling import mel_lengths, upsample_by_time

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
