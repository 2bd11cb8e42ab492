"""At which rate videos are read for an estimate, and the offsets of shards with the prior of their corpus."""

import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from flash_and_beep import beep, flash_frames, write_video

from slts.data.clip import Reject
from slts.data.dataset import ShardDataset
from slts.data.faces.people import Thresholds
from slts.data.media import read_clip
from slts.offsets import curve
from slts.offsets.estimation import shard_offsets
from slts.offsets.finding import find_offset
from slts.systems.contract import OffsetEstimate


@pytest.mark.parametrize(
    ("prepared", "rates", "frames"),
    [(None, [25], 50), (12.5, [12.5], 25), (None, [25, 50], 100), (None, [], 100)],
)
def test_repeated_frames_are_left_out_where_the_corpus_has_one_rate(tmp_path, monkeypatch, prepared, rates, frames):
    write_video(tmp_path / "a.mkv", flash_frames(2, 0.4).repeat(2, axis=0), beep(2, 0.4), 50)
    read = []

    def looked_at(*arguments, **options):
        read.append(read_clip(*arguments, **options))
        raise Reject("enough")

    monkeypatch.setattr(curve, "read_clip", looked_at)
    run = SimpleNamespace(task=SimpleNamespace(fps=None), corpus={"config": {"fps": prepared}, "fps": rates})
    found = find_offset(curve.VideoEstimator(run, Thresholds()), tmp_path / "a.mkv")
    assert found.cannot_tell == "enough" and len(read[0].frames) == frames


def test_the_prior_of_shards_settles_clips_with_two_peaks(tiny_corpus):
    """A system that hesitates, for every other clip, between its true offset and one anywhere, which it prefers."""
    shifts = torch.arange(-40, 41)

    def offsets(batch):
        numbers = torch.tensor([zlib.crc32(key.encode()) for key in batch.key])[:, None]
        truth, anywhere, torn = batch.offset_ms[:, None] / 10, 5 + numbers % 35, numbers % 2 == 1
        right, wrong = (torch.softmax(-((shifts - place) ** 2) / 2.0, -1) for place in (truth, anywhere))
        distribution = torch.where(torn, 0.45 * right + 0.55 * wrong, right)
        best = shifts[distribution.argmax(-1)]
        return OffsetEstimate(10.0 * best, distribution.amax(-1), 400.0, distribution)

    run = SimpleNamespace(
        dataset=lambda data, split, any_speaker: ShardDataset(data, split, 16, 1),
        task=SimpleNamespace(offsets=offsets), device="cpu",
    )  # fmt: skip
    truth = {
        clip["key"]: clip["offset_ms"]
        for split in ("train", "val", "test")
        for dataset in [ShardDataset(tiny_corpus, split, 16, 1)]
        for clip in (dataset[0, i] for i in range(len(dataset)))
    }
    for use_prior, gross in ((False, 0.3), (True, 0.0)):
        rows = list(shard_offsets(run, tiny_corpus, 4, 0.5, use_prior=use_prior))
        errors = np.array([row["offset_ms"] - truth[row["key"]] for row in rows])
        assert len(rows) == len(truth) and (np.abs(errors) > 100).mean() >= gross
        if use_prior:
            assert np.abs(errors).max() < 10 and all(row["sure"] == (row["confidence"] > 0.5) for row in rows)
