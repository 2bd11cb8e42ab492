"""What raters answered: one file a rater, to which each answer is added and seen to be on the disk at once."""

import math
import threading
from datetime import UTC, datetime
from pathlib import Path

from slts.json_lines import append_rows, read_rows
from slts.listening.aspects import DEVICES, PREFERENCE, SCALE
from slts.listening.plan import CHECK, CHOICE, CONSENT, RATING, REMARK, SETUP, TRAINING, Plan, Rater, Step

FOLDER = "answers"
LONGEST_REMARK = 2000
MOST_PLAYS, LONGEST_STEP = 10_000, 10 * 86400


class OutOfTurn(Exception):
    """An answer to a step that was answered before, or whose turn it is not."""


class Answers:
    """The answers to a test.

    Any number of threads may give answers: of several to one step the first counts, so that a double click, a reload
    or a second window changes nothing.
    """

    def __init__(self, folder: Path, plan: Plan):
        self.folder, self.plan, self.lock = folder / FOLDER, plan, threading.Lock()
        self.folder.mkdir(exist_ok=True)
        self.rows = {rater.name: answers_of(folder, plan, rater) for rater in plan.raters}

    def turn(self, rater: Rater) -> int:
        """Number of the first step without an answer; ``len(rater.steps)`` after the last."""
        rows = self.rows[rater.name]
        return next((step for step in range(len(rater.steps)) if step not in rows), len(rater.steps))

    def give(self, rater: Rater, row: object) -> None:
        """Keeps an answer: ``step``, ``answer``, ``plays`` (of each clip) and ``seconds`` of an object.

        Raises:
            ValueError: it is no answer to a step of the rater's.
            OutOfTurn: it comes too early or once more.
            OSError: it cannot be kept.
        """
        if fault := fault_of(self.plan, rater, row):
            raise ValueError(fault)
        with self.lock:
            if row["step"] != self.turn(rater):
                raise OutOfTurn
            kept = {name: row[name] for name in ("step", "answer", "plays", "seconds")}
            kept["time"] = datetime.now(UTC).isoformat(timespec="seconds")
            append_rows(self.folder / f"{rater.name}.jsonl", [kept])
            self.rows[rater.name][row["step"]] = kept


def answers_of(folder: Path, plan: Plan, rater: Rater) -> dict[int, dict]:
    """A rater's answers by step. Lines that are no answers are left out, which is said; of two the first counts."""
    rows = read_rows(folder / FOLDER / f"{rater.name}.jsonl", lambda row: fault_of(plan, rater, row))
    return {row["step"]: row for row in reversed(rows)}


def fault_of(plan: Plan, rater: Rater, row: object) -> str | None:
    """Why something is no answer to a step of the rater's; None where it is one."""
    if not isinstance(row, dict) or not _whole(row.get("step"), 0, len(rater.steps) - 1):
        return "no answer to a step of this rater"
    step, plays, seconds = rater.steps[row["step"]], row.get("plays"), row.get("seconds")
    if not isinstance(plays, list) or len(plays) != len(step.clips):
        return "plays must be one number a clip"
    if not all(_whole(count, 1, MOST_PLAYS) for count in plays):
        return "a clip was not heard to its end"
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return "seconds must be a number"
    if not 0 <= seconds <= LONGEST_STEP:
        return "seconds out of range"
    return None if _fits(plan, step, row.get("answer")) else f"no answer to a step of the kind {step.kind}"


def _fits(plan: Plan, step: Step, answer: object) -> bool:
    if not isinstance(answer, dict):
        return False
    if step.kind in (TRAINING, RATING, CHECK):
        return answer.keys() == set(plan.rated) and all(
            _whole(score, min(SCALE), max(SCALE)) for score in answer.values()
        )
    (name, value), *others = answer.items() or [(None, None)]
    if others:
        return False
    if step.kind == CONSENT:
        return name == "agreed" and value is True
    if step.kind == SETUP:
        return name == "device" and isinstance(value, str) and value in DEVICES
    if step.kind == CHOICE:
        return name == PREFERENCE and _whole(value, 0, len(step.clips) - 1)
    return step.kind == REMARK and name == "remark" and isinstance(value, str) and len(value) <= LONGEST_REMARK


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
