"""Measure the audio-visual offset of videos or shards, judge it, or take it out.

`slts offsets data=DATA` (a video, a folder of them, or shards; run=RUN or weights=FILE take another system than the
shipped estimator) writes a CSV of key, offset_ms (positive where the video lags the audio), confidence, at_edge (the
offset lies where the search ends, so that the true one may lie beyond), sure (whether a wrong sound would hardly give
this), of SyncNet distance, and of videos course (constant, drift, jumps), drift_ms_per_minute, jumps and cannot_tell,
the reason where there is no offset. Beside it lies a picture: a histogram, or of one long video its curve. The
confidence of SLTS is a probability; that of SyncNet is the median less the smallest distance, and the paper counts
clips above 3 of the published weights.
`standard=` says PASS, FAIL or CANNOT TELL of each video, `report=PAGE.html` shows curves and players, `json=true` is
for programs.
`slts offsets action=apply data=DATA out=OUT` (with run=RUN or offsets=CSV where wanted) writes corrected shards, or
videos: a constant moves their sound, a drift is resampled away, a jump is cut or filled with silence; the picture is
never encoded again, and NAME.repair.json says what was done. What was repaired once is left alone.
`slts offsets method=regression data=DATA` measures shards without any network, by ridge regression of the sound on
single pictures, learned on the shards themselves; its confidence is the share of the sound explained.
"""

import json
import sys
from functools import partial
from pathlib import Path

from slts.errors import UserError

ROW = ("key", "offset_ms", "confidence", "at_edge", "sure")
FURTHER = ("distance", "course", "drift_ms_per_minute", "jumps", "cannot_tell")


def main(config) -> int:
    _check(config)
    return _apply(config) if config.action == "apply" else _estimate(config)


def _check(config) -> None:
    """Refuses keys that contradict each other. Raises UserError."""
    sources = [name for name in ("run", "weights", "offsets") if config[name] is not None]
    allowed = ("run", "weights", "offsets") if config.action == "apply" else ("run", "weights")
    if config.method == "regression":
        if sources or config.calibrate:
            used = f"{sources[0]}=" if sources else "calibrate=true"
            raise UserError(f"method=regression learns from data= alone; leave {used} out")
    elif len(sources) > 1 or not set(sources) <= set(allowed):
        given = ", ".join(f"{name}={config[name]}" for name in sources)
        raise UserError(
            f"action={config.action} needs one of {', '.join(f'{name}=...' for name in allowed)}; got {given}"
        )
    if config.method == "slts" and config.weights is not None:
        raise UserError("method=slts: weights=... are SyncNet's; leave the method out, or give run=RUN of task=slts")
    shards = (Path(config.data) / "corpus.json").exists()
    chosen = [f"{kind}_stream=" for kind in ("video", "audio") if config[f"{kind}_stream"] is not None]
    if chosen and (config.method == "regression" or shards):
        raise UserError(f"{chosen[0]} chooses among the streams of videos, and shards have one of a kind; leave it out")
    of_videos = [f"{name}=" for name in ("standard", "report") if config[name] is not None]
    if of_videos and (shards or config.action == "apply" or config.method == "regression"):
        raise UserError(f"{of_videos[0]} is for the offsets of videos, with action=estimate; leave it out")
    if config.action == "apply" and config.out is None:
        raise UserError("out=... is required with action=apply: a folder, or a file for one video")
    if not Path(config.data).exists():
        raise UserError(f"data={config.data}: no such file or folder")
    if config.action == "apply" and Path(config.out).resolve() == Path(config.data).resolve():
        raise UserError(f"out={config.out} is the source, which is never overwritten; choose another")


def _estimate(config) -> int:
    from slts.commands.offsets_of_videos import judge_videos
    from slts.files import refuse_sources

    out = Path(config.out or "offsets.csv")
    if out.suffix == ".png":
        raise UserError(f"out={out} would be the picture beside the table; name a .csv")
    pages = [Path(config.report)] if config.report else []
    refuse_sources([out, out.with_suffix(".png"), *pages], _sources(config))
    if config.method == "regression" or (Path(config.data) / "corpus.json").exists():
        rows, step = _shard_rows(config)
        if config.json:
            print(*map(json.dumps, rows), sep="\n")
        write_table(rows, out)
        say_summary(config, rows, step, out)
        return 0 if rows else 1
    return judge_videos(config, out)


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


