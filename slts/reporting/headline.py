"""What a set of runs shows at a glance: what was compared, which run is best by each figure, and a sentence of it."""

from dataclasses import dataclass

import pandas as pd

from slts.metrics.columns import COLUMNS, Column
from slts.reporting.paper import results_table
from slts.reporting.results import intervals, load_clips

FIRST = ("a_stoi", "stoi", "w_wer", "mouth_l1", "offset_mae_ms")
"""Figures that a headline is about, the first that is known."""


@dataclass(frozen=True)
class Standing:
    """Who is best by one figure on one corpus."""

    where: str
    """Corpus, split and how it was synchronised."""
    column: Column
    best: str
    """Runs with their systems; several where the printed digits are equal."""
    value: float
    interval: tuple[float, float] | None
    """95 %, over clips; of figures of single clips alone."""
    following: str | None
    """The next; None where the run is alone or all are equal."""
    next_value: float | None

    def said(self, value: float) -> str:
        return f"{value:.{self.column.digits}f}"


def standings(results: pd.DataFrame) -> list[Standing]:
    """Of rows of ``load_results`` on test, or on val where a corpus has no test: each figure that is better high or
    low, by corpus in the order of most runs and clips, then in the order of the registry."""
    table = results_table(results)
    frame = table.frame[table.frame["split"].isin(["test", "val"])]
    tested = frame[frame["split"] == "test"]["corpus"].unique()
    frame = frame[(frame["split"] == "test") | ~frame["corpus"].isin(tested)]
    found, bounds = [], {index: _intervals(results.loc[index]) for index in frame.index}
    groups = frame.groupby(["corpus", "split", "sync"], sort=False)
    for (corpus, split, sync), rows in sorted(groups, key=lambda group: _size(group[1]), reverse=True):
        where = f"{corpus}, {split}" + ("" if sync == "none" else f", sync={sync}")
        for name in table.figures:
            column, known = COLUMNS[name], rows[rows[name].notna()]
            if column.better != "none" and len(known):
                found.append(_standing(where, column, known, bounds))
    return found


def _standing(where: str, column: Column, rows: pd.DataFrame, bounds: dict) -> Standing:
    values = rows[column.name].round(column.digits).sort_values(ascending=column.better == "low", kind="stable")
    first, others = values[values == values.iloc[0]], values[values != values.iloc[0]]
    names = (rows["run"] + " (" + rows["system"] + ")").to_dict()
    best = ", ".join(names[index] for index in first.index)
    following, value = (names[others.index[0]], float(others.iloc[0])) if len(others) else (None, None)
    interval = bounds[first.index[0]].get(column.name) if len(first) == 1 else None
    return Standing(where, column, best, float(values.iloc[0]), interval, following, value)


def headline(found: list[Standing]) -> str:
    """A sentence about the first corpus of ``standings``."""
    if not found:
        return "No run was scored on test or val yet: slts evaluate run=RUN scores one."
    here = [one for one in found if one.where == found[0].where]
    told = {one.column.name: one for one in here if one.following} or {one.column.name: one for one in here}
    one = next((told[name] for name in FIRST if name in told), next(iter(told.values())))
    if one.following is None:
        return f"On {one.where}, {one.best} reaches {one.column.title} {one.said(one.value)}."
    leads = sum(other.best == one.best and other.following is not None for other in here)
    return (
        f"On {one.where}, {one.best} has the best {one.column.title}, {one.said(one.value)}, before"
        f" {one.following} with {one.said(one.next_value)}; it is best by {leads} of {len(told)} figures."
    )


def compared(results: pd.DataFrame) -> str:
    """How many runs, of which systems, on what."""
    scored = results[results["split"].notna()]
    waiting = results.loc[results["split"].isna(), "run"].nunique()
    said = "No scored run"
    if len(scored):
        systems, corpora = (list(dict.fromkeys(scored[name])) for name in ("system", "corpus"))
        where = ", ".join(corpora) if len(corpora) < 4 else f"{len(corpora)} corpora"
        said = f"{counted(scored['run'].nunique(), 'scored run')} of {', '.join(systems)}, on {where}"
    return said + (f"; {counted(waiting, 'run')} not evaluated yet." if waiting else ".")


def _size(rows: pd.DataFrame) -> tuple[int, float]:
    return rows["run"].nunique(), rows["clips"].fillna(0).max()


def counted(count: int, name: str) -> str:
    return f"{count} {name}{'s' * (count != 1)}"


def _intervals(row: pd.Series) -> dict[str, tuple[float, float]]:
    clips = load_clips(row)
    return {} if clips is None else intervals(clips)
