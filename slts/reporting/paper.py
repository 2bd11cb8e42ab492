"""The paper's tables with our rows beside the published ones.

Rows of ours are those of the test split, or of val where a run was scored on no test split; rows of the train split
are in results.csv alone. Ours and published are matched by corpus and system, and only the same corpus counts.
"""

from pathlib import Path

import pandas as pd

from slts.metrics.columns import columns
from slts.metrics.opinion import opinion_table, read_ratings
from slts.offsets.agreement import offset_agreement
from slts.reporting.corpora import Corpus
from slts.reporting.published import PAPER, published_rows
from slts.reporting.results import intervals, load_clips
from slts.reporting.table import IDENTITY, ResultTable

ABLATION = ("VCA-GAN", "SLTS_no_ASM", "SLTS")
FAMILIES = {"GRID-4S": "grid", "TCD-TIMIT-LS": "tcd_timit"} | {
    f"Lip2Wav-{speaker}": "lip2wav" for speaker in ("chem", "chess", "dl", "hs", "eh")
}
RATES = ("w_wer", "k_wer")
NO_RUN = "no run"
SIZES = ("speakers", "train", "val", "test", "train_h", "val_h", "test_h")
OPINIONS = {"intelligibility": "mos_i", "naturalness": "mos_n"}


def table1(corpora: dict[str, Corpus], published: dict) -> ResultTable:
    """Clips and hours of the splits of prepared corpora."""
    rows = []
    for corpus in corpora.values():
        splits = corpus.facts["splits"]
        row = {"corpus": corpus.label, "system": None, "by": "ours", "speakers": len(corpus.facts.get("speakers", []))}
        row |= {name: facts["clips"] for name, facts in splits.items()}
        row |= {f"{name}_h": facts["hours"] for name, facts in splits.items()}
        rejected = sum(corpus.facts.get("rejected", {}).values())
        rows.append(row | {"note": f"{rejected} clips rejected" if rejected else ""})
    for corpus, facts in published["table1_splits"].items():
        rows.append({"corpus": corpus, "system": None, "by": "published", **facts})
    frame = pd.DataFrame(rows, columns=["corpus", "system", "by", *SIZES, "note"])
    return ResultTable("table1", "Corpora", frame, SIZES)


def table2(results: pd.DataFrame, published: dict) -> ResultTable:
    """The ablation, all twelve columns."""
    theirs = published_rows(published, "table2_ablation")
    return ResultTable("table2", "Ablation", _beside(theirs, _ours(results, "none"), ABLATION), PAPER)


def table4(results: pd.DataFrame, published: dict, ratings: Path | None = None) -> ResultTable:
    """With and without discriminators; MOS where ``ratings`` (see slts.metrics.opinion) names a run or a system.

    Raises:
        ValueError: the ratings cannot be read.
    """
    figures = ("a_stoi", "a_estoi", "a_pesq", "a_mcd", "w_wer", "mos_i", "mos_n")
    systems = ("VCA-GAN", "SLTS", "SLTS_dis")
    theirs = published_rows(published, "table4_chem_mos")
    ours = _ours(results, "none")
    ours = ours[ours["system"].isin(systems)]
    opinions = _opinions(ratings, ours) if ratings else pd.DataFrame()
    if len(opinions):
        unmatched = opinions[~opinions["run"].isin(ours["run"])]
        columns = [name for name in opinions if name.startswith("mos")]
        ours = ours.merge(opinions[["run", *columns]], on="run", how="left")
        ours = pd.concat([ours, unmatched.assign(corpus="listening test")])
    remarks = [] if ratings else ["No ratings of ours: MOS has no value in our rows."]
    return ResultTable("table4", "Discriminators and opinion", _beside(theirs, ours, systems), figures, remarks)


