"""Offsets that the frontend recovers where the truth is known: the paper's grid of 10 ms and the refined variant.

    python tests/benchmarks/alignment.py [clips] [shifts a clip]

The two of a pair are windows on one recording, so both have real audio at their ends; the second hears everything later
or earlier by up to 300 ms, on the 10 ms grid or off it, clean or with white noise. Clips are real GRID clips where
present (SLTS_GRID), else generated ones. Exact: the nearest multiple of 10 ms (on the grid: the truth) was found.
"""

import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from metric_clips import GRID, speech_like  # noqa: E402

from slts.metrics.alignment import offsets_ms  # noqa: E402
from slts.reporting.sensitivity import read_sound  # noqa: E402

REACH = 4800
"""Samples (300 ms) that a window keeps from either end of its recording."""


def shifted_pair(recording: np.ndarray, lag: int, snr_db: float | None, rng: np.random.RandomState):
    """A window on a recording (N,), and another that lags by so many samples, with white noise added."""
    count = len(recording) - 2 * REACH
    late = recording[REACH - lag : REACH - lag + count]
    if snr_db is not None:
        noise = rng.standard_normal(count) * late.std() * 10 ** (-snr_db / 20)
        late = (late + noise).astype(np.float32)
    return recording[REACH : REACH + count], late


def recovered(recordings: list[np.ndarray], shifts: int, on_grid: bool, snr_db: float | None) -> np.ndarray:
    """Rows of (true, frontend, refined) offset in ms, ``shifts`` for each recording."""
    rng = np.random.RandomState(0)
    rows = []
    for recording in recordings:
        for _ in range(shifts):
            lag = 160 * rng.randint(-30, 31) if on_grid else rng.randint(-REACH, REACH + 1)
            rows.append((lag / 16, *offsets_ms(*shifted_pair(recording, lag, snr_db, rng))))
    return np.array(rows)


def main(clips: int = 20, shifts: int = 10) -> None:
    files = sorted(GRID.glob("s*/*.mpg"))
    files = files[:: max(1, len(files) // clips)][:clips]
    recordings = [read_sound(file) for file in files] or [speech_like(seed) for seed in range(clips)]
    source = "GRID" if files else "generated"
    print(f"{len(recordings)} {source} clips, {shifts} shifts of up to +-300 ms each\n")
    print(f"{'':<26}{'frontend':>26}{'refined':>26}")
    heads = f"{'exact':>8}{'median':>9}{'95 %':>9}"
    print(f"{'error in ms':<26}{heads}{heads}")
    for on_grid in (True, False):
        for snr_db in (None, 10.0, 0.0):
            truth, *found = recovered(recordings, shifts, on_grid, snr_db).T
            title = f"{'on' if on_grid else 'off'} the grid, {'clean' if snr_db is None else f'{snr_db:.0f} dB noise'}"
            columns = ""
            for offsets in found:
                error = np.abs(offsets - truth)
                # Half a millisecond of grace: 5 ms off the grid, both neighbours are the nearest.
                exact = (np.abs(10 * np.round(offsets / 10) - truth) <= 5.5).mean()
                columns += f"{exact:>8.1%}{np.median(error):>9.2f}{np.percentile(error, 95):>9.2f}"
            print(f"{title:<26}{columns}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
