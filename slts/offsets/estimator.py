"""The offset of one clip from arrays, by weights in one file, with a confidence that was calibrated on other people."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from slts.audio.mel import MEL_RATE
from slts.data.batch import Batch
from slts.errors import UserError
from slts.offsets.confidence import REACH, Calibration, evidence
from slts.systems.matching.network import peak, profile
from slts.systems.matching.task import MatchingTask

FORMAT = "slts offset estimator 1"
WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "offset_estimator.safetensors"
"""Those that come with the package; the card beside them says of what they were made."""


@dataclass(frozen=True)
class Measurement:
    """What an estimator says of one clip."""

    offset_ms: float
    """Positive where the video lags the audio; meaningless where not ``sure``."""
    confidence: float
    """Probability that the offset is right within the calibration's tolerance, 0..1."""
    sure: bool
    """Whether the confidence reaches the calibration's threshold: False reads "cannot tell"."""
    profile: np.ndarray
    """(2 R + 1,) mean match at each shift of -R .. R mel frames of 10 ms, less its mean."""


class OffsetEstimator:
    """A trained matching network with its calibration.

    Args:
        task: the network, in evaluation mode.
        config: ``{"model": ..., "task": ...}``, from which ``task`` was built.
        calibration: what turns a profile into a confidence.
    """

    def __init__(self, task: MatchingTask, config: dict, calibration: Calibration):
        self.task, self.config, self.calibration = task.eval(), config, calibration

    @classmethod
    def load(cls, path: str | Path = WEIGHTS) -> "OffsetEstimator":
        """From a file that ``save`` wrote, by default the one that comes with the package. Raises UserError where it is
        something else."""
        try:
            with safe_open(path, "pt") as file:
                facts = file.metadata() or {}
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            if facts.get("format") != FORMAT:
                raise ValueError("it does not say that it is an offset estimator")
            config = json.loads(facts["config"])
            task = MatchingTask(OmegaConf.create(config["task"]), OmegaConf.create(config["model"]))
            task.load_state_dict(weights, strict=False)
            if missing := {name for name, _ in task.named_parameters()} - weights.keys():
                raise ValueError(f"{min(missing)} is missing")
            return cls(task, config, Calibration(**json.loads(facts["calibration"])))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
            raise UserError(f"{path}: no weights of an offset estimator ({reason})") from None

    def save(self, path: str | Path) -> None:
        """Half-precision weights, the network's settings and the calibration, in one safetensors file."""
        weights = {
            name: value.half().contiguous()
            for name, value in self.task.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        facts = {
            "format": FORMAT,
            "config": json.dumps(self.config),
            "calibration": json.dumps(vars(self.calibration)),
        }
        save_file(weights, path, metadata=facts)

    def embed(self, video: np.ndarray, audio: np.ndarray, fps: float) -> tuple[Tensor, Tensor, int]:
        """Embeddings of picture and sound (T, E), one a mel frame, and how many of these have both.

        Args:
            video: (T_v, H, H) uint8 grey squares around the face, as preparation with region=face cuts them.
            audio: (N,) float, 16 kHz mono in [-1, 1].
            fps: pictures a second.
        """
        pictures = torch.from_numpy(np.ascontiguousarray(video))[None, :, None]
        sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32))[None]
        return self.embed_batch(_batch(pictures, sound, fps))

    def embed_batch(self, batch: Batch) -> tuple[Tensor, Tensor, int]:
        """``embed`` of the one clip of a batch."""
        lips, heard, lengths = self.task.embed_both(batch)
        return lips[0], heard[0], int(lengths[0])

    def measure(self, video: np.ndarray, audio: np.ndarray, fps: float) -> Measurement:
        """The offset of a clip; arguments as for ``embed``."""
        lips, sound, count = self.embed(video, audio, fps)
        return self.compare(lips[:count], sound[:count])

    def compare(self, lips: Tensor, sound: Tensor) -> Measurement:
        """The offset between embeddings (T, E) of the same instants, perhaps a window of a long film."""
        frames = torch.tensor([len(lips)])
        curve = profile(lips[None], sound[None], frames, REACH)
        # The same sounds in the opposite order belong to no picture: what they reach, chance reaches.
        chance = profile(lips[None], sound.flip(0)[None], frames, REACH)
        radius = self.calibration.radius
        middle = curve[:, REACH - radius : REACH + radius + 1]
        confidence = self.calibration.confidence(evidence(curve.numpy(), chance.numpy(), frames.numpy(), radius))[0]
        offset = 1000 / MEL_RATE * float(peak(middle)) - self.calibration.constant_ms
        sure = bool(confidence >= self.calibration.threshold)
        return Measurement(offset, float(confidence), sure, (curve - curve.mean())[0].numpy())


def _batch(video: Tensor, audio: Tensor, fps: float) -> Batch:
    return Batch(
        video=video,
        recorded=audio,
        frames=torch.tensor([video.shape[1]]),
        fps=torch.tensor([float(fps)]),
        speaker=torch.tensor([0]),
        offset_ms=torch.tensor([float("nan")]),
        key=[""],
    )
