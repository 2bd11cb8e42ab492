"""The dashboard of training: a W&B workspace, or the same panels drawn from the files of runs.

`slts dashboard project=slts` creates the workspace and prints its address; it needs a W&B login. With runs=[runs/a] the
panels are drawn into a PNG from metrics.jsonl and samples/, with no server.
"""

import io
from pathlib import Path

from slts.errors import UserError
from slts.files import refuse_sources, write_whole
from slts.metrics.columns import COLUMNS
from slts.training.metrics_log import read_metrics

TRAINING = {
    "Losses": {
        "hard, soft, probe": ["loss/hard", "loss/soft", "loss/probe"],
        "self-synchronisation": ["loss/ssm"],
        "intelligibility": ["loss/intelligibility", "loss/stoi"],
        "spectra of the vocoder": ["loss/stft"],
        "adversarial": ["loss/adversarial", "loss/critic"],
    },
    "Machine": {
        "clips a second": ["train/clips_per_second"],
        "share of time waiting for data": ["train/data_wait_share"],
        "GPU memory (GB)": ["train/gpu_gb"],
        "gradient norm": ["gradient_norm"],
        "learning rate": ["train/learning_rate"],
        "skipped steps": ["train/skipped"],
    },
}


def sections() -> dict[str, dict[str, list[str]]]:
    """Section -> title of a panel -> metrics drawn in it. Panels of which a run has nothing stay empty in W&B."""
    found: dict[str, dict[str, list[str]]] = {}
    for column in COLUMNS.values():
        if column.panel:
            section, title = column.panel
            found.setdefault(section, {}).setdefault(title, []).append(f"val/{column.validation}")
    found["Synchronisation"]["share at the edge of the search"].append("train/dsm_at_edge")
    return found | TRAINING


MEDIA = {
    "sounds": "val/sounds",
    "mels, offsets and faces": "val/pictures",
    "videos": "val/videos",
    "DSM's offsets": "val/histogram/dsm_offset_ms",
}
"""Title of a panel -> key of sounds, pictures, videos or a histogram."""


def main(config) -> None:
    if config.runs:
        draw([Path(run) for run in config.runs], Path(config.out))
        print(f"{config.out}: panels of {', '.join(config.runs)}")
    else:
        print(f"workspace: {create(config.project, config.entity)}")


def workspace(project: str, entity: str):
    """The definition: panels by section, runs grouped by study (or corpus) and ablation."""
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as ws

    parts = [
        ws.Section(
            name=name,
            is_open=True,
            panels=[panels.LinePlot(title=title, x="step", y=metrics) for title, metrics in plots.items()],
        )
        for name, plots in sections().items()
    ]
    media = [panels.MediaBrowser(title=title, media_keys=[key]) for title, key in MEDIA.items()]
    return ws.Workspace(
        entity=entity,
        project=project,
        name="slts",
        sections=[*parts, ws.Section(name="Samples", is_open=True, panels=media)],
        settings=ws.WorkspaceSettings(x_axis="step"),
        runset_settings=ws.RunsetSettings(groupby=[ws.Metric("Group"), ws.Metric("JobType")]),
    )


def create(project: str, entity: str | None) -> str:
    """Saves the workspace to W&B and returns its address. Raises UserError without a login or a connection."""
    import wandb

    try:
        return workspace(project, entity or wandb.Api().default_entity).save().url
    except (wandb.Error, wandb.errors.UsageError, OSError, ValueError) as error:
        raise UserError(
            f"W&B did not take the workspace ({' '.join(str(error).split())}); run `wandb login`, or draw the panels"
            " from the files with runs=[runs/NAME]"
        ) from None


def draw(runs: list[Path], out: Path) -> None:
    """The panels that the runs have something for, and the last samples of the first run, as a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    curves = {run.name: _curves(run) for run in runs}
    known = {name for run in curves.values() for name in run}
    panels = [
        (f"{section}: {title}", [m for m in metrics if m in known])
        for section, plots in sections().items()
        for title, metrics in plots.items()
        if known & set(metrics)
    ]
    samples = sorted((runs[0] / "samples").glob("step-*"))[-1:]
    found = sorted(
        (picture for folder in samples for picture in folder.glob("*.png")), key=lambda p: p.stem != "offsets"
    )
    pictures, columns = found[:2], 6
    refuse_sources([out], found)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(20, 2.6 * lines + (5 if pictures else 0)), layout="constrained")
    grid = figure.add_gridspec(lines + bool(pictures), columns, height_ratios=[1] * lines + [1.9] * bool(pictures))
    for place, (title, metrics) in enumerate(panels):
        axis = figure.add_subplot(grid[place // columns, place % columns])
        for run, values in curves.items():
            for metric in metrics:
                label = metric if len(runs) == 1 else f"{run} {metric}"
                axis.plot(*values.get(metric, ([], [])), linewidth=1, label=label)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=6)
    for place, picture in enumerate(pictures):
        axis = figure.add_subplot(grid[lines, 3 * place : 3 * place + 3])
        axis.imshow(imread(picture))
        axis.set_axis_off()
    figure.suptitle(f"{', '.join(curves)} (drawn from metrics.jsonl and samples/ by slts dashboard)", fontsize=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90, format=out.suffix[1:] or "png")
    write_whole(out, drawn.getvalue())


def _curves(run: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values by metric. Raises UserError when the folder holds no metrics.jsonl."""
    try:
        rows = read_metrics(run / "metrics.jsonl")
    except OSError:
        rows = []
    if not rows:
        raise UserError(f"runs: {run} holds no metrics.jsonl; give folders of runs of slts train") from None
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for row in rows:
        steps, values = curves.setdefault(row["name"], ([], []))
        steps.append(row["step"])
        values.append(row["value"])
    return curves
