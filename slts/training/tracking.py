"""Where numbers, sounds, pictures and videos of a run go: metrics.jsonl always, W&B or TensorBoard beside it."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from slts.files import write_whole
from slts.json_lines import read_rows
from slts.secrecy import without_secrets
from slts.training.evaluation_name import evaluation_of
from slts.training.metrics_log import MetricsLog
from slts.training.run_directory import RunDirectory, published

SCORES = "scores"
"""W&B's job type of the runs that hold scores, and how their ids end."""


@dataclass
class Media:
    """What a validation shows besides numbers, by name: files of ``samples/``, and lists of numbers."""

    sounds: dict[str, Path] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    histograms: dict[str, list[float]] = field(default_factory=dict)
    videos: dict[str, Path] = field(default_factory=dict)
    """mp4; TensorBoard, whose videos are animations without sound, leaves them out."""


class Tracking:
    """The log of a run and its dashboard; made in the main process only.

    ``step`` is where the run stands: what the log holds of later steps is cut off. ``tracking_id`` is the id of the W&B
    run that is continued; without it the one that the run's folder names, if it names one.
    """

    def __init__(self, config: DictConfig, run: RunDirectory, step: int, tracking_id: str | None):
        self.log_file, self.samples = MetricsLog(run.metrics, step), run.samples
        self.dashboard = None
        if config.tracking.name == "wandb":
            self.dashboard = WandB(config, run, tracking_id)
            if self.dashboard.offline:
                # Segments of one run replace each other when they are synced, so each holds the whole curve.
                for at, values in self.log_file.restored():
                    self.dashboard.scalars(at, values)
                    self.dashboard.media(at, self._shown_at(at))
        elif config.tracking.name == "tensorboard":
            self.dashboard = TensorBoard(run, step)

    @property
    def id(self) -> str | None:
        return getattr(self.dashboard, "id", None)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self.log_file.write(step, values)
        if self.dashboard:
            self.dashboard.scalars(step, values)

    def media(self, step: int, media: Media) -> None:
        """Files in the step's folder of ``samples/`` and lists of numbers."""
        if any(media.histograms.values()):
            write_whole(self._folder(step) / "histograms.json", json.dumps(media.histograms).encode())
        if self.dashboard:
            self.dashboard.media(step, media)

    def close(self) -> None:
        if self.dashboard:
            self.dashboard.close()

    def _folder(self, step: int) -> Path:
        return self.samples / f"step-{step:08d}"

    def _shown_at(self, step: int) -> Media:
        folder = self._folder(step)
        histograms = folder / "histograms.json"
        files = {kind: {file.stem: file for file in sorted(folder.glob(f"*.{kind}"))} for kind in ("wav", "png", "mp4")}
        return Media(
            sounds=files["wav"],
            pictures=files["png"],
            videos=files["mp4"],
            histograms=json.loads(histograms.read_text()) if histograms.exists() else {},
        )


class WandB:
    """A run of Weights & Biases under one id for life."""

    def __init__(self, config: DictConfig, run: RunDirectory, tracking_id: str | None):
        id_file = run.path / "wandb" / "id"  # known before there is a checkpoint to name it
        if tracking_id is None and id_file.exists():
            tracking_id = id_file.read_text()
        self.run = _start(config, run, tracking_id, config.variant)
        self.run.define_metric("*", step_metric="step")
        self.id, self.offline = self.run.id, self.run.offline
        write_whole(id_file, self.id.encode())

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self.run.log({**values, "step": step})

    def media(self, step: int, media: Media) -> None:
        import wandb

        shown = {
            f"val/histogram/{name}": wandb.Histogram(values) for name, values in media.histograms.items() if values
        }
        if media.sounds:
            shown["val/sounds"] = [wandb.Audio(str(file), caption=name) for name, file in media.sounds.items()]
        if media.pictures:
            shown["val/pictures"] = [wandb.Image(str(file), caption=name) for name, file in media.pictures.items()]
        if media.videos:
            shown["val/videos"] = [wandb.Video(str(file), caption=name) for name, file in media.videos.items()]
        if shown:
            self.run.log({**shown, "step": step})

    def close(self) -> None:
        self.run.finish()


