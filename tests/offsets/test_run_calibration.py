"""Calibration of a run's offsets on its own training clips."""

from types import SimpleNamespace

import pytest
import torch

from slts.audio.mel import log_mel
from slts.audio.upsampling import mel_lengths
from slts.data.dataset import ShardDataset
from slts.errors import UserError
from slts.offsets.calibration import calibrate


class Watcher:
    """Sees in a frame what is heard 80 ms before, as of a video that lags by 80 ms, and is wrong by a constant."""

    gives = ("offsets", "single_frames")

    def __init__(self, constant_ms: float):
        self.constant_ms = constant_ms

    def single_frames(self, batch):
        mel = log_mel(batch.audio)
        return mel[..., ::4].roll(8, 1), mel, mel_lengths(batch.frames, batch.fps).clamp_max(mel.shape[1])

    def offsets(self, batch):
        return SimpleNamespace(ms=torch.full((len(batch.key),), 80.0 + self.constant_ms))


def run_of(task, corpus):
    return SimpleNamespace(
        task=task,
        config=SimpleNamespace(data=corpus, variant="x"),
        dataset=lambda data, split: ShardDataset(data, split, 16, 1),
        device=torch.device("cpu"),
        directory=SimpleNamespace(path="runs/x"),
    )


@pytest.mark.parametrize("constant", [-60.0, 0.0, 40.0])
def test_the_constant_is_found_on_real_shards(tiny_corpus, constant):
    assert abs(calibrate(run_of(Watcher(constant), tiny_corpus), 8).constant_ms - constant) < 2


def test_a_run_that_has_not_locked_and_one_without_dsm_are_refused(tiny_corpus):
    with pytest.raises(UserError, match="has not locked"):
        calibrate(run_of(Watcher(-330.0), tiny_corpus), 8)
    with pytest.raises(UserError, match="calibrate=true needs single frames"):
        calibrate(run_of(SimpleNamespace(gives=("offsets",)), tiny_corpus), 8)
