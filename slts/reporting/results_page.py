"""report.html of slts tables: the user's runs first, to be seen and heard, then the published figures."""

import html
from dataclasses import replace

import pandas as pd

from slts.reporting.chart import Chart, Dot
from slts.reporting.figures import Picture, sample_pictures, scaled_picture, truths
from slts.reporting.headline import Standing, compared, headline, standings
from slts.reporting.page import cards, embedded, figure, page, plain_table, section
from slts.reporting.paper import NO_RUN
from slts.reporting.table import MISSING, ResultTable, headed

MOST_DOTS = 1000
"""Clips of a run in its chart; of more, an even part."""


def results_page(
    everything: ResultTable, tables: list[ResultTable], pictures: list[Picture], results: pd.DataFrame, sounds: int,
    runs: str,
) -> str:  # fmt: skip
    """The page of ``everything`` (all results), the other ``tables``, ``pictures``, charts and at most ``sounds`` clips
    of ``runs``. Tables that have no figure of the user's are folded away."""
    found = standings(results)
    tables = [_with_figures(table) for table in tables]
    mine = [table for table in tables if _has_ours(table)]
    others = [table for table in tables if not _has_ours(table)]
    summary = [
        compared(results),
        f"Bold: the best figure, underlined: the second best, by corpus, split and side; arrows say which way is"
        f" better; {MISSING} is a figure that is missing. Rows on grey are published ones.",
    ]
    known = tuple(name for name in everything.figures if everything.frame[name].notna().any())
    parts = [
        section("Best run by figure", _standings(found)),
        section("Listen and look", *_clips(results, sounds)),
        section("Your runs", replace(everything, figures=known).to_html()),
        section("Figures", _charts(results), *map(figure, pictures)),
        section("Beside the published figures", *(table.to_html() for table in mine)),
        section(
            "Published figures without a run of yours", *(_folded(table.heading, table.to_html()) for table in others)
        ),
        f'<p class="small">Command: <code>slts tables runs={html.escape(runs)}</code>.</p>',
    ]
    return page("Results", headline(found), summary, parts)


def _with_figures(table: ResultTable) -> ResultTable:
    """Without the rows that say that there is no run."""
    return replace(table, frame=table.frame[table.frame["run"] != NO_RUN]) if "run" in table.frame else table


def _has_ours(table: ResultTable) -> bool:
    ours = table.frame[table.frame["by"] != "published"] if "by" in table.frame else table.frame
    return bool(ours[list(table.figures)].notna().any(axis=None))


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>{inside}</details>"


def _standings(found: list[Standing]) -> str:
    """One table a corpus, of the figures that two runs have; all but the first are folded."""
    tables = []
    for where in dict.fromkeys(one.where for one in found):
        shown = [one for one in found if one.where == where and one.following]
        rows = []
        for one in shown:
            low_high = f" [{', '.join(one.said(end) for end in one.interval)}]" if one.interval else ""
            best, after = html.escape(one.best), html.escape(one.following)
            rows.append(
                [headed(one.column), f"<b>{one.said(one.value)}</b>{low_high}", best, one.said(one.next_value), after]
            )
        if rows:
            titles = ["figure", "best [95 % over clips]", "run", "next", "run"]
            tables.append((where, plain_table(titles, rows, len(titles), where)))
    return "".join([table for _, table in tables[:1]] + [_folded(*table) for table in tables[1:]])


def _charts(results: pd.DataFrame) -> str:
    """Found over true offsets, a chart a run; hovering names the clip."""
    charts = []
    for row, clips in truths(results):
        if clips.empty:
            continue
        step = -(-len(clips) // MOST_DOTS)
        both = clips[["offset_ms", "dsm_offset_ms"]]
        low, high = float(both.min(axis=None)), float(both.max(axis=None))
        dots = [
            Dot(true, found, f"{key}: true {true:+.0f}, found {found:+.0f} ms", strength=0.7)
            for key, true, found in zip(clips["key"], *(both[name] for name in both), strict=True)
        ][::step]
        title = f"{row['run']}, {row['split']}" + (f", every {step}th clip" if step > 1 else "")
        chart = Chart(
            title, "true (ms), video late > 0", "found (ms)", dots, guides=[(low, low, high, high)], square=True
        )
        constant = f"Constant {row['offset_bias_ms']:+.1f} ms, MAE {row['offset_mae_ms']:.1f} ms."
        charts.append(f'{chart.to_svg()}<p class="small">{constant}</p>')
    return f"<h3>Offsets found against true offsets</h3>{cards(*charts)}" if charts else ""


def _clips(results: pd.DataFrame, most: int) -> list[str]:
    """The first clip of every run, then the second, until there are ``most``."""
    rows = results[results["split"].isin(["test", "val"])].drop_duplicates(["run", "split"])
    found = [(place, row, file) for _, row in rows.iterrows() for place, file in enumerate(sample_pictures(row))]
    shown = []
    for _, row, file in sorted(found, key=lambda item: item[0])[:most]:
        name = f"{row['run']} ({row['system']})"
        parts = [f"<h3>{html.escape(name)}</h3>"]
        video = file.with_suffix(".mp4")
        if video.is_file():
            source = embedded(video.read_bytes(), "video/mp4")
            parts.append(f'<video controls preload="metadata" src="{source}"></video>')
        sounds = {"generated": file.with_suffix(".wav"), "recorded": file.with_name(f"{file.stem}-recorded.wav")}
        parts += [
            f'<label><span>{title}</span><audio controls preload="metadata"'
            f' src="{embedded(sound.read_bytes(), "audio/wav")}"></audio></label>'
            for title, sound in sounds.items()
            if sound.is_file()
        ]
        about = f"{file.stem}, {row['split']} of {row['corpus']}"
        picture = scaled_picture(file, about)
        parts.append(figure(picture) if picture else f'<p class="small">{html.escape(about)}</p>')
        shown.append("".join(parts))
    return [cards(*shown)] if shown else []
