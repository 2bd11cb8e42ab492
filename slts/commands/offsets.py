"""Measure the audio-visual offset of every clip of shards, of a folder of videos, or of one video; or take it out.

`slts offsets run=RUN data=DATA` writes a CSV of key, offset_ms (positive where the video lags the audio), confidence,
at_edge (the offset lies where the search ends, so that the true one may lie beyond) and, of SyncNet, distance, and
beside it a histogram. The confidence of SLTS is a probability; that of SyncNet is the
median less the smallest distance, and the paper counts clips above 3 of the published weights.
`slts offsets action=apply data=DATA run=RUN out=OUT` (or offsets=CSV) writes corrected shards, or videos whose sound is
moved and nothing encoded again. What was repaired once is left alone. Files that cannot be used are named.
`slts offsets method=regression data=DATA` measures shards without any network, by ridge regression of the sound on
single pictures, learned on the shards themselves; its confidence is the share of the sound explained.
"""

from pathlib import Path

from slts.errors import UserError


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
    elif len(sources) != 1 or sources[0] not in allowed:
        given = ", ".join(f"{name}={config[name]}" for name in sources) or "none of them"
        raise UserError(
            f"action={config.action} needs one of {', '.join(f'{name}=...' for name in allowed)}; got {given}"
        )
    if config.method == "slts" and config.weights is not None:
        raise UserError("method=slts: weights=... are SyncNet's; leave the method out, or give run=RUN of task=slts")
    chosen = [f"{kind}_stream=" for kind in ("video", "audio") if config[f"{kind}_stream"] is not None]
    if chosen and (config.method == "regression" or (Path(config.data) / "corpus.json").exists()):
        raise UserError(f"{chosen[0]} chooses among the streams of videos, and shards have one of a kind; leave it out")
    if config.action == "apply" and config.out is None:
        raise UserError("out=... is required with action=apply: a folder, or a file for one video")
    if not Path(config.data).exists():
        raise UserError(f"data={config.data}: no such file or folder")
    if config.action == "apply" and Path(config.out).resolve() == Path(config.data).resolve():
        raise UserError(f"out={config.out} is the source, which is never overwritten; choose another")


def _estimate(config) -> int:
    from slts.evaluation.figures import offset_histogram
    from slts.files import refuse_sources

    out = Path(config.out or "offsets.csv")
    if out.suffix == ".png":
        raise UserError(f"out={out} would be the picture beside the table; name a .csv")
    refuse_sources([out, out.with_suffix(".png")], _sources(config))
    rows, step = _estimated(config)
    _write(rows, out)
    counted = _counted(rows, config.above_confidence)
    left_out = len(rows) - len(counted)
    if left_out:
        print(f"{left_out} of {len(rows)} clips do not count: confidence of at most {config.above_confidence:g}")
    if counted:
        print(f"{_summary(counted)}; written to {out} and {out.with_suffix('.png')}")
        note = f"confidence <= {config.above_confidence}"
        offset_histogram(_offsets(counted), step, Path(config.data).name, out.with_suffix(".png"), left_out, note)
    else:
        print(f"no offset to count; {len(rows)} rows written to {out}")
    return 0 if rows else 1


def _apply(config) -> int:
    from slts.data.shards import read_corpus_json
    from slts.offsets.repair import repair_corpus

    data, out = Path(config.data), Path(config.out)
    shards = (data / "corpus.json").exists()
    if shards and (before := read_corpus_json(data).get("repaired")):
        print(f"{data} was repaired by {before['method']} already; nothing done")
        return 0
    offsets, method = _offsets_to_apply(config)
    if not shards:
        return _repair_videos(config, offsets, method)
    corpus = repair_corpus(data, offsets, method, out)
    clips = sum(split["clips"] for split in corpus["splits"].values())
    print(f"{clips} clips written to {out}, offsets of {method} taken out; what became too short is in rejected.jsonl")
    return 0


