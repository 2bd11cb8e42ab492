"""Figures of trials against the parameters of a study. What a trial shows is the best validation it reached.

Trials that were pruned are drawn hollow or dashed: they were trained for less time than the others. R2, which falls
without bound where offsets are not found, is drawn no lower than -1.
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from slts.sweeping.space import Value

R2, ERROR = "_r2", "_mae"
LEAST_R2 = -1.0
PRUNED = "hollow: pruned, trained for less time"


def slices(trials: list[FrozenTrial], keys: list[str], metrics: list[str]) -> Figure:
    """Metrics (rows) against parameters (columns) over their whole range."""
    figure = Figure(figsize=(4 * len(keys), 2.6 * len(metrics)), layout="constrained")
    axes = figure.subplots(len(metrics), len(keys), squeeze=False)
    for column, key in enumerate(keys):
        given = _distribution(trials, key)
        for row, metric in enumerate(metrics):
            axis = axes[row, column]
            for trial in _with_figures(trials, [key], metric):
                hollow = {"facecolors": "none"} if trial.state == TrialState.PRUNED else {"facecolors": "C0"}
                axis.scatter(_at(given, trial.params[key]), _figure(trial, metric), s=24, edgecolors="C0", **hollow)
            _span(axis, "x", given)
            axis.set(xlabel=key, ylabel=_label(metric))
            axis.grid(alpha=0.3)
    figure.suptitle(f"filled: trained to the end; {PRUNED}", fontsize=10)
    return figure


def plane(trials: list[FrozenTrial], keys: list[str], metrics: list[str]) -> Figure:
    """Two parameters against each other, a panel and a scale of colours for each metric."""
    figure = Figure(figsize=(4.4 * len(metrics), 3.6), layout="constrained")
    axes = figure.subplots(1, len(metrics), squeeze=False, sharey=True)
    x, y = (_distribution(trials, key) for key in keys)
    for axis, metric in zip(axes[0], metrics, strict=True):
        shown = _with_figures(trials, keys, metric)
        colors = _colors(shown, metric)
        for trial in shown:
            color = colors.to_rgba(_figure(trial, metric))
            filled = "none" if trial.state == TrialState.PRUNED else [color]
            place = [_at(given, trial.params[key]) for given, key in zip((x, y), keys, strict=True)]
            axis.scatter(*place, s=90, facecolors=filled, edgecolors=[color], linewidths=2.5)
        _span(axis, "x", x)
        _span(axis, "y", y)
        axis.set(xlabel=keys[0], title=_label(metric))
        axis.grid(alpha=0.3)
        figure.colorbar(colors, ax=axis)
    axes[0, 0].set_ylabel(keys[1])
    figure.suptitle(f"filled: trained to the end; {PRUNED}", fontsize=10)
    return figure


def parallel(trials: list[FrozenTrial], keys: list[str], metric: str) -> Figure:
    """Parallel coordinates: a line a trial through its parameters to its figure."""
    shown = _with_figures(trials, keys, metric)
    colors = _colors(shown, metric)
    figure = Figure(figsize=(2.4 * (len(keys) + 1), 3.8), layout="constrained")
    axis = figure.subplots()
    for trial in shown:
        value = _figure(trial, metric)
        heights = [_height(_distribution(trials, key), trial.params[key]) for key in keys]
        style = "--" if trial.state == TrialState.PRUNED else "-"
        axis.plot([*heights, float(colors.norm(value))], style, color=colors.to_rgba(value), linewidth=1.6)
    for place, key in enumerate(keys):
        given = _distribution(trials, key)
        for value in _marks(given):
            where = (place, _height(given, value))
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            around = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
            beside = {"textcoords": "offset points", "ha": "right", "va": "center", "zorder": 3}
            axis.annotate(text, where, (-4, 0), fontsize=8, bbox=around, **beside)
    for place in range(len(keys) + 1):
        axis.axvline(place, color="0.6", linewidth=0.8, zorder=0)
    axis.set_xticks(range(len(keys) + 1), [*keys, metric])
    axis.set(yticks=[], xlim=(-0.4, len(keys)), ylim=(-0.05, 1.05), title="dashed: pruned")
    axis.title.set_fontsize(10)
    axis.spines[:].set_visible(False)
    figure.colorbar(colors, ax=axis, label=_label(metric))
    return figure


def is_number(trials: list[FrozenTrial], key: str) -> bool:
    return not isinstance(_distribution(trials, key), CategoricalDistribution)


def _distribution(trials: list[FrozenTrial], key: str) -> BaseDistribution:
    return next(trial.distributions[key] for trial in trials if key in trial.distributions)


def _with_figures(trials: list[FrozenTrial], keys: list[str], metric: str) -> list[FrozenTrial]:
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [t for t in trials if t.state in ended and metric in t.user_attrs and set(keys) <= set(t.params)]


def _figure(trial: FrozenTrial, metric: str) -> float:
    value = trial.user_attrs[metric]
    return max(value, LEAST_R2) if R2 in metric else value


def _label(metric: str) -> str:
    return f"{metric} (not below {LEAST_R2:g})" if R2 in metric else metric


def _colors(shown: list[FrozenTrial], metric: str) -> ScalarMappable:
    values = [_figure(trial, metric) for trial in shown] or [0.0]
    low, high = min(values), max(values)
    bright_is_good = "viridis_r" if ERROR in metric else "viridis"
    return ScalarMappable(Normalize(low, high if high > low else low + 1e-3), bright_is_good)


def _at(given: BaseDistribution, value: Value) -> float:
    """Where a value stands on an axis: choices in their order, numbers where they are."""
    return given.choices.index(value) if isinstance(given, CategoricalDistribution) else value


def _span(axes: Axes, side: str, given: BaseDistribution) -> None:
    """Gives the "x" or "y" side of axes the whole range of a parameter and some room."""
    if isinstance(given, CategoricalDistribution):
        places = np.arange(len(given.choices))
        axes.set(**{f"{side}ticks": places, f"{side}ticklabels": [str(choice) for choice in given.choices]})
        ends = -0.5, len(given.choices) - 0.5
    elif given.log:
        axes.set(**{f"{side}scale": "log"})
        room = (given.high / given.low) ** 0.05
        ends = given.low / room, given.high * room
    else:
        room = (given.high - given.low) * 0.05
        ends = given.low - room, given.high + room
    axes.set(**{f"{side}lim": ends})


def _marks(given: BaseDistribution) -> list[Value]:
    """Values written beside an axis of the parallel coordinates."""
    if isinstance(given, CategoricalDistribution):
        return list(given.choices)
    middle = math.sqrt(given.low * given.high) if given.log else (given.low + given.high) / 2
    return [given.low, round(middle) if isinstance(given, IntDistribution) else middle, given.high]


def _height(given: BaseDistribution, value: Value) -> float:
    """A value's place in 0..1 of its range."""
    if isinstance(given, CategoricalDistribution):
        return given.choices.index(value) / max(len(given.choices) - 1, 1)
    low, high, value = (math.log(v) if given.log else v for v in (given.low, given.high, value))
    return (value - low) / (high - low)
