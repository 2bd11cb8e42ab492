"""Runs of a W&B project, as the run directories that slts evaluate published there."""

import re
import shutil
from pathlib import Path

from slts.errors import UserError
from slts.folders import cache_folder
from slts.training.tracking import SCORES

PREFIX = "wandb:"


def runs_folder(runs: str) -> Path:
    """The folder ``runs``; of ``wandb:ENTITY/PROJECT``, a copy of what its runs published.

    The copy is made afresh each time, in ``$SLTS_CACHE/wandb`` (~/.cache/slts/wandb), as GROUP/NAME/...

    Raises:
        UserError: W&B does not answer, or the project holds no published scores.
    """
    if not runs.startswith(PREFIX):
        return Path(runs)
    import wandb

    project = runs.removeprefix(PREFIX)
    copy = cache_folder() / "wandb" / _plain(project)
    shutil.rmtree(copy, ignore_errors=True)
    try:
        # Oldest first, so that a later run of the same name and group is the one set apart by its id.
        for run in wandb.Api().runs(project, filters={"jobType": SCORES}, order="+created_at"):
            files = list(run.files())
            for name in (file.name.split("/")[0] for file in files if re.fullmatch(r"[^/]+/results\.jsonl", file.name)):
                folder = copy / _plain(run.group or "")
                folder = folder / _plain(run.id) if (folder / name).exists() else folder
                for file in files:
                    if file.name.startswith(f"{name}/") and ".." not in file.name.split("/"):
                        file.download(root=str(folder), replace=True)
    except (wandb.Error, wandb.errors.UsageError, OSError, ValueError) as error:
        raise UserError(
            f"runs={runs}: W&B did not give its runs ({' '.join(str(error).split())}); run `wandb login`, and give"
            " wandb:ENTITY/PROJECT"
        ) from None
    if not copy.is_dir():
        raise UserError(f"runs={runs}: no run there has published scores; slts evaluate does it where tracking=wandb")
    return copy


def _plain(name: str) -> str:
    """A name from W&B as a relative path that leads nowhere else."""
    return "/".join(part for part in name.split("/") if part.strip("."))
