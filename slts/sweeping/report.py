"""What a study found: report.md and report.html with tables and the pictures beside them; trials.csv; study.json and
evidence.json to be kept."""

import html
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from slts.files import write_whole
from slts.metrics.columns import COLUMNS
from slts.reporting import records
from slts.reporting.chart import Chart, Dot
from slts.reporting.evidence import collect_evidence, seed_table
from slts.reporting.page import cards, page, plain_table, section
from slts.reporting.table import headed, markdown
from slts.spreadsheet import csv_text
from slts.sweeping.pictures import is_number, parallel, plane, slices
from slts.sweeping.record import write_record
from slts.sweeping.trials import REASON, RUN, origin, trainings

BEST = 10
"""Trials in the table of the best."""
SHOWN = ("val/a_stoi", "val/offset_mae_ms", "val/offset_r2")
"""Figures drawn against each parameter, besides the objectives."""
SEED = "seed"
UNFINISHED = "pruned, or not at its end"
VALIDATED = {f"val/{column.validation}": column for column in COLUMNS.values() if column.validation}


def report(study: optuna.Study, runs: Path, out: Path) -> None:
    """Writes the report of a study, running or finished, into ``out``; ``runs`` holds its trials' run directories.

    Where trials were scored by slts evaluate, evidence.json keeps the scores. Importance and history are Optuna's; they
    take trials that were trained to the end, and are left out while there are fewer than two.
    """
    from matplotlib import pyplot as plt
    from optuna.visualization import matplotlib as plots

    plt.switch_backend("Agg")  # Optuna draws by pyplot, which may have no screen
    out.mkdir(parents=True, exist_ok=True)
    trials = trainings(study)
    names = study.metric_names or []
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    found = _Page(f"Study {study.study_name}", out)
    counts = {state: sum(trial.state == state for trial in trials) for state in TrialState}
    found.line(
        f"{len(trials)} trials: "
        + ", ".join(f"{count} {state.name.lower()}" for state, count in counts.items() if count)
    )
    leading = best(study)
    found.table("Best trials" if len(names) == 1 else "Trials that none beats in everything", leading)
    for name in names:
        if chart := _every_trial(trials, name):
            found.chart(f"{name} of every trial", chart)
    if any(SEED in trial.params for trial in whole):
        seeds = over_seeds(trials, names)
        found.table("Mean and standard deviation over seeds", seeds)
        for name, table in crossed(seeds).items():
            found.table(name, table)
    _scores(found, runs, out)
    found.table("Failed", _failed(trials))
    if len(whole) > 1:
        for index, name in enumerate(names):
            _optuna_pictures(study, found, index, name)
        if len(names) == 2:
            found.picture("Pareto front", plots.plot_pareto_front(study, target_names=names).figure)
    metrics = [name for name in dict.fromkeys([*names, *SHOWN]) if any(name in trial.user_attrs for trial in trials)]
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params if key != SEED))
    if metrics and keys:
        with plt.style.context("default"):  # Optuna leaves its own behind
            found.picture("Figures of every trial against each parameter", slices(trials, keys, metrics))
            if len(keys) == 2 and all(is_number(trials, key) for key in keys):
                found.picture(f"Figures of every trial over {keys[0]} and {keys[1]}", plane(trials, keys, metrics))
            if len(keys) > 1:
                for name in [name for name in names if name in metrics]:
                    found.picture(f"Parallel coordinates of {name}", parallel(trials, keys, name))
    write_whole(out / "trials.csv", csv_text(_frame(trials, names)).encode())
    write_record(study, out / "study.json")
    found.write(_headline(leading, names))


def _frame(trials: list[FrozenTrial], names: list[str]) -> pd.DataFrame:
    """One row a training: number, state, values by objective, parameters, figures of its best validation."""
    rows = []
    for trial in trials:
        values = dict(zip(names, trial.values or [None] * len(names), strict=True))
        rows.append({"trial": origin(trial), "state": trial.state.name, **values, **trial.params, **trial.user_attrs})
    return pd.DataFrame(rows)


