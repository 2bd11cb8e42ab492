"""Figures 5 and 6 and the offsets against truth, as pictures for notebooks and for the HTML report."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from slts.reporting.corpora import Corpus
from slts.reporting.results import load_clips

SPEAKERS = 6
"""Speakers of a corpus drawn apart in Figure 5; where there are more, all are one histogram."""
WIDTH = 900
"""Pixels to which pictures of runs are scaled down."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture that a notebook shows and a page embeds."""

    data: bytes = field(repr=False)
    mime: str
    caption: str = ""

    def _repr_mimebundle_(self, **_) -> dict:
        return {self.mime: base64.b64encode(self.data).decode()}

    @classmethod
    def of(cls, figure: Figure, caption: str = "") -> "Picture":
        out = io.BytesIO()
        figure.savefig(out, dpi=110, format="png")
        return cls(out.getvalue(), "image/png", caption)


def offset_histograms(
    results: pd.DataFrame, corpora: dict[str, Corpus], above_confidence: float = 3.0
) -> Picture | None:
    """Figure 5: offsets by corpus and speaker, with the mean confidence. None where no clip has an offset.

    SyncNet's offsets count, in bins of 40 ms, where a run was scored with syncnet=; only those above its confidence
    ``above_confidence``, as in the paper. Elsewhere all of DSM's count, in bins of 10 ms. One run a corpus, the newest,
    on the split with most clips.
    """
    panels = []
    for _, row in _newest_runs(results).iterrows():
        clips = load_clips(row)
        if clips is None:
            continue
        found = _offsets(clips, above_confidence)
        if found is not None:
            facts = corpora[row["corpus_hash"]].facts if row["corpus_hash"] in corpora else {}
            panels.append((row, *found, facts.get("speakers", [])))
    if not panels:
        return None
    figure = Figure(figsize=(8, 2.6 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, (row, source, width, clips, speakers) in zip(axes, panels, strict=True):
        who = clips["key"].map(lambda key, speakers=speakers: speaker_of(key, speakers))
        groups = dict(list(clips.groupby(who))) if who.nunique() <= SPEAKERS else {"all": clips}
        edge = width * (np.ceil(max(clips["offset"].abs().max(), 2 * width) / width) + 0.5)
        bins = np.arange(-edge, edge + width / 2, width)
        labels = [f"{name}: {len(g)} clips, confidence {g['sure'].mean():.2f}" for name, g in groups.items()]
        weights = [np.full(len(g), 100 / len(clips)) for g in groups.values()]
        axis.hist([g["offset"] for g in groups.values()], bins, weights=weights, stacked=True, label=labels)
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_title(f"{row['corpus']}, {row['split']}: {source} of {row['run']}", fontsize=9)
        axis.set_ylabel("clips (%)", fontsize=8)
        axis.legend(fontsize=7)
    axis.set_xlabel("offset (ms), video late > 0", fontsize=8)
    return Picture.of(figure, "Offsets by corpus and speaker (Figure 5)")


def offsets_against_truth(results: pd.DataFrame) -> Picture | None:
    """Found against true offsets of each run that finds offsets, where the truth is known; else None."""
    panels = truths(results)
    if not panels:
        return None
    lines = -(-len(panels) // 3)
    figure = Figure(figsize=(8, 2.9 * lines), layout="constrained")
    axes = figure.subplots(lines, 3, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis, (row, clips) in zip(axes, panels, strict=False):
        both = clips[["offset_ms", "dsm_offset_ms"]].to_numpy()
        span = [both.min() - 15, both.max() + 15]
        axis.plot(span, span, color="grey", linewidth=0.8)
        axis.scatter(both[:, 0], both[:, 1], s=8, alpha=0.6)
        axis.set(xlim=span, ylim=span, aspect="equal", xlabel="true (ms)", ylabel="found (ms)")
        axis.set_title(f"{row['run']}, {row['split']}\nconstant {row['offset_bias_ms']:+.1f} ms", fontsize=8)
    return Picture.of(figure, "Offsets found against true offsets")


def truths(results: pd.DataFrame) -> list[tuple[pd.Series, pd.DataFrame]]:
    """Rows of runs that find offsets, where the truth is known, each with its clips that have both."""
    rows = results[results["offset_r2_truth"].notna()].drop_duplicates(["run", "split", "corpus"])
    found = [(row, load_clips(row)) for _, row in rows.iterrows()]
    return [(row, clips.dropna(subset=["offset_ms", "dsm_offset_ms"])) for row, clips in found if clips is not None]


def reconstructions(results: pd.DataFrame, clips_a_run: int = 1) -> list[Picture]:
    """Figure 6: for each run, reconstruction, reference, hard-corrected mel and P(k) of its first clips, as slts
    evaluate left them; runs that find offsets come first."""
    rows = results[results["split"].notna()].sort_values("offset_r2_frontend", ascending=False, kind="stable")
    pictures = []
    for _, row in rows.drop_duplicates(["run", "split"]).iterrows():
        for file in sample_pictures(row)[:clips_a_run]:
            caption = f"{row['run']} ({row['system']}) on {row['split']} of {row['corpus']}: {file.stem}"
            if (picture := scaled_picture(file, caption)) is not None:
                pictures.append(picture)
    return pictures


def sample_pictures(row: pd.Series) -> list[Path]:
    """The pictures of single clips in a run's samples of the row's split: those beside which a sound or video lies."""
    folder = row["path"] / "samples" / str(row["split"])
    return [
        file
        for file in sorted(folder.glob("*.png"))
        if file.with_suffix(".wav").is_file() or file.with_suffix(".mp4").is_file()
    ]


def scaled_picture(file: Path, caption: str) -> Picture | None:
    """A picture of a run as a small JPEG; None if it cannot be read."""
    pixels = cv2.imread(str(file))
    if pixels is None:
        return None
    scale = min(1.0, WIDTH / pixels.shape[1])
    pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Picture(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes(), "image/jpeg", caption)


def speaker_of(key: str, speakers: list[str]) -> str:
    """Whose clip a key is: keys begin with the speaker and - or _."""
    return next((name for name in speakers if key.startswith((f"{name}_", f"{name}-"))), "?")


def _newest_runs(results: pd.DataFrame) -> pd.DataFrame:
    """One row a corpus, of a system that finds offsets: of all splits, the one with most clips of the newest run."""
    rows = results[results["offset_r2_frontend"].notna()]
    rows = rows.sort_values(["scored_at", "clips"], ascending=False)
    newest = rows.drop_duplicates("corpus").set_index("corpus")["run"]
    rows = rows[rows["run"] == rows["corpus"].map(newest)]
    return rows.sort_values("clips", ascending=False).drop_duplicates("corpus").sort_index()


def _offsets(clips: pd.DataFrame, above_confidence: float) -> tuple[str, float, pd.DataFrame] | None:
    """What measured, the width of its bins in ms, and key, offset and sure of the clips that count."""
    if "syncnet_offset_ms" in clips and clips["syncnet_offset_ms"].notna().any():
        names = {"syncnet_offset_ms": "offset", "syncnet_confidence": "sure"}
        counted = clips.rename(columns=names)[["key", "offset", "sure"]].dropna()
        counted = counted[counted["sure"] > above_confidence]
        source, width = f"SyncNet (confidence > {above_confidence:g})", 40.0
    else:
        names = {"dsm_offset_ms": "offset", "confidence": "sure"}
        counted = clips.rename(columns=names)[["key", "offset", "sure"]].dropna()
        source, width = "DSM", 10.0
    return (source, width, counted) if len(counted) else None
