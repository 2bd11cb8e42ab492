"""Offsets over time as pictures, and a page of videos with their curves, verdicts and players."""

import html
import io
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
from matplotlib.figure import Figure

from slts.offsets.alignment import described
from slts.offsets.course import Course
from slts.offsets.curve import OffsetCurve
from slts.offsets.finding import Finding
from slts.offsets.verdict import CANNOT_TELL, FAIL, PASS, Limits, Verdict
from slts.reporting.chart import Chart, Dot
from slts.reporting.headline import counted
from slts.reporting.page import page, plain_table, section
from slts.reporting.table import MISSING

NO_OFFSET = "no offset"


def curve_figure(finding: Finding, limits: Limits | None = None, inches: tuple[float, float] = (8, 3)) -> bytes:
    """PNG of the windows' offsets over time, the darker the surer, with the course, the limits and what has none."""
    curve, course = finding.curve, finding.course
    assert curve is not None, "a figure is drawn of windows"
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
                  label=NO_OFFSET)  # fmt: skip
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
    pairs = list(zip(findings, verdicts, strict=True))
    summary = [f"{limits}."] if limits else []
    summary.append("An offset above 0: the video lags the audio. Hover over a dot of a curve for its window.")
    films = "".join(_card(number, *pair, limits, place) for number, pair in enumerate(pairs))
    parts = [section("All videos", _overview(pairs)), section("One by one", f'<div class="cards">{films}</div>')]
    return page("Audio-visual offsets", _headline(pairs, limits), summary, parts)


def _headline(pairs: list[tuple[Finding, Verdict | None]], limits: Limits | None) -> str:
    """How many, and the worst of them."""
    told = [(finding.key, finding.course) for finding, _ in pairs if finding.course]
    said = f"{counted(len(pairs), 'video')}, the offset of {len(told)} can be told."
    if limits:
        words = [verdict.word for _, verdict in pairs if verdict]
        counts = {word: words.count(word) for word in (PASS, FAIL, CANNOT_TELL)}
        said = f"{', '.join(f'{count} {word}' for word, count in counts.items())}."
    if told:
        key, course = max(told, key=lambda one: max(map(abs, one[1].extremes)))
        said += f" The largest offset is that of {_plain(key)}: {described(course)}."
    return said


def _overview(pairs: list[tuple[Finding, Verdict | None]]) -> str:
    """One row a video, which leads to its player."""
    judged = any(verdict for _, verdict in pairs)
    titles, rows = ["video", *(["verdict"] if judged else []), "offset", "sure", "confidence", "seconds"], []
    for number, (finding, verdict) in enumerate(pairs):
        offset = described(finding.course) if finding.course else (finding.cannot_tell or "").partition(":")[0]
        confidence = MISSING if finding.confidence is None else f"{finding.confidence:.2f}"
        seconds = f"{finding.curve.length:.1f}" if finding.curve else MISSING
        name = f'<a href="#video-{number}">{html.escape(_plain(finding.key))}</a>'
        sure = "yes" if finding.sure else "no"
        rows.append([name, *([_word(verdict)] if judged else []), html.escape(offset), sure, confidence, seconds])
    return plain_table(titles, rows, len(titles) - 2)


def _word(verdict: Verdict | None) -> str:
    return f'<span class="{verdict.word}">{verdict.word}</span>' if verdict else ""


def _card(number: int, finding: Finding, verdict: Verdict | None, limits: Limits | None, place: Path) -> str:
    course = finding.course
    if course:
        said = f"{described(course)}; confidence {finding.confidence:.2f}, {'sure' if finding.sure else 'not sure'}"
        if verdict and verdict.stretches:
            said += "; beyond the limits " + ", ".join(f"{a:g}-{b:g} s" for a, b in verdict.stretches)
    else:
        said = f"cannot tell ({finding.cannot_tell})"
    drawn = _chart(finding.curve, course, limits).to_svg() if finding.curve and len(finding.curve.windows) > 1 else ""
    source = quote(os.path.relpath(finding.video.resolve(), place.resolve().parent).replace(os.sep, "/"), safe="/")
    # A name with a colon would be read as the scheme of an address.
    player = f'<video controls preload="none" src="./{source}"></video>'
    title = f"<h3>{_word(verdict)} {html.escape(_plain(finding.key))}</h3>"
    said = f"<p>{html.escape(_plain(said))}</p>"
    return f'<div class="card{" film" * bool(drawn)}" id="video-{number}">{title}{player}{drawn}{said}</div>'


def _chart(curve: OffsetCurve, course: Course | None, limits: Limits | None) -> Chart:
    """What ``curve_figure`` draws, for hovering."""
    dots = [
        Dot(
            window.seconds, window.offset_ms, strength=0.3 + 0.7 * min(1.0, max(0.0, window.confidence)),
            said=f"{window.seconds:.1f} s: {window.offset_ms:+.0f} ms, confidence {window.confidence:.2f}",
        )
        for window in curve.told
    ]  # fmt: skip
    lines = [
        (piece.start, piece.at_start_ms, piece.end, piece.at_start_ms + course.drift / 60 * (piece.end - piece.start))
        for course in ([course] if course else [])
        for piece in course.pieces
    ]
    marks = [
        (window.seconds, f"{window.seconds:.1f} s: no offset, {_plain(f'{window.reason} {window.detail}')}")
        for window in curve.windows
        if window.offset_ms is None
    ]
    band = (-limits.late, limits.early) if limits else None
    title = "Offset over time" + (", within the limits on green" if limits else "")
    zero = [(0.0, 0.0, curve.length, 0.0)]
    return Chart(title, "time (s)", "offset (ms), video late > 0", dots, lines, zero, band, marks)


def _plain(text: str) -> str:
    """Text without bytes that are no UTF-8, which neither fonts nor pages hold."""
    return text.encode(errors="backslashreplace").decode()
