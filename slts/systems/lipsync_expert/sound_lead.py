"""Offsets taken out of clips on the way, when windows of sound are cut: ``task.sync``."""

from pathlib import Path

import torch
from torch import Tensor

from slts.data.batch import Batch
from slts.data.offset_table import read_offset_rows
from slts.errors import UserError

NONE, TRUTH, DSM = "none", "truth", "dsm"
"""Not taken out; those recorded with the corpus; those of a table, as DSM or any other system measured them."""


def check_sync(config) -> None:
    """Refuses a table without a use, and its use without one. Raises UserError."""
    table = config.task.get("offsets")
    if (config.task.sync == DSM) != (table is not None):
        raise UserError(
            f"task.sync={config.task.sync} task.offsets={table}: a CSV of slts offsets goes with"
            " task.sync=dsm, and with nothing else"
        )


class SoundLead:
    """Seconds by which the sound of each clip comes before its picture.

    Args:
        task: the config group, with ``sync``; older ones have neither ``offsets`` nor ``above_confidence``.
    """

    def __init__(self, task):
        self.sync, self.file = task["sync"], task.get("offsets")
        self.above_confidence = task.get("above_confidence")
        self.table: dict[str, float | None] | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """(B,) seconds; NaN for a clip that takes no part, since its offset could not be told or is not sure enough.

        Raises:
            UserError: the offset of a clip is not recorded (truth), or the table cannot be read or lacks one (dsm).
        """
        if self.sync == NONE:
            return torch.zeros_like(batch.fps, dtype=torch.float32)
        if self.sync == DSM:
            return self._measured(batch)
        if bool(batch.offset_ms.isnan().any()):
            key = batch.key[int(batch.offset_ms.isnan().int().argmax())]
            raise UserError(
                f"task.sync=truth: the offset of {key} is not known; use task.sync=none, task.sync=dsm with"
                " task.offsets=CSV, or repair the corpus"
            )
        return batch.offset_ms.float() / 1000

    def _measured(self, batch: Batch) -> Tensor:
        where = f"task.offsets={self.file}"
        if self.table is None:
            try:
                self.table = read_offset_rows(Path(self.file), self.above_confidence)
            except (OSError, ValueError) as error:
                raise UserError(f"{where}: {error}; give a CSV of slts offsets") from None
            if all(ms is None for ms in self.table.values()):
                raise UserError(f"{where}: no clip has an offset that counts; lower task.above_confidence")
        if missing := [key for key in batch.key if key not in self.table]:
            raise UserError(f"{where}: no line of {missing[0]}; measure the corpus that is trained on by slts offsets")
        found = [float("nan") if self.table[key] is None else self.table[key] / 1000 for key in batch.key]
        return torch.tensor(found, dtype=torch.float32, device=batch.fps.device)