def against_published(results: pd.DataFrame, published: dict, number: int) -> ResultTable:
    """Tables 5, 6 and 7: published systems, and ours scored on a test set synchronised by the model's own DSM
    (section 5.6), that is rows of sync=dsm."""
    table = {5: "table5_grid4s", 6: "table6_tcd_timit_ls", 7: "table7_lip2wav"}[number]
    theirs = published_rows(published, table)
    family = FAMILIES[theirs["corpus"][0]]
    figures = tuple(name for name in ("stoi", "estoi", "pesq", "mcd") if name in theirs)
    ours, plain = _ours(results, "dsm"), _ours(results, "none")
    finds_offsets = plain["offset_r2_frontend"].notna() & ~plain["dummy"].astype(bool)
    waiting = plain.loc[finds_offsets & ~plain["run"].isin(ours["run"]), [*IDENTITY, "family", "model"]]
    ours = pd.concat([ours, waiting.assign(note="no row of sync=dsm; slts evaluate run=... sync=dsm gives one")])
    ours = ours[(ours["family"] == family) & ours["system"].str.startswith("SLTS") & (ours["system"] != "SLTS_no_ASM")]
    others = results[(results["family"] != family) & results["split"].isin(["test", "val"])]
    elsewhere = [f"{run} ({corpus})" for run, corpus in others[["run", "corpus"]].drop_duplicates().to_numpy()]
    remarks = [f"Not here, being of another corpus: {', '.join(elsewhere)}."] if elsewhere else []
    title = f"Against published systems on {'Lip2Wav' if number == 7 else theirs['corpus'][0]}"
    return ResultTable(f"table{number}", title, _beside(theirs, ours, ("SLTS",)), figures, remarks)


def results_table(results: pd.DataFrame) -> ResultTable:
    """The latest row of every run, split and sync, with every figure; WER in per cent."""
    frame = results.drop(columns="path").assign(**{name: 100 * results[name] for name in RATES})
    return ResultTable("results", "All results", frame, ("clips", *columns(table="results")))


def offsets_table(results: pd.DataFrame) -> ResultTable:
    """How well the offsets found agree with known ones, run by run. The paper has no such table."""
    figures = columns(table="offsets")
    ours = results[results["split"].notna() & results["model_offset_ms"].notna() & (results["sync"] == "none")]
    ours = ours.sort_values("corpus", kind="stable")[["corpus", "system", "run", "split", "model", "note", *figures]]
    return ResultTable("offsets", "Offsets against truth", ours.reset_index(drop=True), figures)


def pattern(table: ResultTable, against: str = "SLTS_no_ASM") -> pd.DataFrame:
    """What synchronisation changes, ours beside published: each SLTS system minus ``against``, by corpus.

    Rows of ours have, for each published corpus, how many of the figures that move in both move the same way, and those
    that do not. Offset-R2 is left out, as the system without synchronisation finds no offsets.
    """
    rows, names = [], [name for name in table.figures if not name.startswith("offset_r2")]
    frame = table.frame[table.frame["system"].notna()]
    for (by, corpus), group in frame.groupby(["by", "corpus"], sort=False):
        without = group[(group["system"] == against) & group["a_stoi"].notna()]
        for _, row in group[group["system"].str.startswith("SLTS") & (group["system"] != against)].iterrows():
            for _, base in without[without["split"].isna() | (without["split"] == row["split"])].iterrows():
                change = {name: row[name] - base[name] for name in names}
                if any(pd.notna(value) for value in change.values()):
                    rows.append({"corpus": corpus, "system": row["system"], "by": by, "run": row["run"]} | change)
    moved = pd.DataFrame(rows, columns=["corpus", "system", "by", "run", *names])
    for _, theirs in moved[(moved["by"] == "published") & (moved["system"] == "SLTS")].iterrows():
        moved[f"as {theirs['corpus']}"] = [
            _agreement(ours[names] * theirs[names]) if ours["by"] == "ours" else "" for _, ours in moved.iterrows()
        ]
    return moved


def _agreement(products: pd.Series) -> str:
    """How many of the products of two changes are above zero, and which are below."""
    both = products[products.notna() & (products != 0)]
    unlike = list(both.index[both < 0])
    return f"{len(both) - len(unlike)} of {len(both)}" + (f", not {', '.join(unlike)}" if unlike else "")


