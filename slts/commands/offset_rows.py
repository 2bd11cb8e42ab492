"""What ``slts offsets`` of shards and of videos share: the system asked for, the rows it gives, and what is said."""

import sys
from pathlib import Path

from slts.errors import UserError

ROW = ("key", "offset_ms", "confidence", "at_edge", "sure")
FURTHER = ("distance", "course", "drift_ms_per_minute", "jumps", "cannot_tell")


def load_system(config):
    """The system, and its constant in ms."""
    from slts.offsets.alignment import load_estimator
    from slts.offsets.calibration import calibrate

    run = load_estimator(config.run, config.weights, config.checkpoint)
    task = run.config.task.name
    if config.method not in (None, task):
        raise UserError(
            f"method={config.method}: run={config.run} is of task={task}; leave the method out or change run"
        )
    constant = calibrate(run, config.batch_size, Path(config.data)).constant_ms if config.calibrate else 0.0
    if config.calibrate:
        tell(config, f"the run's own constant, {constant:+.1f} ms, is taken out")
    return run, constant


def given_offsets(config) -> dict[str, float]:
    from slts.data.offset_table import read_offsets

    try:
        return read_offsets(Path(config.offsets), config.above_confidence)
    except (OSError, ValueError) as error:
        raise UserError(f"offsets={config.offsets}: {error}; give a CSV of slts offsets") from None


def method_of(config) -> str:
    """What found the offsets, for records."""
    return config.offsets or config.run or config.weights or config.method or "the shipped estimator"


def streams_of(config):
    from slts.data.media import Streams

    return Streams(config.video_stream, config.audio_stream)


def counted_rows(rows: list[dict], above_confidence: float | None) -> list[dict]:
    told = [row for row in rows if row["offset_ms"] is not None]
    return [row for row in told if above_confidence is None or row["confidence"] > above_confidence]


def write_table(rows: list[dict], out: Path) -> None:
    from slts.spreadsheet import write_csv

    columns = [*ROW, *(name for name in FURTHER if any(name in row for row in rows))]
    try:
        write_csv(out, columns, rows)
    except (IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"out={out} cannot be written ({error.strerror}); choose another file") from None


def say_summary(config, rows: list[dict], step: float, out: Path) -> None:
    from slts.evaluation.figures import offset_histogram

    counted = counted_rows(rows, config.above_confidence)
    told = [row for row in rows if row["offset_ms"] is not None]
    if left_out := len(told) - len(counted):
        tell(config, f"{left_out} of {len(rows)} clips do not count: confidence of at most {config.above_confidence:g}")
    if counted:
        tell(config, f"{_summary(counted)}; written to {out} and {out.with_suffix('.png')}")
        note = f"confidence <= {config.above_confidence}"
        offset_histogram(_offsets(counted), step, Path(config.data).name, out.with_suffix(".png"), left_out, note)
    else:
        tell(config, f"no offset to count; {len(rows)} rows written to {out}")


def _summary(rows: list[dict]) -> str:
    import numpy as np

    offsets = _offsets(rows)
    at_edge = sum(row["at_edge"] for row in rows)
    edge = f", {at_edge} at the edge of the search, whose true offset may lie beyond" if at_edge else ""
    return (
        f"{len(rows)} clips: median {np.median(offsets):+.0f} ms, mean {offsets.mean():+.1f} ms, "
        f"sd {offsets.std():.1f} ms, {np.mean(np.abs(offsets) > 40):.1%} beyond 40 ms{edge}"
    )


def _offsets(rows: list[dict]):
    import numpy as np

    return np.array([row["offset_ms"] for row in rows])


def tell(config, text: str) -> None:
    print(text, file=sys.stderr if config.json else sys.stdout)
