"""Score a run's best checkpoint on a split, plainly and time-aligned.

Appends a row to RUN/results.jsonl, writes RUN/clips-SPLIT.csv, and leaves sounds and figures in RUN/samples/SPLIT/.
"""


def main(config) -> None:
    import os
    from functools import partial
    from pathlib import Path

    import numpy as np
    from rich.progress import track

    from slts.data.loader import evaluation_loader
    from slts.data.location import recorded_data
    from slts.data.shards import read_corpus_json
    from slts.errors import UserError
    from slts.evaluation.clips import generate_clips
    from slts.evaluation.pictures import offset_figure
    from slts.evaluation.results import result_row, write_results
    from slts.evaluation.runs import load_speaking_run
    from slts.evaluation.syncnet import judge_clips, load_syncnet
    from slts.evaluation.validation import show_clips
    from slts.metrics.alignment import overlap
    from slts.metrics.scoring import AT_EDGE, USUAL, score_pairs
    from slts.recognition.recogniser import load_recognisers
    from slts.recognition.speech import read_texts
    from slts.training.tracking import publish_scores

    run = load_speaking_run(config.run, config.checkpoint)
    data = Path(config.data) if config.data else recorded_data(run.config.data, f"run={config.run}")
    corpus = read_corpus_json(data)
    syncnet = load_syncnet(config.syncnet) if config.syncnet else None
    recognisers = load_recognisers(config.whisper, config.recogniser, data)
    natural = _natural_offsets(config.natural)
    dataset = run.dataset(data, config.split)
    if natural and natural.keys().isdisjoint(dataset.keys):
        raise UserError(f"natural={config.natural}: none of its clips is in the {config.split} split of {data}")
    batches = track(evaluation_loader(dataset, config.batch_size), "generating")
    clips = list(generate_clips(run.task, batches, run.device))
    if config.sync == "dsm" and clips[0].dsm_offset_ms is None:
        raise UserError(f"sync=dsm: run={config.run} has no DSM (variant {run.config.variant}); use sync=none")
    pairs = [overlap(c.reference, c.generated, c.dsm_offset_ms if config.sync == "dsm" else 0.0) for c in clips]
    bar = partial(track, description="scoring", total=len(pairs))
    scored = score_pairs(pairs, config.workers or os.cpu_count(), (*USUAL, AT_EDGE), progress=bar)
    rows = [
        {**vars(clip), **scores, "natural_ms": natural.get(clip.key)}
        for clip, scores in zip(clips, scored, strict=True)
    ]
    if syncnet:
        judged = judge_clips(syncnet, data, config.split, clips, config.batch_size)
        rows = [row | columns for row, columns in zip(rows, judged, strict=True)]
    words = _hear_clips(recognisers, clips, read_texts(data, config.split), rows)
    constant = _constant(run, config.batch_size, data) if config.calibrate else None
    row = result_row(
        run.config, corpus, config.split, config.sync, run.step, rows, words, config.above_confidence, constant
    )
    table = write_results(run.directory, config.split, row, rows)
    folder = run.directory.samples / config.split
    title = f"{run.config.name} on {config.split}"
    show_clips(run.task, dataset, run.device, clips[: config.show], title, folder)
    known = [c for c in clips if c.dsm_offset_ms is not None and c.offset_ms is not None]
    if len(known) > 1:
        truth, found = (np.array([getattr(c, name) for c in known]) for name in ("offset_ms", "dsm_offset_ms"))
        offset_figure(truth, found, title, folder / "offsets.png")
    publish_scores(run.config, run.directory)
    for name, value in row.items():
        if isinstance(value, (int, float)):
            print(f"{name:>24} {value:.4g}")
    for name, how in {"w_wer": "whisper=MODEL", "k_wer": "slts recogniser data=DIR or recogniser=pocketsphinx"}.items():
        if row[name] is None:
            reasons = ", ".join(words[name]["reasons"]) if name in words else f"no recogniser; {how} gives one"
            print(f"{name:>24} null ({reasons})")
    for name, of in {"at_edge": "DSM at +-task.radius", AT_EDGE: "the frontend at +-300 ms"}.items():
        if count := sum(bool(clip[name]) for clip in rows):
            print(f"{count} of {len(rows)} clips have an offset of {of}, whose true offset may lie beyond")
    for name, summary in words.items():
        for reason, count in summary["reasons"].items():
            print(f"{name}: {count} of {len(rows)} clips are not in it: {reason}")
    print(f"row in {run.directory.results}, clips in {table}, sounds and pictures in {folder}")


def _natural_offsets(file: str | None) -> dict[str, float]:
    from pathlib import Path

    from slts.errors import UserError
    from slts.metrics.offsets import read_offsets

    try:
        return read_offsets(Path(file)) if file else {}
    except (OSError, ValueError) as error:
        raise UserError(f"natural={file}: {error}; give a CSV of slts offsets") from None


def _constant(run, batch_size: int, data) -> float | None:
    """The constant of the run's offsets in ms by calibration; None where it has no offsets or has not locked."""
    from slts.errors import UserError
    from slts.evaluation.calibration import calibrate

    if getattr(run.task, "dsm", None) is None:
        return None
    try:
        return calibrate(run, batch_size, data).constant_ms
    except UserError as error:
        print(f"offset_calibration_ms null ({error})")
        return None


def _hear_clips(recognisers: list, clips: list, texts: dict, rows: list[dict]) -> dict[str, dict]:
    """The summary of summarise_words; what was said and heard in each clip goes into its row."""
    from functools import partial

    from rich.progress import track

    from slts.recognition.error_rate import hear, summarise_words, table_columns

    pairs, said = [(c.reference, c.generated) for c in clips], [texts[c.key] for c in clips]
    bar = partial(track, total=len(clips))
    heard = {r.metric: hear(r, pairs, said, partial(bar, description=r.metric)) for r in recognisers}
    for row, columns in zip(rows, table_columns(heard), strict=bool(heard)):
        row |= columns
    return summarise_words(heard)