def best(study: optuna.Study) -> pd.DataFrame:
    """The best of the trials that were trained to the end, best first; with several objectives the Pareto front."""
    names = study.metric_names
    if len(names) == 1:
        sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
        whole = [trial for trial in trainings(study) if trial.state == TrialState.COMPLETE]
        chosen = sorted(whole, key=lambda trial: sign * trial.value)[:BEST]
    else:
        chosen = study.best_trials
    figures = [name for name in SHOWN if name not in names]
    return pd.DataFrame(
        [
            {
                "trial": origin(trial),
                **dict(zip(names, trial.values, strict=True)),
                **{name: trial.user_attrs.get(name) for name in figures},
                **trial.params,
                **{key: value for key, value in trial.user_attrs.items() if key == RUN},
            }
            for trial in chosen
        ]
    )


def over_seeds(trials: list[FrozenTrial], names: list[str]) -> pd.DataFrame:
    """One row a setting of the other parameters, with its number of seeds before the figures, which are objectives
    (``names``) and offsets as mean ± standard deviation.

    Of the trials, which have a parameter ``seed``, those count that were trained to the end; one at least must be.
    """
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    frame = _frame(whole, names)
    settings = [key for key in whole[0].params if key != SEED]
    figures = [name for name in dict.fromkeys([*names, *SHOWN]) if name in frame]
    rows = []
    for values, group in frame.groupby(settings, sort=False, dropna=False):
        row = {**dict(zip(settings, values, strict=True)), "seeds": len(group)}
        for name in figures:
            known = group[name].dropna().astype(float)
            spread = f" ± {known.std():.4f}" if len(known) > 1 else ""
            row[name] = f"{known.mean():.4f}{spread}" if len(known) else None
        rows.append(row)
    return pd.DataFrame(rows)


