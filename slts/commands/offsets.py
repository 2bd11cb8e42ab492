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
from functools import partial
from pathlib import Path

from slts.commands.offset_rows import (
    counted_rows,
    given_offsets,
    load_system,
    method_of,
    say_summary,
    tell,
    write_table,
)
from slts.data.location import refuse_addresses
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
    elif len(sources) > 1 or not set(sources) <= set(allowed):
        given = ", ".join(f"{name}={config[name]}" for name in sources)
        raise UserError(
            f"action={config.action} needs one of {', '.join(f'{name}=...' for name in allowed)}; got {given}"
        )
    if config.method == "slts" and config.weights is not None:
        raise UserError("method=slts: weights=... are SyncNet's; leave the method out, or give run=RUN of task=slts")
    refuse_addresses(config, "data")
    shards = (Path(config.data) / "corpus.json").exists()
    if config.action != "apply" or not shards:
        refuse_addresses(config, "out")
    chosen = [f"{kind}_stream=" for kind in ("video", "audio") if config[f"{kind}_stream"] is not None]
    if chosen and (config.method == "regression" or shards):
        raise UserError(f"{chosen[0]} chooses among the streams of videos, and shards have one of a kind; leave it out")
    if config.corpus_prior and (config.method == "regression" or not shards):
        raise UserError("corpus_prior=true is for shards and a run that gives P(k) of each clip; leave it out")
    of_videos = [f"{name}=" for name in ("standard", "report") if config[name] is not None]
    if of_videos and (shards or config.action == "apply" or config.method == "regression"):
        raise UserError(f"{of_videos[0]} is for the offsets of videos, with action=estimate; leave it out")
    if config.part is not None:
        if config.action == "apply":
            raise UserError("part=... is of action=estimate; apply offsets=CSV of all parts together")
        if config.method == "regression" or config.corpus_prior:
            what = "corpus_prior=true" if config.corpus_prior else "method=regression"
            raise UserError(f"part=...: {what} learns from all clips together; leave one of them out")
        if config.report is not None:
            raise UserError("part=...: report= is one page of all videos; leave one of them out")
    if config.method == "regression" and (config.engine != "local" or config.workers is not None):
        raise UserError(
            "method=regression works in one process, as it learns from all clips together; leave engine="
            " and workers= out"
        )
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
    if config.part is not None:
        out = out.with_stem(f"{out.stem}-{config.part.replace('/', '-of-')}")
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


def _apply(config) -> int:
    from slts.commands.offsets_of_videos import repair_videos
    from slts.data.destination import destination
    from slts.data.engine import engine_of
    from slts.data.shards import read_corpus_json
    from slts.offsets.repair import repair_corpus

    data = Path(config.data)
    if not (data / "corpus.json").exists():
        return repair_videos(config)
    if before := read_corpus_json(data).get("repaired"):
        print(f"{data} was repaired by {before['method']} already; nothing done")
        return 0
    if config.offsets:
        offsets = given_offsets(config)
    else:
        offsets = {r["key"]: r["offset_ms"] for r in counted_rows(_shard_rows(config)[0], config.above_confidence)}
    out = destination(config)
    engine = engine_of(config, data / "corpus.json", *out.shared)
    corpus = repair_corpus(data, offsets, method_of(config), out, engine)
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


def _shard_rows(config) -> tuple[list[dict], float]:
    """The rows of a folder of shards, and the step of the estimates in ms."""
    from slts.data.engine import engine_of
    from slts.offsets.estimation import shard_offsets
    from slts.offsets.regression import regression_offsets

    sure_above = config.above_confidence
    if config.method == "regression":
        rows = regression_offsets(Path(config.data), config.batch_size)
        sure = [not r["at_edge"] and sure_above is not None and r["confidence"] > sure_above for r in rows]
        return [row | {"sure": told} for row, told in zip(rows, sure, strict=True)], 10.0
    run, constant = load_system(config)
    sure_above = run.task.sure_above if sure_above is None else sure_above
    data, say = Path(config.data), partial(tell, config)
    engine = engine_of(config, data / "corpus.json")
    rows = shard_offsets(run, data, config.batch_size, sure_above, say, config.corpus_prior, engine, config.part)
    return [{**row, "offset_ms": round(row["offset_ms"] - constant, 1)} for row in rows], run.task.offset_step_ms
