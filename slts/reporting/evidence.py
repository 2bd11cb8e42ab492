"""What a set of runs shows: a record small enough to be kept for good, and its table of means and spreads over seeds.

The record is a JSON object. ``corpora`` holds by hash a corpus's name, its clips by split and the settings it was made
with; ``runs`` one object a scored run: what was trained, seed, hashes of config and corpus, and every figure, null
where it does not apply.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from slts import __version__
from slts.errors import UserError
from slts.metrics.columns import COLUMNS, columns
from slts.reporting.corpora import Corpus
from slts.reporting.figures import Picture
from slts.reporting.results import find_corpora, load_results
from slts.reporting.table import MISSING
from slts.spreadsheet import text
from slts.training.run_config import read_run_config
from slts.training.run_directory import HARMLESS

FIGURES = columns(table="evidence")
"""Figures of a record."""
KEPT = ("run", "system", "setting", "model", "seed", "split", "sync", "clips", "failed", "steps", "batch_size")
DIGITS = 5
OUTLIER = 60.0
"""Milliseconds beyond which a clip is named in the picture of two estimates."""


def collect_evidence(runs: Path, data: Path | None = None) -> dict:
    """The record of every scored run at or below ``runs``. Raises UserError if there is none.

    Corpora are looked for as in ``load_results``.
    """
    results = load_results(runs, data)
    results = results[results["split"].notna()]
    if results.empty:
        raise UserError(f"runs={runs} holds no scored run; run slts evaluate first")
    known = {
        digest: corpus for digest, corpus in find_corpora(runs, data).items() if digest in set(results["corpus_hash"])
    }
    configs = {path: _config(path) for path in results["path"].unique()}
    settings = {}
    for _, group in results.groupby(["system", "corpus_hash"]):
        paths = list(group["path"].unique())
        settings |= dict(zip(paths, told_apart([_learned(configs[path]) for path in paths]), strict=True))
    rows = []
    for row in results.to_dict("records"):
        config = configs[row["path"]]
        row |= {"setting": settings[row["path"]], "steps": config.get("steps"), "batch_size": config.get("batch_size")}
        figures = {name: row.get(name) for name in FIGURES}
        hashes = {name: row.get(name) for name in ("config_hash", "corpus_hash", "version")}
        rows.append({name: _plain(value) for name, value in ({n: row.get(n) for n in KEPT} | figures | hashes).items()})
    return {"version": __version__, "corpora": _corpora(known), "runs": rows}


def _corpora(known: dict[str, Corpus]) -> dict[str, dict]:
    """Corpora of one name get what they were made with and the others were not."""
    alike = defaultdict(list)
    for digest, corpus in known.items():
        alike[corpus.label.partition(" [")[0]].append(digest)
    described = {}
    for label, digests in alike.items():
        facts = [known[digest].facts for digest in digests]
        for digest, one, apart in zip(
            digests, facts, told_apart([_flat(f.get("config", {})) for f in facts]), strict=True
        ):
            clips = {split: numbers["clips"] for split, numbers in one["splits"].items()}
            name = f"{label}, {apart}" if apart else label
            described[digest] = {"name": name, "clips": clips, "settings": one.get("config", {})}
    return described


def told_apart(trees: list[dict]) -> list[str]:
    """What is not the same in flat mappings, as ``key=value, ...`` for each; keys that some lack are not compared."""
    common = [key for key in trees[0] if all(key in tree for tree in trees)]
    differing = [key for key in common if any(tree[key] != trees[0][key] for tree in trees)]
    return [", ".join(f"{key}={tree[key]}" for key in differing) for tree in trees]


def seed_table(record: dict) -> pd.DataFrame:
    """One row a corpus, system and setting; each figure as mean, and standard deviation where there are more seeds."""
    corpora, rows = record["corpora"], []
    groups = defaultdict(list)
    for run in record["runs"]:
        corpus = corpora.get(run["corpus_hash"], {"name": f"corpus {run['corpus_hash']}"})["name"]
        groups[corpus, run["system"], run["setting"], run["split"], run["sync"]].append(run)
    columns = [n for n in FIGURES if any(r.get(n) is not None for r in record["runs"])]
    for (corpus, system, setting, split, sync), runs in sorted(groups.items(), key=lambda item: item[0][0]):
        row = {"corpus": corpus, "system": f"{system}, {setting}" if setting else system, "split": split, "sync": sync}
        row["seeds"] = len(runs)
        for name in columns:
            row[COLUMNS[name].title] = _spread([run[name] for run in runs if run.get(name) is not None], name)
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame if (frame["sync"] != "none").any() else frame.drop(columns="sync")


def claimed_and_true(records: list[dict]) -> Picture | None:
    """What R2 (F) claims of each run that finds offsets, and what R2 against the truth is, over the constant by which
    the offsets are wrong. None where no run has both."""
    runs = [run for record in records for run in record["runs"]]
    names = ("offset_bias_ms", "offset_r2_frontend", "offset_r2_truth")
    shown = [run for run in runs if all(run.get(name) is not None for name in names)]
    if not shown:
        return None
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axis = figure.subplots()
    constants, claimed, true = ([run[name] for run in shown] for name in names)
    axis.vlines(constants, np.clip(true, -1, 1), claimed, color="lightgrey", zorder=0)
    axis.scatter(constants, claimed, marker="x", label=COLUMNS[names[1]].title)
    axis.scatter(constants, np.clip(true, -1, 1), s=18, label=f"{COLUMNS[names[2]].title}, from -1 up")
    axis.axvline(0, color="grey", linewidth=0.8)
    axis.set(xlabel="constant of the offsets found (ms)", ylabel="R2", ylim=(-1.05, 1.05))
    axis.legend(fontsize=8)
    return Picture.of(figure, "What R2 (F) claims and what is true")


def two_estimates(file: Path) -> Picture:
    """Two systems' offsets of the same clips against each other, from a CSV that slts score offsets= leaves (columns
    key, reference_ms, predicted_ms); clips that both put beyond ``OUTLIER`` are named."""
    clips = pd.read_csv(file, dtype={"key": str})
    x, y = clips["reference_ms"], clips["predicted_ms"]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.scatter(x, y, s=8, alpha=0.4)
    for _, clip in clips[np.minimum(x.abs(), y.abs()) > OUTLIER].iterrows():
        axis.annotate(text(clip["key"]), (clip["reference_ms"], clip["predicted_ms"]), fontsize=6)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    axis.plot(ends, ends, color="grey", linewidth=0.8)
    axis.set(xlabel="reference (ms), video late > 0", ylabel="predicted (ms)")
    axis.set_title(f"{len(clips)} clips, r = {x.corr(y):.2f}, rank r = {x.corr(y, method='spearman'):.2f}", fontsize=9)
    return Picture.of(figure, f"Two estimates of the same offsets: {file.stem}")


def _spread(values: list[float], name: str) -> str:
    if not values:
        return MISSING
    series, digits = pd.Series(values, dtype=float), COLUMNS[name].digits
    scale = 100 if COLUMNS[name].judge == "words" else 1  # a rate in the record, per cent in tables
    spread = f" ± {scale * series.std():.{digits}f}" if len(series) > 1 else ""
    return f"{scale * series.mean():.{digits}f}{spread}"


def _config(run: Path) -> dict:
    """The flat config of a run; empty where it cannot be read."""
    try:
        return _flat(OmegaConf.to_container(read_run_config(run / "config.yaml")))
    except (OSError, UserError):
        return {}


def _flat(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _learned(config: dict) -> dict:
    """Of a flat config, what changes what is learned, the seed aside."""
    return {key: value for key, value in config.items() if key != "seed" and key.partition(".")[0] not in HARMLESS}


def _plain(value: object) -> object:
    """As JSON has it: no NaN, whole numbers whole."""
    if pd.api.types.is_float(value):
        if pd.isna(value):
            return None
        return int(value) if float(value).is_integer() and abs(value) > 1 else round(float(value), DIGITS)
    return value