def _ours(results: pd.DataFrame, sync: str) -> pd.DataFrame:
    """Rows for a paper's table: one split a run and corpus, WER in per cent, with intervals; and runs without rows."""
    scored = results[results["sync"] == sync]
    scored = scored[scored["split"].isin(["test", "val"])].sort_values("split", kind="stable")  # test before val
    scored = scored.drop_duplicates(["run", "corpus"]).sort_index()
    rows = []
    for _, row in pd.concat([scored, results[results["split"].isna()]]).iterrows():
        figures = {name: 100 * row[name] for name in RATES} | {"by": "ours", "dummy": False}
        clips = load_clips(row)
        if clips is not None:
            for name, (low, high) in intervals(clips).items():
                figures |= {f"{name}_low": low, f"{name}_high": high}
            figures |= _dummy(row, clips)
        rows.append(row.to_dict() | figures)
    return pd.DataFrame(rows, columns=None if rows else [*results.columns, "by", "dummy"])


def _dummy(row: pd.Series, clips: pd.DataFrame) -> dict:
    """Offset-R2 of a predictor of zeros, as the paper prints it for systems that find no offsets."""
    if pd.notna(row["offset_r2_frontend"]) or clips["dsm_offset_ms"].notna().any():
        return {}
    measured = {"offset_r2_frontend": clips["frontend_offset_ms"]}
    judged = row.get("syncnet_clips")
    if pd.notna(judged) and judged > 0:  # those above the confidence that the row was made with
        sure = clips.nlargest(int(judged), "syncnet_confidence")
        measured["offset_r2_syncnet"] = sure["syncnet_offset_ms"]
    heard = {name: offsets.dropna().to_numpy() for name, offsets in measured.items()}
    r2 = {name: offset_agreement(o, 0 * o)["r2"] for name, o in heard.items() if len(o) > 1}
    figures = {name: value for name, value in r2.items() if value is not None}
    return figures | {"dummy": True} if figures else {}


def _beside(theirs: pd.DataFrame, ours: pd.DataFrame, systems: tuple[str, ...]) -> pd.DataFrame:
    """Our rows of each corpus, then the published; corpora with runs of ours first. A system of ``systems`` without a
    run has a row that says so."""
    parts = []
    for corpus in dict.fromkeys([*ours["corpus"], *theirs["corpus"]]):
        mine = ours[ours["corpus"] == corpus]
        for system in dict.fromkeys([*systems, *mine["system"]]) if len(mine) else ():
            runs = mine[mine["system"] == system]
            absent = pd.DataFrame([{"corpus": corpus, "system": system, "by": "ours", "run": NO_RUN}])
            parts.append(absent if runs.empty else runs)
        if mine.empty:
            parts.append(pd.DataFrame([{"corpus": corpus, "by": "ours", "run": NO_RUN}]))
        parts.append(theirs[theirs["corpus"] == corpus].assign(by="published"))
    bounds = [f"{name}_{end}" for name in PAPER for end in ("low", "high")]
    opinions = [f"{name}{end}" for name in OPINIONS.values() for end in ("", "_ci")]
    frame = pd.concat(parts, ignore_index=True)
    known = [name for name in ("model", *PAPER, *bounds, *opinions, "dummy") if name in frame]
    return frame.reindex(columns=[*IDENTITY, *known, "note"])


def _opinions(file: Path, ours: pd.DataFrame) -> pd.DataFrame:
    """One row a rated system: mos_i, mos_n and their intervals, by the run that bears its name or is that system."""
    rows: dict[str, dict] = {}
    for rated in opinion_table(read_ratings(file)):
        column = OPINIONS.get(rated["aspect"])
        if column:
            row = rows.setdefault(rated["system"], {"system": rated["system"], "run": None, "by": "ours"})
            row |= {column: rated["mean"], f"{column}_ci": rated["interval"]}
    for system, row in rows.items():
        same = ours[(ours["run"] == system) | (ours["system"] == system)]["run"]
        row["run"] = same.iloc[0] if len(same) == 1 else None
    return pd.DataFrame(rows.values())