def crossed(seeds: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By title, for each figure of ``over_seeds`` a table of one parameter against the other; empty unless they are
    two."""
    before = list(seeds.columns).index("seeds")
    if before != 2:
        return {}
    row, column = seeds.columns[:before]
    tables = {}
    for name in seeds.columns[before + 1 :]:
        table = seeds.pivot(index=row, columns=column, values=name).reset_index()
        table.columns = [row, *(f"{column}={value}" for value in table.columns[1:])]
        tables[f"{name} of {row} against {column}"] = table
    return tables


def _scores(found: "_Page", runs: Path, out: Path) -> None:
    if any(runs.glob("*/results.jsonl")):
        record = collect_evidence(runs)
        records.write_record(record, out / "evidence.json")
        found.table("Scores of slts evaluate, mean and standard deviation over seeds", seed_table(record))


def _headline(leading: pd.DataFrame, names: list[str]) -> str:
    if leading.empty:
        return "No trial was trained to the end yet."
    row = leading.to_dict("records")[0]
    figures = ", ".join(f"{name} {_cell(row[name])}" for name in names)
    setting = ", ".join(f"{key}={_cell(row[key])}" for key in row if key not in ("trial", RUN, *names, *SHOWN))
    said = "is best" if len(names) == 1 else "is one that none beats in everything"
    return f"Trial {row['trial']} {said}: {figures}{', with ' * bool(setting)}{setting}."


def _every_trial(trials: list[FrozenTrial], name: str) -> Chart | None:
    """The best validation of each in the order of their beginning, hollow where pruned; hovering tells its setting."""
    shown = [trial for trial in trials if name in trial.user_attrs]
    dots = [
        Dot(
            origin(trial),
            trial.user_attrs[name],
            f"trial {origin(trial)}, {trial.state.name.lower()}: {name} {trial.user_attrs[name]:.4g}; "
            + ", ".join(f"{key}={_cell(value)}" for key, value in trial.params.items()),
            hollow=trial.state != TrialState.COMPLETE,
        )
        for trial in shown
        if np.isfinite(trial.user_attrs[name])
    ]
    return Chart(f"hollow: {UNFINISHED}", "trial", name, dots) if len(dots) > 1 else None


def _failed(trials: list[FrozenTrial]) -> pd.DataFrame:
    lost = "its workers died"
    return pd.DataFrame(
        [
            {"trial": origin(trial), **trial.params, "reason": trial.user_attrs.get(REASON, lost)}
            for trial in trials
            if trial.state == TrialState.FAIL
        ]
    )


def _optuna_pictures(study: optuna.Study, found: "_Page", index: int, name: str) -> None:
    from matplotlib import pyplot as plt
    from optuna.visualization import matplotlib as plots

    target = {} if len(study.directions) == 1 else {"target": lambda trial: trial.values[index]}
    found.picture(f"History of {name}", plots.plot_optimization_history(study, **target, target_name=name).figure)
    try:
        found.picture(f"Importance for {name}", plots.plot_param_importances(study, **target, target_name=name).figure)
    except (ValueError, RuntimeError) as error:
        plt.close("all")
        found.line(f"Importance for {name} cannot be told yet: {error}")


class _Page:
    """The report in Markdown and HTML at once."""

    def __init__(self, title: str, out: Path):
        self.title, self.out = title, out
        self.markdown, self.summary, self.body = [f"# {markdown(title)}"], [], []

    def line(self, text: str) -> None:
        self.markdown.append(markdown(text))
        self.summary.append(text)

    def table(self, title: str, frame: pd.DataFrame) -> None:
        if frame.empty:
            return
        cells = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
        rows = [list(map(str, frame.columns)), ["---"] * frame.shape[1], *cells]
        lines = "\n".join("| " + " | ".join(markdown(cell) for cell in row) + " |" for row in rows)
        self.markdown += [f"## {markdown(title)}", lines]
        titles = [_headed(str(name)) for name in frame.columns]
        best = {name: _best_place(frame[name], str(name)) for name in frame.columns}
        shown = [
            [f"<b>{html.escape(cell)}</b>" if best[name] == place else html.escape(cell)
             for name, cell in zip(frame.columns, row, strict=True)]
            for place, row in enumerate(cells)
        ]  # fmt: skip
        self.body.append(section(title, plain_table(titles, shown, len(titles))))

    def chart(self, title: str, chart: Chart) -> None:
        """In HTML alone: Markdown cannot hover."""
        self.body.append(section(title, cards(chart.to_svg())))

    def picture(self, title: str, figure: Figure) -> None:
        file = "".join(c if c.isalnum() else "_" for c in title.lower()) + ".png"
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=110, bbox_inches="tight", format="png")
        write_whole(self.out / file, drawn.getvalue())
        self.markdown += [f"## {markdown(title)}", f"![{markdown(title)}]({file})"]
        self.body.append(section(title, f'<img src="{file}" alt="{html.escape(title)}">'))

    def write(self, headline: str) -> None:
        write_whole(self.out / "report.md", ("\n\n".join(self.markdown) + "\n").encode())
        write_whole(self.out / "report.html", page(self.title, headline, self.summary, self.body).encode())


def _headed(name: str) -> str:
    """A figure of validation says what it means and which way is better."""
    return headed(replace(VALIDATED[name], title=name, unit="")) if name in VALIDATED else html.escape(name)


def _best_place(values: pd.Series, name: str) -> int | None:
    """Place of the best value of a figure of validation, a mean where there are seeds; None where none is."""
    column = VALIDATED.get(name)
    means = [str(value).partition(" ")[0] for value in values]
    known = pd.to_numeric(pd.Series(means), errors="coerce").dropna()
    if column is None or column.better == "none" or len(known) < 2:
        return None
    return known.idxmax() if column.better == "high" else known.idxmin()


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
