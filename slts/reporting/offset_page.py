"""Offsets over time as pictures, and a page of videos with their curves, verdicts and players."""

import base64
import html
import io
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
from matplotlib.figure import Figure

from slts import __version__
from slts.offsets.alignment import described
from slts.offsets.finding import Finding
from slts.offsets.verdict import Limits, Verdict
from slts.reporting.page import STYLE

LOOK = """
video { width: 26rem; max-width: 100%; background: #000 } article { display: flex; flex-wrap: wrap; gap: 1rem;
  align-items: center; border-top: 1px solid #999; padding: .6rem 0 } article img { width: 44rem }
.PASS { color: #176b2c } .FAIL { color: #b00020 } .CANNOT { color: #7a5200 } h2 { font-size: 1rem; width: 100% }
"""
MISSING = "no offset"


def curve_figure(finding: Finding, limits: Limits | None = None, inches: tuple[float, float] = (8, 3)) -> bytes:
    """PNG of the windows' offsets over time, the darker the surer, with the course, the limits and what has none."""
    curve, course = finding.curve, finding.course
    figure = Figure(figsize=inches, layout="constrained")
    axis = figure.subplots()
    if limits:
        axis.axhspan(-limits.late, limits.early, color="tab:green", alpha=0.1, label="within the limits")
    axis.axhline(0, color="grey", linewidth=0.6)
    if told := curve.told:
        seconds, offsets, sure = np.array([(w.seconds, w.offset_ms, w.confidence) for w in told]).T
        least = None if len(told) > 1 else 0.0  # a single one is as dark as any
        points = axis.scatter(seconds, offsets, c=sure, cmap="viridis_r", s=12, zorder=3, vmin=least)
        if len(told) > 1:
            figure.colorbar(points, ax=axis, label="confidence", pad=0.01)
    if course:
        for piece in course.pieces:
            ends = np.array([piece.start, piece.end])
            axis.plot(
                ends, piece.at_start_ms + course.drift / 60 * (ends - piece.start), color="tab:red", linewidth=1.2
            )
    untold = [window.seconds for window in curve.windows if window.offset_ms is None]
    if untold:
        axis.plot(untold, np.full(len(untold), 0.02), "|", color="grey", transform=axis.get_xaxis_transform(),
                  label=MISSING)  # fmt: skip
    if limits or untold:
        axis.legend(fontsize=7, loc="upper right")
    axis.margins(y=0.2)
    axis.set(xlim=(0, curve.length), xlabel="time (s)", ylabel="offset (ms), video late > 0")
    said = described(course) if course else f"cannot tell: {(finding.cannot_tell or '').partition(':')[0]}"
    axis.set_title(_plain(f"{finding.key}: {said}").replace("$", r"\$"), fontsize=9)  # else Matplotlib's mathematics
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format="png")
    return drawn.getvalue()


def offset_page(findings: list[Finding], verdicts: list[Verdict | None], limits: Limits | None, place: Path) -> str:
    """An HTML page that needs nothing but the videos, to which it links relative to its ``place``; no script."""
    counts = {word: sum(v is not None and v.word == word for v in verdicts) for word in ("PASS", "FAIL", "CANNOT TELL")}
    total = ", ".join(f"{count} {word}" for word, count in counts.items()) if limits else f"{len(findings)} videos"
    intro = f"<p>{html.escape(str(limits))}.</p>" if limits else ""
    body = "\n".join(_article(*pair, limits, place) for pair in zip(findings, verdicts, strict=True))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>slts: offsets</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<style>{STYLE}{LOOK}</style>\n</head>\n<body>\n'
        "<h1>Audio-visual offsets</h1>\n"
        f"<p>{html.escape(total)}. Positive: the video lags the audio. Made by slts {__version__}.</p>\n{intro}\n"
        f"{body}\n</body>\n</html>\n"
    )


def _article(finding: Finding, verdict: Verdict | None, limits: Limits | None, place: Path) -> str:
    word = f'<span class="{verdict.word}">{verdict.word}</span> ' if verdict else ""
    course = finding.course
    if course:
        said = f"{described(course)}; confidence {finding.confidence:.2f}, {'sure' if finding.sure else 'not sure'}"
        if verdict and verdict.stretches:
            said += "; beyond the limits " + ", ".join(f"{a:g}-{b:g} s" for a, b in verdict.stretches)
    else:
        said = f"cannot tell ({finding.cannot_tell})"
    picture = ""
    if finding.curve and len(finding.curve.windows) > 1:
        data = base64.b64encode(curve_figure(finding, limits)).decode()
        picture = f'<img alt="offset over time" src="data:image/png;base64,{data}">'
    source = quote(os.path.relpath(finding.video.resolve(), place.resolve().parent).replace(os.sep, "/"), safe="/")
    # A name with a colon would be read as the scheme of an address.
    player = f'<video controls preload="none" src="./{source}"></video>'
    title = html.escape(_plain(finding.key))
    return f"<article><h2>{word}{title}</h2>{player}{picture}<p>{html.escape(_plain(said))}</p></article>"


def _plain(text: str) -> str:
    """Text without bytes that are no UTF-8, which neither fonts nor pages hold."""
    return text.encode(errors="backslashreplace").decode()
