"""Time per pair of the published packages against slts.metrics, in one process on one core.

    python tests/benchmarks/score.py [pairs]

Naive: the frontend as section 4.3 reads, one mel of the shifted audio for each of 61 shifts, then pystoi for STOI and
again for ESTOI, python_speech_features and pesq, plain and aligned. Ours: score_pair. Pairs are real GRID clips where
present (SLTS_GRID), else generated ones; the second of a pair is a copy with noise, shifted by up to +-280 ms. The two
must agree; the ratios are printed, not judged.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pesq
import pystoi
import python_speech_features
import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from metric_clips import GRID, speech_like  # noqa: E402

from slts.audio.mel import log_mel  # noqa: E402
from slts.memory import keep_freed_memory  # noqa: E402
from slts.metrics.scoring import USUAL, score_pair, score_pairs  # noqa: E402
from slts.reporting.sensitivity import read_sound  # noqa: E402

SETS = {
    "aligned, without PESQ": ("a_stoi", "a_estoi", "a_mcd", "frontend_offset_ms"),
    "aligned": ("a_stoi", "a_estoi", "a_mcd", "a_pesq", "frontend_offset_ms"),
    "plain and aligned, without PESQ": ("stoi", "estoi", "mcd", "a_stoi", "a_estoi", "a_mcd", "frontend_offset_ms"),
    "plain and aligned": USUAL[:-1],
}


TOLERANCE = {"stoi": 1e-9, "_mcd": 1e-10, "mcd": 1e-10}


def make_pairs(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    files = sorted((GRID / "s1").glob("*.mpg"))[:count]
    clips = [read_sound(file) for file in files] if files else [speech_like(seed) for seed in range(min(count, 10))]
    pairs = []
    for index in range(count):
        rng = np.random.RandomState(index)
        clip, lag = clips[index % len(clips)], 160 * rng.randint(-28, 29)
        noisy = clip + 0.1 * clip.std() * rng.standard_normal(len(clip)).astype(np.float32)
        edge = 4800
        pairs.append((clip[edge : len(clip) - edge], noisy[edge - lag : len(clip) - edge - lag]))
    return pairs


def standardised(audio: np.ndarray) -> np.ndarray:
    mel = log_mel(torch.from_numpy(audio)[None])[0].numpy()
    return (mel - mel.mean(1, keepdims=True)) / np.maximum(mel.std(1, keepdims=True), 1e-4)


def naive_offset_ms(reference: np.ndarray, generated: np.ndarray) -> int:
    """61 shifts of the waveform. Frames whose window leaves a signal differ from ours, hence the mels' inner part."""
    errors = {}
    target = standardised(reference)
    for shift in range(-30, 31):
        moved = np.roll(generated, 160 * shift)
        first, last = max(shift, 0) + 2, min(shift, 0) + len(target) - 2
        errors[shift] = np.square(target[first:last] - standardised(moved)[first:last]).mean()
    return -10 * min(errors, key=errors.get)


def naive(reference: np.ndarray, generated: np.ndarray, metrics: tuple[str, ...]) -> dict:
    offset = naive_offset_ms(reference, generated)
    lag = 16 * offset
    cut = reference[max(-lag, 0) :], generated[max(lag, 0) :]
    length = min(map(len, cut))
    compute: dict[str, Callable] = {
        "stoi": lambda x, y: pystoi.stoi(x, y, 16000),
        "estoi": lambda x, y: pystoi.stoi(x, y, 16000, extended=True),
        "mcd": lambda x, y: np.linalg.norm(
            python_speech_features.mfcc(x) - python_speech_features.mfcc(y), axis=1
        ).mean(),
        "pesq": lambda x, y: pesq.pesq(16000, x, y, "nb"),
    }
    row = {"frontend_offset_ms": offset}
    for name in metrics[:-1]:
        pair = (cut[0][:length], cut[1][:length]) if name.startswith("a_") else (reference, generated)
        row[name] = compute[name.removeprefix("a_")](*pair)
    return row


def timed(score: Callable, *arguments) -> tuple[float, dict]:
    start = time.process_time()
    row = score(*arguments)
    return 1000 * (time.process_time() - start), row


def pool_rate(pairs: list, workers: int) -> tuple[float, float]:
    """Seconds until the first row, and pairs a second from then on."""
    times = [time.perf_counter()]

    def stamped(rows):
        for row in rows:
            times.append(time.perf_counter())
            yield row

    score_pairs(pairs, workers, progress=stamped)
    return times[1] - times[0], (len(pairs) - 1) / (times[-1] - times[1])


def main(count: int) -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    torch.set_num_threads(1)
    keep_freed_memory()  # as slts score does
    pairs = make_pairs(count)
    source = "GRID s1" if (GRID / "s1").exists() else "generated"
    print(f"{count} pairs of {len(pairs[0][0]) / 16000:.2f} s ({source}), one process, one core\n")
    print(f"{'':<34}{'naive':>9}{'ours':>9}{'ratio':>8}   median CPU ms a pair")
    for title, metrics in SETS.items():
        score_pair(*pairs[0], metrics)  # filters and windows are made once
        slow, fast = [], []
        for pair in pairs:
            milliseconds, expected = timed(naive, *pair, metrics)
            slow.append(milliseconds)
            milliseconds, row = timed(score_pair, *pair, metrics)
            fast.append(milliseconds)
            for name in metrics:
                assert abs(row[name] - expected[name]) <= TOLERANCE.get(name[-4:], 0), (name, row[name], expected[name])
        naive_ms, our_ms = np.median(slow), np.median(fast)
        print(f"{title:<34}{naive_ms:>9.1f}{our_ms:>9.1f}{naive_ms / our_ms:>8.1f}")
    os.sched_setaffinity(0, cores)
    many = pairs * max(1, -(-200 // count))
    pool_rate(pairs[:2], 1)  # starts the server that processes are forked from
    (_, one), (start, two) = pool_rate(many, 1), pool_rate(many, 2)
    print(
        f"\neverything, {len(many)} pairs: {one:.1f} a second in one process, {two:.1f} in two ({two / one:.2f} times)"
    )
    print(f"first score after {start:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