def publish_scores(config: DictConfig, run: RunDirectory) -> None:
    """Sends what the tables read of a run that is tracked by W&B there, as a run of its own beside that of training.

    Its summary has the figures of results.jsonl as EVALUATION/NAME (see evaluation_name); its files are the rows, the
    clips, what drawn lips said, the configuration and the samples, as NAME/... . A later evaluation replaces it.
    """
    id_file = run.path / "wandb" / "id"
    if config.tracking.name != "wandb" or not id_file.exists():
        return
    published = _start(config, run, f"{id_file.read_text()}-{SCORES}", SCORES)
    for row in read_rows(run.results, lambda row: None if isinstance(row.get("split"), str) else "no split"):
        numbers = {name: value for name, value in row.items() if isinstance(value, (int, float))}
        published.summary.update({f"{evaluation_of(row)}/{name}": value for name, value in numbers.items()})
    for pattern in ("config.yaml", "corpus.json", "results.jsonl", "clips-*.csv", "says-*.csv", "samples/[tv]*/*"):
        for file in sorted(run.path.glob(pattern)):
            # A copy, not W&B's link: a run's folder may move before it is synced.
            copy = Path(published.dir, run.path.name, file.relative_to(run.path))
            copy.parent.mkdir(parents=True, exist_ok=True)
            if file.name == "config.yaml":  # an older one may hold in clear what its data= lets in
                copy.write_text(without_secrets(file.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                shutil.copy(file, copy)
            published.save(str(copy), base_path=published.dir, policy="end", glob=False)
    published.finish()


def _start(config: DictConfig, run: RunDirectory, tracking_id: str | None, job_type: str):
    """A run of W&B, online where that is wished and W&B can be reached, else offline."""
    import wandb

    if config.tracking.mode == "online":
        try:
            return _init(config, run, tracking_id, job_type, offline=False)
        except wandb.errors.Error as error:
            reason = str(error).strip().partition("\n")[0]
            print(
                f"W&B cannot be reached ({reason}); it goes on offline, to be sent by wandb sync"
                f" {run.path}/wandb/offline-run-*",
                flush=True,
            )
    return _init(config, run, tracking_id, job_type, offline=True)


def _init(config: DictConfig, run: RunDirectory, tracking_id: str | None, job_type: str, offline: bool):
    """A run of W&B, grouped by study (else corpus) and job type, which is the ablation where a run is trained.

    Offline, the segments that earlier processes left go to ``wandb/replaced``, those of scores go for good: the new one
    holds all they hold, and whatever is synced from ``wandb`` is the whole run. It carries no resume flag, so that it
    replaces on the server what was synced of the run before; online runs carry it and are continued there.
    """
    import wandb

    folder, corpus = run.path / "wandb", run.corpus()["name"]
    if offline:
        for segment in folder.glob("offline-run-*"):
            scores = segment.name.endswith(f"-{SCORES}")
            if scores and job_type == SCORES:
                shutil.rmtree(segment)
            elif not scores and job_type != SCORES:
                (folder / "replaced").mkdir(exist_ok=True)
                segment.rename(folder / "replaced" / segment.name)
    shown = published(config)
    secret = shown.data != config.data  # W&B's own facts of the process would hold the command line
    return wandb.init(
        project=config.tracking.project,
        mode="offline" if offline else "online",
        group=config.tracking.group or corpus,
        job_type=job_type,
        name=config.name,
        id=tracking_id,
        resume=None if offline else "allow",
        dir=run.path,
        config=OmegaConf.to_container(shown) | {"corpus": corpus},
        tags=[config.task.name, config.variant, corpus, f"seed-{config.seed}"],
        settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_meta=secret),
    )


class TensorBoard:
    """Event files in ``tensorboard/``, by Accelerate's tracker; those of a killed process are cut at ``step``."""

    def __init__(self, run: RunDirectory, step: int):
        from accelerate.tracking import TensorBoardTracker

        self.tracker = TensorBoardTracker("tensorboard", run.path, purge_step=step + 1)
        self.tracker.start()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self.tracker.log(values, step)

    def media(self, step: int, media: Media) -> None:
        import cv2
        import numpy as np
        import soundfile

        writer = self.tracker.writer
        for name, file in media.sounds.items():
            samples, rate = soundfile.read(file, dtype="float32")
            writer.add_audio(f"val/sounds/{name}", samples[None], step, rate)
        for name, file in media.pictures.items():
            picture = cv2.imread(str(file))[..., ::-1]
            writer.add_image(f"val/pictures/{name}", np.ascontiguousarray(picture), step, dataformats="HWC")
        for name, values in media.histograms.items():
            if values:
                writer.add_histogram(f"val/histogram/{name}", np.array(values), step)

    def close(self) -> None:
        self.tracker.finish()
