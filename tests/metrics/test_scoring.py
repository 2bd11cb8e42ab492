import os
from functools import partial

import numpy as np
import pystoi
import pytest
from metric_clips import speech_like

from slts.metrics import (
    METRICS,
    Undefined,
    estoi,
    frontend_offset,
    mcd,
    mcd_db,
    overlap,
    pesq,
    refined_offset,
    score_pair,
    score_pairs,
    stoi,
    summarise,
)
from slts.metrics.scoring import AT_EDGE, FACTS, USUAL
from slts.reporting.sensitivity import delayed


def load(seed: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    if seed < 0:
        raise Undefined("no such seed")
    return speech_like(seed), delayed(speech_like(seed), samples)


def test_aligned_scores_are_the_plain_scores_of_the_overlap():
    reference = speech_like(0)
    generated = delayed(speech_like(0, noise=0.05), 800)
    row = score_pair(reference, generated)
    assert tuple(row) == (*USUAL, "reasons")
    assert row["frontend_offset_ms"] == 50 and row["reasons"] == {}
    assert row["stoi"] == pytest.approx(pystoi.stoi(reference, generated, 16000), abs=1e-9)
    cut = reference[:-800], generated[800:]
    assert row["a_stoi"] == pytest.approx(pystoi.stoi(*cut, 16000), abs=1e-9)
    assert row["a_estoi"] == pytest.approx(pystoi.stoi(*cut, 16000, extended=True), abs=1e-9)
    assert (row["a_mcd"], row["a_pesq"]) == (mcd(*cut), pesq(*cut))
    assert row["a_stoi"] > row["stoi"] + 0.3


def test_aligned_equals_plain_without_an_offset():
    row = score_pair(speech_like(0), speech_like(0, noise=0.05)[:40000])
    assert row["frontend_offset_ms"] == 0
    assert all(row[name] == row[f"a_{name}"] for name in ("stoi", "estoi", "pesq", "mcd"))
    assert row["mcd"] == mcd(speech_like(0)[:40000], speech_like(0, noise=0.05)[:40000])


def test_metrics_of_the_whole_reference_take_what_is_missing_for_silence():
    reference = speech_like(0)
    half = len(reference) // 2
    names = ("stoi", "estoi", "pesq", "mcd")
    asked = (*names, *(f"{name}_whole" for name in names), *FACTS)
    row = score_pair(reference, reference[:half], asked)
    assert row["stoi"] == pytest.approx(1) and row["mcd"] == 0
    silent = score_pair(reference, np.where(np.arange(len(reference)) < half, reference, 0), names)
    assert {name: row[f"{name}_whole"] for name in names} == {name: silent[name] for name in names}
    assert row["stoi_whole"] < 0.7 and row["estoi_whole"] < 0.7 and row["pesq_whole"] < 4 and row["mcd_whole"] > 10
    assert (row["reference_s"], row["generated_s"]) == (len(reference) / 16000, half / 16000)
    # Of a generated sound that is as long or longer nothing is missing.
    longer = score_pair(reference[:half], reference, asked)
    assert all(longer[f"{name}_whole"] == longer[name] for name in names)


def test_whole_alone_needs_no_plain_metric():
    reference = speech_like(0)
    for generated in (reference, reference[:30000], np.concatenate([reference, reference])):
        row = score_pair(reference, generated, ["stoi_whole"])
        assert list(row) == ["stoi_whole", "reasons"] and 0 < row["stoi_whole"] <= 1 + 1e-9


@pytest.mark.parametrize(("lag", "at_edge"), [(4640, False), (4800, True), (-4800, True)])
def test_an_offset_at_the_edge_of_the_search_is_told(lag, at_edge):
    source = speech_like(1, 4.0)
    pair = source[6400:-6400], source[6400 - lag : len(source) - 6400 - lag]
    assert score_pair(*pair, ["mcd", AT_EDGE])[AT_EDGE] is at_edge


def test_facts_of_a_pair_that_cannot_be_scored():
    row = score_pair(speech_like(0), np.zeros(16000, np.float32), ("mcd", *FACTS))
    assert row == {
        "mcd": None,
        "reference_s": len(speech_like(0)) / 16000,
        "generated_s": 1.0,
        AT_EDGE: None,
        "reasons": {"mcd": "generated audio is silent"},
    }


def test_only_what_is_asked_for(monkeypatch):
    monkeypatch.setattr("slts.metrics.scoring.offsets_ms", lambda *_: pytest.fail("no offset was asked for"))
    assert score_pair(speech_like(0), speech_like(0), metrics=["mcd"]) == {"mcd": 0.0, "reasons": {}}
    with pytest.raises(ValueError, match="unknown metric wer"):
        score_pair(speech_like(0), speech_like(0), metrics=["wer"])


def test_stoi_may_be_that_of_the_package(monkeypatch):
    pair = speech_like(0), speech_like(1)
    own, package = (score_pair(*pair, metrics=["stoi", "a_estoi"], stoi=name) for name in ("own", "pystoi"))
    for name in ("stoi", "a_estoi"):
        assert own[name] == pytest.approx(package[name], abs=1e-9)
    monkeypatch.setattr(pystoi, "stoi", lambda *_: 0.25)
    assert score_pair(*pair, metrics=["stoi"], stoi="pystoi")["stoi"] == 0.25


def test_too_little_speech_has_no_stoi_by_either(recwarn):
    short = [speech_like(seed)[:4000] for seed in (0, 1)]
    for name in ("own", "pystoi"):
        row = score_pair(*short, metrics=["stoi"], stoi=name)
        assert row["stoi"] is None and "frames of speech" in row["reasons"]["stoi"]
    assert not recwarn


def test_pesq_mode_is_passed_on():
    pair = speech_like(0), speech_like(0, noise=0.05)
    assert score_pair(*pair, metrics=["a_pesq"], pesq_mode="wb")["a_pesq"] == pesq(*pair, "wb")


@pytest.mark.parametrize(
    ("generated", "reason"),
    [
        (np.zeros(48000, np.float32), "generated audio is silent"),
        (np.full(48000, np.nan, np.float32), "generated audio is not finite"),
        (np.zeros(0, np.float32), "generated audio is empty"),
    ],
)
def test_bad_audio_gives_null_and_the_reason_for_every_metric(generated, reason):
    row = score_pair(speech_like(0), generated)
    assert all(row[name] is None for name in USUAL)
    assert row["reasons"] == dict.fromkeys(USUAL, reason)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("scale", [1e30, 1e300])
def test_absurdly_loud_audio_gives_no_number_that_is_none(scale):
    row = score_pair(scale * speech_like(0).astype(float), speech_like(0), METRICS)
    assert all(row[name] is None or np.isfinite(row[name]) for name in METRICS)
    assert {name for name in METRICS if row[name] is None} == set(row["reasons"])
    assert row["pesq"] is None and row["frontend_offset_ms"] is None
    assert score_pair(1e6 * speech_like(0), speech_like(0))["reasons"] == {}


def test_a_quarter_second_keeps_what_is_defined():
    audio = speech_like(0)[20000:25000]
    row = score_pair(audio, audio)
    assert {name for name in USUAL if row[name] is not None} == {"mcd", "pesq"}
    assert row["reasons"]["stoi"] == "under 30 frames of speech for STOI"
    assert row["reasons"]["a_stoi"] == "under 600 ms of audio for alignment"


def test_the_pool_gives_the_same_rows_in_the_same_order():
    names = ("stoi", "a_stoi", "a_estoi", "a_mcd", "frontend_offset_ms")
    items = [partial(load, 0, 160), partial(load, -1, 0), load(2, 480), partial(load, 3, 0)]
    seen = []

    def progress(rows):
        for row in rows:
            seen.append(row)
            yield row

    alone = score_pairs(items, metrics=names)
    assert score_pairs(items, workers=2, metrics=names, progress=progress) == alone == seen
    assert [row["frontend_offset_ms"] for row in alone] == [10, None, 30, 0]
    assert alone[1]["reasons"]["stoi"] == "no such seed"


def test_a_pair_that_kills_its_process_costs_only_itself():
    """A pair whose reading dies, and one on which PESQ's C code does: more utterances than its tables hold, under a hum
    that hides them from our count."""
    time = np.arange(31 * 16000)
    noise = 0.05 * np.random.RandomState(0).standard_normal(len(time)) * (time % 6720 < 3200)
    hostile = (noise + 0.5 * np.sin(2 * np.pi * 25 / 16000 * time)).astype(np.float32)
    fine = partial(load, 0, 160)
    names = ("pesq", "mcd", "frontend_offset_ms")
    rows = score_pairs([fine, (hostile, hostile), fine, partial(os.abort), fine], workers=2, metrics=names)
    expected = score_pair(*load(0, 160), names)
    assert rows[0] == rows[2] == rows[4] == expected
    assert rows[1] == {"pesq": None, "mcd": 0.0, "frontend_offset_ms": 0.0, "reasons": {"pesq": "PESQ crashed"}}
    assert rows[3]["reasons"] == dict.fromkeys(names, "reading or scoring it crashed")


def test_sharing_between_plain_and_aligned_changes_nothing():
    """Every value of a row is that of the metric's own function on the cut audio."""
    reference, generated = speech_like(2), delayed(speech_like(2, noise=0.02), 1120)[:40000]
    row = score_pair(reference, generated, METRICS)
    pairs = {"": overlap(reference, generated), "a_": overlap(reference, generated, 70.0)}
    for prefix, pair in pairs.items():
        for metric in (stoi, estoi, mcd, mcd_db, pesq):
            alone = metric(*(side.copy() for side in pair))
            # The float32 mels of mcd_db differ in their last bits with where they lie in memory.
            limit = 1e-6 if metric is mcd_db else 1e-9
            assert row[prefix + metric.__name__] == pytest.approx(alone, abs=limit)
    assert row["frontend_offset_ms"] == frontend_offset(reference, generated) == 70
    assert row["refined_offset_ms"] == refined_offset(reference, generated)


def test_summary_by_hand():
    rows = [{"stoi": value, "mcd": 2.0, "reasons": {}} for value in (0.2, 0.4, 0.6)]
    rows += [{"stoi": None, "mcd": None, "reasons": {"stoi": "silent", "mcd": "silent"}}]
    rows += [{"stoi": None, "mcd": 2.0, "reasons": {"stoi": "short"}}]
    summary = summarise(rows)
    assert (summary["clips"], summary["failed"]) == (5, 2)
    assert summary["means"] == pytest.approx({"stoi": 0.4, "mcd": 2.0})
    assert summary["failures"] == {"stoi": 2, "mcd": 1}
    assert summary["reasons"] == {"silent": 1, "short": 1}
    low, high = summary["intervals"]["stoi"]
    # Of the 27 resamples of three values only one has mean 0.2, so the 2.5 % point is 0.2 (1/27 = 3.7 %).
    assert (low, high) == pytest.approx((0.2, 0.6))
    assert summary["intervals"]["mcd"] == [2.0, 2.0]
    assert summarise(rows) == summary


def test_summary_of_nothing_is_null():
    summary = summarise([{"stoi": None, "reasons": {"stoi": "silent"}}])
    assert (summary["means"], summary["intervals"], summary["failed"]) == ({"stoi": None}, {"stoi": None}, 1)


def test_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.RandomState(0)
    hits = 0
    for trial in range(100):
        rows = [{"stoi": float(value), "reasons": {}} for value in rng.normal(0.5, 0.1, 60)]
        low, high = summarise(rows, seed=trial)["intervals"]["stoi"]
        hits += low <= 0.5 <= high
    assert 87 <= hits <= 99
