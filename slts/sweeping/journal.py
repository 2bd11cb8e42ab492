"""A journal file of Optuna, on a shared disk: signs of life of trials, and records that were cut in writing."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import JournalFileSymlinkLock, get_lock_file
from optuna.trial import TrialState

SILENT = 4
"""Heartbeats missed after which a worker counts as dead."""
BEGINNING = b'{"op_code":'
"""Of every record."""


class JournalWithHeartbeat(JournalStorage, BaseHeartbeat):
    """A journal in which trials give signs of life, as they do in a database.

    Compares the clocks of machines: they must agree to within a heartbeat or two.
    """

    ALIVE = "alive_at"

    def __init__(self, file: Path, heartbeat: int, when_stale: Callable):
        super().__init__(JournalFileBackend(str(file)))
        self.heartbeat, self.when_stale = heartbeat, when_stale

    def record_heartbeat(self, trial_id: int) -> None:
        self.set_trial_system_attr(trial_id, self.ALIVE, time.time())

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        latest = time.time() - SILENT * self.heartbeat
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        return [t._trial_id for t in running if t.system_attrs.get(self.ALIVE, latest) < latest]

    def get_heartbeat_interval(self) -> int:
        return self.heartbeat

    def get_heartbeat_stale_trial_callback(self) -> Callable:
        return self.when_stale


def take_out_cut_records(file: Path) -> list[int]:
    """Takes records that were cut in writing out of a journal, and returns their lines, counted from 1.

    A cut record at the end goes. One that the next record was written behind becomes spaces: other workers that have
    the file open know the places of its records.

    Raises:
        ValueError: a line that is neither a record nor a cut one; the message names it. Nothing is changed then.
        OSError: the file cannot be read or written.
    """
    with get_lock_file(JournalFileSymlinkLock(str(file))), file.open("r+b") as journal:
        cuts, start = {}, 0
        lines = journal.readlines()
        for number, line in enumerate(lines, 1):
            cut = _cut(line)
            if cut is None:
                raise ValueError(f"line {number} is no record of Optuna")
            if cut:
                cuts[number] = start, cut
            start += len(line)
        for begin, length in cuts.values():
            journal.seek(begin)
            journal.write(b" " * length)
        if lines and not lines[-1].endswith(b"\n"):
            if len(lines) in cuts:
                journal.truncate(start - len(lines[-1]))
            else:
                journal.seek(start)
                journal.write(b"\n")
    return list(cuts)


def _cut(line: bytes) -> int | None:
    """Bytes at the begin of a line that are of records that were cut; 0 for a whole record, None for anything else."""
    if _is_record(line):
        return 0
    at = line.find(BEGINNING)
    before = line if at < 0 else line[:at]
    if not BEGINNING.startswith(before.strip(b" \0")):  # a file system that lost power may leave zeros
        return None
    while at >= 0:
        if _is_record(line[at:]):
            return at
        at = line.find(BEGINNING, at + 1)
    return None if line.endswith(b"\n") else len(line)


def _is_record(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get("op_code"), int) and "worker_id" in record
