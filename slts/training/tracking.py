"""Where numbers, sounds and pictures of a run go: metrics.jsonl always, W&B or TensorBoard beside it."""

import json
import os
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from slts.training.run_directory import RunDirectory


class MetricsLog:
    """metrics.jsonl: one JSON object a line, ``{"step", "name", "value"}``, cut back to ``step`` on resuming."""

    def __init__(self, file: Path, step: int):
        self.restored: list[dict] = []
        if file.exists():
            lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            self.restored = [json.loads(line) for line in kept]
            temporary = file.with_name(f".{file.name}.tmp")
            temporary.write_text("".join(kept))
            os.replace(temporary, file)
        self.stream = file.open("a", buffering=1)

    def write(self, step: int, values: dict[str, float]) -> None:
        self.stream.write("".join(json.dumps({"step": step, "name": n, "value": v}) + "\n" for n, v in values.items()))


class Tracking:
    """The log of a run and its dashboard; made in the main process only.

    ``tracking_id`` continues the same W&B run after a resume.
    """

    def __init__(self, config: DictConfig, run: RunDirectory, step: int, tracking_id: str | None):
        self.log_file = MetricsLog(run.metrics, step)
        self.wandb = self.tensorboard = None
        self.id = tracking_id
        if config.tracking.name == "wandb":
            self.wandb = _start_wandb(config, run, tracking_id)
            self.id = self.wandb.id
            if config.tracking.mode == "offline":
                # Segments of one offline run overwrite each other when synced, so each holds the whole curve.
                for at, rows in groupby(self.log_file.restored, key=itemgetter("step")):
                    self.wandb.log({**{row["name"]: row["value"] for row in rows}, "step": at})
        elif config.tracking.name == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter

            self.tensorboard = SummaryWriter(run.path / "tensorboard", purge_step=step + 1)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self.log_file.write(step, values)
        if self.wandb:
            self.wandb.log({**values, "step": step})
        if self.tensorboard:
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)

    def media(self, step: int, sounds: dict[str, Path], pictures: dict[str, Path], histograms: dict[str, list]) -> None:
        """Files of ``samples/`` and lists of numbers, by name."""
        if self.wandb:
            import wandb

            shown = {name: wandb.Audio(str(file)) for name, file in sounds.items()}
            shown |= {name: wandb.Image(str(file)) for name, file in pictures.items()}
            shown |= {name: wandb.Histogram(values) for name, values in histograms.items() if values}
            self.wandb.log({**shown, "step": step})
        if self.tensorboard:
            import cv2
            import soundfile
            import torch

            for name, file in sounds.items():
                samples, rate = soundfile.read(file, dtype="float32")
                self.tensorboard.add_audio(name, torch.from_numpy(samples)[None], step, rate)
            for name, file in pictures.items():
                self.tensorboard.add_image(name, cv2.imread(str(file))[..., ::-1].copy(), step, dataformats="HWC")
            for name, values in histograms.items():
                if values:
                    self.tensorboard.add_histogram(name, torch.tensor(values), step)

    def close(self) -> None:
        self.log_file.stream.close()
        if self.wandb:
            self.wandb.finish()
        if self.tensorboard:
            self.tensorboard.close()


def _start_wandb(config: DictConfig, run: RunDirectory, tracking_id: str | None):
    import wandb

    tracker = wandb.init(
        project=config.tracking.project,
        mode=config.tracking.mode,
        group=config.tracking.group,
        name=config.name,
        id=tracking_id,
        resume="allow" if tracking_id else None,
        dir=run.path,
        config=OmegaConf.to_container(config),
        tags=[config.task.name, config.variant, f"seed-{config.seed}"],
        settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
    )
    tracker.define_metric("*", step_metric="step")
    return tracker
