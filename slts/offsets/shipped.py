"""The estimator that comes with slts, for people it was never trained on, as a run that any command takes."""

from functools import cache

import numpy as np
import torch
from torch import nn

from slts.data.batch import Batch
from slts.offsets.estimator import WEIGHTS, OffsetEstimator
from slts.systems.contract import OFFSETS, OffsetEstimate
from slts.systems.trained import TrainedRun, run_of_file

CROP = {
    "faces": "cascade", "region": "face", "size": 112, "track": True, "fps": 25.0,
    "detect_rate": 5.0, "smallest_face": 0.12, "largest_gap": 1.5,
}  # fmt: skip
"""How its faces were cut, in the keys of conf/prepare.yaml."""


class CalibratedEstimator(nn.Module):
    """The system that the weights are: offsets without its constant, and a confidence that was calibrated."""

    takes, gives, fps, critic = (), (OFFSETS,), None, None

    def __init__(self, estimator: OffsetEstimator):
        super().__init__()
        self.estimator, self.network = estimator, estimator.task
        self.offset_step_ms = self.network.offset_step_ms
        self.sure_above = float(np.nextafter(estimator.calibration.threshold, 0))

    @torch.no_grad()
    def offsets(self, batch: Batch) -> OffsetEstimate:
        """Each clip by itself; a clip too short for the network has NaN."""
        found = [self._measured(batch, i) for i in range(len(batch.key))]
        ms, confidence = torch.tensor(found, dtype=torch.float32).T
        calibration = self.estimator.calibration
        reach = self.offset_step_ms * (calibration.radius - 1) - abs(calibration.constant_ms)
        return OffsetEstimate(ms, confidence, reach)

    def _measured(self, batch: Batch, i: int) -> tuple[float, float]:
        lips, sound, count = self.estimator.embed_batch(batch.clip(i))
        if count < 2 * self.estimator.calibration.radius:
            return float("nan"), 0.0
        measured = self.estimator.compare(lips[:count], sound[:count])
        return measured.offset_ms, measured.confidence


@cache
def load_shipped() -> TrainedRun:
    """The shipped estimator, in evaluation mode. Raises UserError where its file is not whole."""
    estimator = OffsetEstimator.load(WEIGHTS)
    task = CalibratedEstimator(estimator).eval()  # small enough for a CPU, which half of its work needs
    return run_of_file(WEIGHTS, task, "matching", "shipped", estimator.config["model"], CROP, (load_shipped,))
