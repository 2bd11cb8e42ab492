"""Measure the audio-visual offset of every clip of shards, of a folder of videos, or of one video.

Writes a CSV of key, offset_ms (positive where the video lags the audio) and confidence (0..1), and prints its summary.
"""


def main(config) -> None:
    import csv
    from pathlib import Path

    import numpy as np

    from slts.evaluation.runs import load_run
    from slts.evaluation.videos import estimate_offsets

    run = load_run(config.run, config.checkpoint)
    rows = estimate_offsets(run, Path(config.data), config.faces, config.batch_size)
    out = Path(config.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["key", "offset_ms", "confidence"])
        writer.writeheader()
        writer.writerows(rows)
    if rows:
        offsets = np.array([row["offset_ms"] for row in rows])
        print(
            f"{len(rows)} clips: median {np.median(offsets):+.0f} ms, mean {offsets.mean():+.1f} ms, "
            f"sd {offsets.std():.1f} ms, {np.mean(np.abs(offsets) > 40):.1%} beyond 40 ms; written to {out}"
        )
