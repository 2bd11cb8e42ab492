"""Figures of a run: Fig. 6 of the paper for one clip, offsets against truth for a split."""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from slts.files import write_whole


def mel_figure(mels: dict[str, np.ndarray], distribution: np.ndarray | None, title: str, out: Path) -> None:
    """Log-mels (T, 80) one below another and, beside them, P(k), like Fig. 6.

    Args:
        mels: by name, in order from top to bottom.
        distribution: P(k), k = -K .. K (2 K + 1,), or None.
        title: above all.
        out: PNG file.
    """
    # Margins by hand: a layout that is solved draws all twice, and pictures are what takes long in a validation.
    columns, height = 1 if distribution is None else 2, 1.7 * len(mels) + 0.6
    figure = Figure(figsize=(9 if columns == 2 else 6, height))
    margins = {"left": 0.05, "right": 0.98, "bottom": 0.45 / height, "top": 1 - 0.5 / height, "hspace": 0.12}
    grid = figure.add_gridspec(len(mels), columns, width_ratios=[2, 1][:columns], wspace=0.2, **margins)
    low, high = np.percentile(next(iter(mels.values())), [2, 99.8])
    for row, (name, mel) in enumerate(mels.items()):
        axis = figure.add_subplot(grid[row, 0])
        axis.imshow(
            mel.T, origin="lower", aspect="auto", extent=(0, len(mel) / 100, 0, mel.shape[1]), vmin=low, vmax=high
        )
        axis.set_ylabel(name, fontsize=8)
        axis.set_yticks([])
        axis.tick_params(labelbottom=row == len(mels) - 1)
    axis.set_xlabel("time (s)")
    if distribution is not None:
        radius = len(distribution) // 2
        axis = figure.add_subplot(grid[0, 1])
        axis.bar(10 * np.arange(-radius, radius + 1), distribution, width=9)
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_xlabel("offset (ms), video late > 0", fontsize=8)
        axis.set_title("P(k)", fontsize=9)
    figure.suptitle(title, fontsize=10)
    _save(figure, out)


def offset_figure(truth: np.ndarray, predicted: np.ndarray, title: str, out: Path) -> None:
    """Scatter of predicted against true offsets (ms) with the identity line, and the histogram of the error."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    scatter, histogram = figure.subplots(1, 2)
    span = [min(truth.min(), predicted.min()) - 15, max(truth.max(), predicted.max()) + 15]
    scatter.plot(span, span, color="grey", linewidth=0.8)
    scatter.scatter(truth, predicted, s=10, alpha=0.7)
    scatter.set(xlim=span, ylim=span, xlabel="true offset (ms)", ylabel="predicted offset (ms)", aspect="equal")
    error = predicted - truth
    histogram.hist(np.clip(error, -100, 100), bins=np.arange(-102.5, 105, 5))
    histogram.axvline(error.mean(), color="black", linewidth=0.8, label=f"mean {error.mean():+.1f} ms")
    histogram.set(xlabel="predicted - true (ms), clipped at 100", ylabel="clips")
    histogram.legend()
    figure.suptitle(title, fontsize=10)
    _save(figure, out)


def offset_histogram(
    offsets: np.ndarray, step: float, title: str, out: Path, left_out: int = 0, note: str = ""
) -> None:
    """How offsets (ms) of a corpus are distributed, like Fig. 5: share of clips in bins of ``step`` ms around 0.

    Args:
        offsets: (n,), n >= 1.
        step: width of a bin, ms.
        title: above all.
        out: PNG file.
        left_out: clips not counted, named in the legend with ``note``.
    """
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axis = figure.subplots()
    edge = step * (np.ceil(max(np.abs(offsets).max(), 2 * step) / step) + 0.5)
    bins = np.arange(-edge, edge + step / 2, step)
    label = f"{len(offsets)} clips" + (f", {left_out} left out ({note})" if left_out else "")
    axis.hist(offsets, bins=bins, weights=np.full(len(offsets), 100 / len(offsets)), label=label)
    axis.axvline(0, color="grey", linewidth=0.8)
    median = float(np.median(offsets))
    axis.axvline(median, color="black", linewidth=0.8, linestyle="--", label=f"median {median:+.0f} ms")
    axis.set(xlabel="offset (ms), video late > 0", ylabel="clips (%)", title=title)
    axis.legend(fontsize=8)
    _save(figure, out)


def _save(figure: Figure, out: Path) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format="png")
    write_whole(out, drawn.getvalue())