def _apply(config) -> int:
    from slts.commands.offsets_of_videos import repair_videos
    from slts.data.shards import read_corpus_json
    from slts.offsets.repair import repair_corpus

    data, out = Path(config.data), Path(config.out)
    if not (data / "corpus.json").exists():
        return repair_videos(config)
    if before := read_corpus_json(data).get("repaired"):
        print(f"{data} was repaired by {before['method']} already; nothing done")
        return 0
    if config.offsets:
        offsets = given_offsets(config)
    else:
        offsets = {r["key"]: r["offset_ms"] for r in counted_rows(_shard_rows(config)[0], config.above_confidence)}
    corpus = repair_corpus(data, offsets, method_of(config), out)
    clips = sum(split["clips"] for split in corpus["splits"].values())
    print(
        f"{clips} clips written to {out}, offsets of {method_of(config)} taken out; what became too short is in"
        " rejected.jsonl"
    )
    return 0


def _sources(config) -> list[Path]:
    """The files that an estimate reads: videos, or shards and what lies with them."""
    from slts.systems.videos import find_videos

    data = Path(config.data)
    read = list(data.iterdir()) if (data / "corpus.json").exists() else [*find_videos(data)]
    network = [Path(config.weights)] if config.weights else []
    return network + [file for file in read if file.suffix not in (".csv", ".png")]  # an earlier estimate may go


def given_offsets(config) -> dict[str, float]:
    from slts.offsets.agreement import read_offsets

    try:
        return read_offsets(Path(config.offsets), config.above_confidence)
    except (OSError, ValueError) as error:
        raise UserError(f"offsets={config.offsets}: {error}; give a CSV of slts offsets") from None


def method_of(config) -> str:
    """What found the offsets, for records."""
    return config.offsets or config.run or config.weights or config.method or "the shipped estimator"


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


def _shard_rows(config) -> tuple[list[dict], float]:
    """The rows of a folder of shards, and the step of the estimates in ms."""
    from slts.offsets.estimation import shard_offsets
    from slts.offsets.regression import regression_offsets

    sure_above = config.above_confidence
    if config.method == "regression":
        rows = regression_offsets(Path(config.data), config.batch_size)
        sure = [not r["at_edge"] and sure_above is not None and r["confidence"] > sure_above for r in rows]
        return [row | {"sure": told} for row, told in zip(rows, sure, strict=True)], 10.0
    run, constant = load_system(config)
    sure_above = run.task.sure_above if sure_above is None else sure_above
    rows = shard_offsets(run, Path(config.data), config.batch_size, sure_above, partial(tell, config))
    return [{**row, "offset_ms": round(row["offset_ms"] - constant, 1)} for row in rows], run.task.offset_step_ms


def streams_of(config):
    from slts.data.media import Streams

    return Streams(config.video_stream, config.audio_stream)


def tell(config, text: str) -> None:
    print(text, file=sys.stderr if config.json else sys.stdout)


def counted_rows(rows: list[dict], above_confidence: float | None) -> list[dict]:
    told = [row for row in rows if row["offset_ms"] is not None]
    return [row for row in told if above_confidence is None or row["confidence"] > above_confidence]


def _offsets(rows: list[dict]):
    import numpy as np

    return np.array([row["offset_ms"] for row in rows])


def _summary(rows: list[dict]) -> str:
    import numpy as np

    offsets = _offsets(rows)
    at_edge = sum(row["at_edge"] for row in rows)
    edge = f", {at_edge} at the edge of the search, whose true offset may lie beyond" if at_edge else ""
    return (
        f"{len(rows)} clips: median {np.median(offsets):+.0f} ms, mean {offsets.mean():+.1f} ms, "
        f"sd {offsets.std():.1f} ms, {np.mean(np.abs(offsets) > 40):.1%} beyond 40 ms{edge}"
    )


def write_table(rows: list[dict], out: Path) -> None:
    from slts.spreadsheet import write_csv

    columns = [*ROW, *(name for name in FURTHER if any(name in row for row in rows))]
    try:
        write_csv(out, columns, rows)
    except (IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"out={out} cannot be written ({error.strerror}); choose another file") from None
