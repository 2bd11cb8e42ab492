"""Wav2Lip's tables, ours beside the published: lip sync of drawn pictures, experts by their window, learning curves.

Most of the published figures at hand are from memory. Only those with which a second source agrees are printed as
published; the others stand apart and say so. Ours are of other corpora and, without the published SyncNet, on another
scale: directions can be compared, figures cannot.
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from slts.metrics.columns import COLUMNS
from slts.reporting.figures import Picture
from slts.reporting.published import load_published
from slts.reporting.results import load_results, run_directories

PUBLISHED, UNCONFIRMED, REMEASURED = "published", "from memory, unconfirmed", "measured again by users"
LSE = ("lse_d", "lse_c", "fid")
OURS = (
    "lse_d", "lse_c", "drawn_offset_ms", "drawn_offset_estimated_ms", "drawn_offset_sure", "mouth_l1", "mouth_psnr",
    "mouth_ssim", "mouth_motion_r", "mouth_motion_share", "fid",
)  # fmt: skip
"""Figures of systems that draw."""
CONTROLS = {"recorded": "real", "unsynced": "unsynced", "mismatched": "mismatched", "still": "still mouth"}
"""Rows beside a system, by the end of the columns' names."""
CHANCE = 0.6931
"""ln 2, the loss of an expert that has learned nothing."""
BEGINNING = 400
"""Training steps within which an expert begins to learn, or does not."""


def published_lip_sync(file: Path | None = None) -> pd.DataFrame:
    """Tables 1 and 3 of Prajwal et al. (arXiv 2008.10010): corpus, system, ``by`` (what stands behind a row), LSE-D,
    LSE-C, FID. A row whose figures are confirmed in part is two rows."""
    content = load_published(file, "other_papers")["wav2lip"]
    sure, rows = content["confirmed"], []
    for system, by_corpus in content["table_lse"].items():
        for corpus, (lse_d, lse_c, fid) in by_corpus.items():
            lse, fid = {"lse_d": lse_d, "lse_c": lse_c}, {"fid": fid}
            for figures, known in ((lse, system in sure["lse"]), (fid, system in sure["fid"].get(corpus, ()))):
                rows.append({"corpus": corpus, "system": system, "by": PUBLISHED if known else UNCONFIRMED, **figures})
    for system, (lse_d, lse_c) in content["resynced_dubbed"].items():
        by = PUBLISHED if system in sure["resynced_dubbed"] else UNCONFIRMED
        rows.append({"corpus": "ReSyncED, dubbed", "system": system, "by": by, "lse_d": lse_d, "lse_c": lse_c})
    for system, by_corpus in content["remeasured"].items():
        for corpus, (lse_d, lse_c) in by_corpus.items():
            rows.append({"corpus": corpus, "system": system, "by": REMEASURED, "lse_d": lse_d, "lse_c": lse_c})
    frame = pd.DataFrame(rows).groupby(["corpus", "system", "by"], sort=False, as_index=False)[list(LSE)].first()
    return frame[frame[list(LSE)].notna().any(axis=1)].sort_values(["corpus", "by"], kind="stable")


def drawn_rows(runs: Path) -> list[dict]:
    """The rows of ``load_results`` of runs that draw; none where there is no run."""
    if not any(run_directories(runs)):
        return []
    rows = load_results(runs)
    return rows[rows[["mouth_l1", "drawn_offset_ms", "drawn_offset_sure"]].notna().any(axis=1)].to_dict("records")


def beside_controls(rows: list[dict]) -> pd.DataFrame:
    """Rows of ``drawn_rows``, each followed by its controls: what the same SyncNet and estimator say of the recorded
    pictures with their own sound (real), with the sound that the lips are to say (unsynced), with another clip's
    (mismatched), and of a picture standing still. Those that systems of the same clips share are shown once."""
    shown, known = [], set()
    for row in rows:
        place = {name: row.get(name) for name in ("corpus", "split")}
        shown.append(
            {**place, "run": row.get("run"), "system": row["system"], **{name: row.get(name) for name in OURS}}
        )
        for end, name in CONTROLS.items():
            figures = {figure: row.get(f"{figure}_{end}") for figure in ("lse_d", "lse_c")}
            figures["drawn_offset_sure"] = row.get(f"{end}_offset_sure")
            if end == "recorded":
                figures["drawn_offset_estimated_ms"] = row.get("recorded_offset_estimated_ms")
            figures = {figure: value for figure, value in figures.items() if pd.notna(value)}
            control = (*place.values(), row.get("protocol"), name, *figures.items())
            if figures and control not in known:
                known.add(control)
                shown.append({**place, "system": name, **figures})
    return pd.DataFrame(shown, columns=["corpus", "split", "run", "system", *OURS])


def experts(records: list[dict], file: Path | None = None) -> pd.DataFrame:
    """Experts by their window T_v: the published accuracy (Table 2) and those of records that
    tests/benchmarks/lipsync_expert.py wrote, with their own sound and, as a control, with another clip's.

    A record may be of the training alone.
    """
    content = load_published(file, "other_papers")["wav2lip"]
    rows = [
        {
            "T_v": int(name[2]), "what": f"LRS2, {name[4:]}", "accuracy": accuracy / 100,
            "by": PUBLISHED if name in content["confirmed"]["discriminator_ablation"] else UNCONFIRMED,
        }
        for name, (accuracy, *_) in content["discriminator_ablation"].items()
    ]  # fmt: skip
    for record in records:
        if "own_sound" not in record:
            continue  # of a training alone
        own, wrong = record["own_sound"], record["wrong_sound"]
        rows.append({
            "T_v": record["frames"], "what": f"{_corpus(record)}, {record['run']}, step {record['step']}",
            "accuracy": own["accuracy"], "AUC": own["auc"], "AUC, another clip's sound": wrong["auc"], "by": "ours",
        })  # fmt: skip
    return pd.DataFrame(rows)


def learning_curves(records: list[dict]) -> Picture | None:
    """The loss of experts by training step, in the BEGINNING, means over what is alike; None without a record."""
    if not records:
        return None
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axis = figure.subplots()
    by_name: dict[str, dict[int, list[float]]] = {}
    for record in records:
        points = by_name.setdefault(f"{_corpus(record)}, sync={record['sync']}, T_v {record['frames']}", {})
        for step, loss in record["loss"]:
            if step <= BEGINNING:
                points.setdefault(step, []).append(loss)
    for name, points in by_name.items():
        axis.plot(points.keys(), [sum(losses) / len(losses) for losses in points.values()], linewidth=1, label=name)
    axis.axhline(CHANCE, color="grey", linewidth=0.8, label="ln 2 = 0.69: nothing learned")
    axis.set(xlabel="step", ylabel="cross-entropy of the cosine")
    figure.legend(loc="outside right upper", fontsize=7)
    return Picture.of(figure)


def titled(frame: pd.DataFrame) -> pd.DataFrame:
    """With the titles of the columns in place of their names, without those that say nothing."""
    return frame.dropna(axis=1, how="all").rename(columns={name: column.title for name, column in COLUMNS.items()})


def _corpus(record: dict) -> str:
    lag = record.get("inject")
    return record["corpus"] + (f", {lag}" if lag not in (None, "none") else "")