def _repair_videos(config, offsets: dict[str, float], method: str) -> int:
    from slts.data.clip import Reject
    from slts.data.media.shifting import TIMED, repair_video
    from slts.files import refuse_sources
    from slts.systems.videos import find_videos

    data, out, done = Path(config.data), Path(config.out), 0

    def target_of(video: Path, key: str) -> Path:
        if not (data.is_dir() or out.is_dir()):
            return out
        if video.suffix.lower() not in TIMED:
            return out / f"{key}.mkv"
        return out / (video.relative_to(data) if data.is_dir() else video.name)

    videos = find_videos(data, print) if config.offsets else find_videos(data)  # else the estimate has noted
    targets = {video: target_of(video, key) for video, key in videos.items() if key in offsets}
    refuse_sources(targets.values(), videos)
    for video, key in videos.items():
        if key not in offsets:
            print(f"{video}: no offset; left out")
            continue
        target = targets[video]
        try:
            written = repair_video(video, offsets[key], method, target, _streams(config))
        except Reject as reject:
            print(f"{video}: {reject}")
            continue
        done += 1
        state = f"sound moved by {offsets[key]:+.0f} ms" if written else "repaired already, nothing done"
        print(f"{video} -> {target}: {state}" if written else f"{video}: {state}")
    return 0 if done else 1


def _sources(config) -> list[Path]:
    """The files that an estimate reads: videos, or shards and what lies with them."""
    from slts.systems.videos import find_videos

    data = Path(config.data)
    read = list(data.iterdir()) if (data / "corpus.json").exists() else [*find_videos(data)]
    network = [Path(config.weights)] if config.weights else []
    return network + [file for file in read if file.suffix not in (".csv", ".png")]  # an earlier estimate may go


def _offsets_to_apply(config) -> tuple[dict[str, float], str]:
    """Offsets by key, and what found them."""
    from slts.offsets.agreement import read_offsets

    if config.offsets is None:
        rows, _ = _estimated(config)
        counted = _counted(rows, config.above_confidence)
        return {row["key"]: row["offset_ms"] for row in counted}, config.run or config.weights or config.method
    try:
        return read_offsets(Path(config.offsets), config.above_confidence), config.offsets
    except (OSError, ValueError) as error:
        raise UserError(f"offsets={config.offsets}: {error}; give a CSV of slts offsets") from None


def _estimated(config) -> tuple[list[dict], float]:
    """The rows of estimate_offsets, and the step of the estimates in ms."""
    from slts.data.faces.people import Thresholds
    from slts.offsets.calibration import calibrate
    from slts.offsets.estimation import estimate_offsets
    from slts.offsets.regression import regression_offsets
    from slts.systems.contract import OFFSETS
    from slts.systems.syncnet.published import load_syncnet
    from slts.systems.trained import load_run_giving

    if config.method == "regression":
        return regression_offsets(Path(config.data), config.batch_size), 10.0
    run = (
        load_syncnet(config.weights)
        if config.weights
        else load_run_giving((OFFSETS,), "slts offsets", config.run, config.checkpoint)
    )
    task = run.config.task.name
    if config.method not in (None, task):
        raise UserError(
            f"method={config.method}: run={config.run} is of task={task}; leave the method out or change run"
        )
    limits = Thresholds.of(config.tracks)
    constant = calibrate(run, config.batch_size, Path(config.data)).constant_ms if config.calibrate else 0.0
    rows = estimate_offsets(run, Path(config.data), config.faces, config.batch_size, limits, _streams(config))
    if config.calibrate:
        print(f"the run's own constant, {constant:+.1f} ms, is taken out")
        rows = [{**row, "offset_ms": round(row["offset_ms"] - constant, 1)} for row in rows]
    return rows, run.task.offset_step_ms


def _streams(config):
    from slts.data.media import Streams

    return Streams(config.video_stream, config.audio_stream)


def _counted(rows: list[dict], above_confidence: float | None) -> list[dict]:
    return [row for row in rows if above_confidence is None or row["confidence"] > above_confidence]


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


def _write(rows: list[dict], out: Path) -> None:
    from slts.spreadsheet import write_csv

    columns = ["key", "offset_ms", "confidence", "at_edge", *(["distance"] if rows and "distance" in rows[0] else [])]
    try:
        write_csv(out, columns, rows)
    except (IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"out={out} cannot be written ({error.strerror}); choose another file") from None
