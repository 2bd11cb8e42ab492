"""Result rows: one JSON object a scored split in results.jsonl, one CSV line a clip."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from slts import __version__
from slts.metrics.offsets import offset_agreement
from slts.spreadsheet import write_rows
from slts.training.run_directory import RunDirectory, config_hash

SCORES = ("stoi", "estoi", "pesq", "mcd", "a_stoi", "a_estoi", "a_pesq", "a_mcd")
OFFSETS = ("frontend_offset_ms", "frontend_at_edge", "offset_ms", "dsm_offset_ms", "confidence", "at_edge")
SYNCNET = ("syncnet_offset_ms", "syncnet_confidence", "lse_d", "lse_c")
WORDS = ("w_wer", "w_wer_reference", "w_said", "w_heard", "w_reason", "k_wer", "k_said", "k_heard", "k_reason")
RATES = ("w_wer", "w_wer_reference", "k_wer")
CLIP_COLUMNS = ("key", *SCORES, *OFFSETS, *SYNCNET, *WORDS, "reasons")


def result_row(
    config,
    corpus: dict,
    split: str,
    sync: str,
    step: int,
    clips: list[dict],
    words: dict[str, dict],
    above_confidence: float = 3.0,
    calibration_ms: float | None = None,
) -> dict:
    """The row of a split from its clips' scores and offsets, and from the summaries of w_wer and k_wer where a
    recogniser listened; a figure that does not apply is None. ``w_wer_reference`` is over clips without a text, against
    what Whisper hears in their recorded sound. ``w_wer_clips`` and the like are how many clips are in a rate.

    ``model_offset_ms`` is o_m, the mean of o_f - o_d over clips whose o_d is known: the constant that Offset-R2 against
    the frontend cannot see. ``offset_calibration_ms``, given as ``calibration_ms``, is what calibration without labels
    finds for the constant in ``offset_bias_ms``. ``offset_*_whole`` are against the known offset plus ``natural_ms``,
    what a clip had before that was injected, where the clips have it. ``offset_at_edge`` is the share of clips whose
    P(k) peaks at the limit of its range, ``frontend_at_edge`` that of clips whose o_f is +-300 ms.
    ``offset_r2_syncnet`` is over the ``syncnet_clips`` clips in which SyncNet's confidence is above
    ``above_confidence``; LSE-D and LSE-C are means over all clips. They are there where SyncNet judged the clips.
    """
    found = [c for c in clips if c["dsm_offset_ms"] is not None]
    truth = _pairs(found, "offset_ms", "dsm_offset_ms")
    unmoved = sync == "none"  # against a moved reference the frontend does not measure o_f
    frontend = _pairs(found if unmoved else [], "frontend_offset_ms", "dsm_offset_ms")
    model = _pairs(clips if unmoved else [], "frontend_offset_ms", "offset_ms")
    sure = [c for c in clips if (c.get("syncnet_confidence") or 0) > above_confidence]
    syncnet = _pairs(sure, "syncnet_offset_ms", "dsm_offset_ms")
    against_truth = offset_agreement(*truth) if len(truth[0]) > 1 else {}
    natural = [c for c in found if c.get("natural_ms") is not None and c["offset_ms"] is not None]
    whole = np.array([[c["offset_ms"] + c["natural_ms"], c["dsm_offset_ms"]] for c in natural], float).reshape(-1, 2).T
    against_whole = offset_agreement(*whole) if len(natural) > 1 else {}
    return {
        "task": config.task.name,
        "variant": config.variant,
        "corpus": corpus["name"],
        "split": split,
        "sync": sync,
        "step": step,
        "clips": len(clips),
        "failed": sum(any(c[name] is None for name in SCORES) for c in clips),
        **{name: _mean([c[name] for c in clips]) for name in SCORES},
        "offset_r2_frontend": offset_agreement(*frontend)["r2"] if len(frontend[0]) > 1 else None,
        "offset_r2_truth": against_truth.get("r2"),
        "offset_r2_truth_centred": against_truth.get("r2_centred"),
        "offset_bias_ms": against_truth.get("bias_ms"),
        "offset_mae_ms": against_truth.get("mae_ms"),
        "offset_within_10ms": against_truth.get("within_10ms"),
        "offset_r2_whole": against_whole.get("r2"),
        "offset_r2_whole_centred": against_whole.get("r2_centred"),
        "offset_bias_whole_ms": against_whole.get("bias_ms"),
        "offset_mae_whole_ms": against_whole.get("mae_ms"),
        "offset_at_edge": _mean([float(c["at_edge"]) for c in found]),
        "frontend_at_edge": _mean([c.get("frontend_at_edge") for c in clips]),
        "offset_calibration_ms": calibration_ms,
        "model_offset_ms": float(np.mean(model[0] - model[1])) if len(model[0]) else None,
        "offset_r2_syncnet": offset_agreement(*syncnet)["r2"] if len(syncnet[0]) > 1 else None,
        "syncnet_clips": len(sure) if any("lse_d" in c for c in clips) else None,
        "lse_d": _mean([c.get("lse_d") for c in clips]),
        "lse_c": _mean([c.get("lse_c") for c in clips]),
        **{name: words[name]["rate"] if name in words else None for name in RATES},
        **{f"{name}_clips": words[name]["clips"] if name in words else None for name in RATES},
        "seed": config.seed,
        "config_hash": config_hash(config),
        "corpus_hash": corpus["hash"],
        "version": __version__,
    }


def write_results(run: RunDirectory, split: str, row: dict, clips: list[dict]) -> Path:
    """Appends the row to results.jsonl and writes clips-SPLIT.csv (sync=dsm: clips-SPLIT-dsm.csv); returns its path."""
    scored_at = datetime.now(UTC).isoformat(timespec="seconds")
    with run.results.open("a") as stream:
        stream.write(json.dumps(row | {"scored_at": scored_at}) + "\n")
    table = run.path / f"clips-{split}{'-dsm' if row['sync'] == 'dsm' else ''}.csv"
    with table.open("w", newline="") as stream:
        write_rows(stream, CLIP_COLUMNS, [{**clip, "reasons": _reasons(clip)} for clip in clips])
    return table


def _reasons(clip: dict) -> str:
    return "; ".join(f"{name}: {why}" for name, why in clip["reasons"].items())


def _mean(values: list[float | None]) -> float | None:
    present = [v for v in values if v is not None]
    return float(np.mean(present)) if present else None


def _pairs(clips: list[dict], first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    both = [(c[first], c[second]) for c in clips if c[first] is not None and c[second] is not None]
    return np.array([a for a, _ in both], float), np.array([b for _, b in both], float)
