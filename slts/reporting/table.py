"""One table of results: what is best in it, and how it is written as HTML, Markdown, LaTeX and CSV."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import pandas as pd

from slts.metrics.columns import COLUMNS, Column
from slts.spreadsheet import csv_text

MISSING = "\N{EN DASH}"


NEVER_RANKED = ("real_voice",)
IDENTITY = ("corpus", "system", "by", "run", "split", "sync")
"""Columns that say what a row is."""


@dataclass
class ResultTable:
    """Rows of published results and of ours.

    ``frame`` has the columns ``corpus``, ``system``, ``by`` (published or ours) and perhaps ``run``, ``split``,
    ``sync``, ``model``, ``note``, then those named in ``figures``; a column of figures that is not there is added. A
    missing figure is NaN. ``FIGURE_ci`` is the half-width of an interval, ``FIGURE_low`` and ``FIGURE_high`` are its
    ends. ``dummy`` marks the Offset-R2 of a predictor of zeros.
    """

    name: str
    """tableN for the paper's Table N; also the stem of its files."""
    title: str
    frame: pd.DataFrame
    figures: tuple[str, ...]
    remarks: list[str] = field(default_factory=list)
    ranked: bool = True

    def __post_init__(self):
        figures = {name: pd.to_numeric(self.frame.get(name, float("nan"))) for name in self.figures}
        self.frame = self.frame.assign(**figures)

    @property
    def heading(self) -> str:
        number = self.name.removeprefix("table")
        return f"Table {number}: {self.title}" if number.isdigit() else self.title

    @property
    def identity(self) -> list[str]:
        """The columns of IDENTITY that say something: not ``sync`` where it is the same everywhere."""
        said = [name for name in IDENTITY if name in self.frame and self.frame[name].notna().any()]
        return [name for name in said if name != "sync" or self.frame[name].nunique() > 1]

    def ranks(self) -> pd.DataFrame:
        """1 for the best and 2 for the second best figure of a column, else 0, by corpus, split and side.

        Where fewer than two rows have a figure nothing is best.
        """
        frame = self.frame
        ranks = pd.DataFrame(0, frame.index, list(self.figures))
        keys = [name for name in ("corpus", "by", "split", "sync") if name in frame]
        for name in self.figures:
            if not self.ranked or COLUMNS[name].better == "none":
                continue
            counted = frame[name].notna() & ~frame["system"].isin(NEVER_RANKED)
            if name.startswith("offset_r2") and "dummy" in frame:
                counted &= ~frame["dummy"].fillna(False).astype(bool)
            for _, rows in frame[counted].groupby(keys, dropna=False):
                if len(rows) > 1:
                    order = rows[name].round(COLUMNS[name].digits)
                    place = order.rank(method="min", ascending=COLUMNS[name].better == "low")
                    ranks.loc[rows.index, name] = place.where(place <= 2, 0).astype(int)
        return ranks

    def differences(self) -> pd.DataFrame:
        """Ours minus published for every row of ours whose corpus and system are published; else no row."""
        frame, rows = self.frame, []
        columns = [*(name for name in self.identity if name != "by"), *self.figures]
        for _, ours in frame[(frame["by"] == "ours") & frame[list(self.figures)].notna().any(axis=1)].iterrows():
            theirs = frame[(frame["by"] == "published") & (frame["corpus"] == ours["corpus"])]
            theirs = theirs[theirs["system"] == ours["system"]]
            if len(theirs) == 1:
                rows.append(ours.to_dict() | {name: ours[name] - theirs.iloc[0][name] for name in self.figures})
        return pd.DataFrame(rows, columns=columns)

    def intervals(self) -> pd.DataFrame:
        """Our figures with their 95 % intervals, as text; no row without one."""
        known = [name for name in self.figures if f"{name}_low" in self.frame]
        rows = self.frame[self.frame[[f"{name}_low" for name in known]].notna().any(axis=1)] if known else []
        return pd.DataFrame(
            [
                {name: row[name] for name in self.identity if name != "by"}
                | {COLUMNS[name].title: _interval(row, name) for name in known}
                for _, row in (rows.iterrows() if known else [])
            ]
        )

    def cells(
        self,
        text: Callable[[str], str] = str,
        best: Callable[[str], str] = str,
        second: Callable[[str], str] = str,
    ) -> tuple[list[str], list[list[str]]]:
        """Titles and rows of strings; ``text`` escapes, ``best`` and ``second`` emphasise."""
        titles = [text(name) for name in self.identity] + [text(COLUMNS[name].title) for name in self.figures]
        ranks, rows = self.ranks(), []
        for index, row in self.frame.iterrows():
            line = [text(str(row[name])) if pd.notna(row[name]) else MISSING for name in self.identity]
            for name in self.figures:
                cell = text(_number(row, name))
                line.append({1: best, 2: second}.get(ranks.loc[index, name], str)(cell))
            rows.append(line)
        return titles, rows

    def footnotes(self) -> list[str]:
        """Remarks on the table, then what was trained and what is to be noted, each with the rows it holds for."""
        about: dict[str, list[str]] = {}
        for column in self.frame.columns.intersection(["model", "note"]):
            for _, row in self.frame[self.frame[column].notna()].iterrows():
                named = [row["run"]] if pd.notna(row.get("run")) else [row["system"], row["corpus"]]
                about.setdefault(row[column], []).append(" on ".join(name for name in named if pd.notna(name)))
        notes = [f"{', '.join(dict.fromkeys(rows))}: {text}" for text, rows in about.items() if text]
        if self.frame.get("dummy", pd.Series(dtype=object)).fillna(False).any():
            notes.append("†: Offset-R2 of a predictor that always says 0.")
        return [*self.remarks, *notes]

    def grouped(self, titles: list[str], rows: list[list[str]]):
        """Cells with the corpus as a heading of its rows: titles, how many of them are words, and the groups.

        The heading is None where the rows are corpora.
        """
        words = len(self.identity)
        if "system" not in self.identity:
            return titles, words, [(None, rows)]
        groups = [(corpus, [row[1:] for row in group]) for corpus, group in groupby(rows, key=itemgetter(0))]
        return titles[1:], words - 1, groups

    def to_html(self) -> str:
        """With the direction in which a figure is better, what it means as a title, and published rows by class."""
        titles, words, groups = self.grouped(*self.cells(html.escape, "<b>{}</b>".format, "<u>{}</u>".format))
        titles = titles[:words] + [headed(COLUMNS[name]) for name in self.figures]
        sides, body = iter(self.frame.get("by", [""] * len(self.frame))), []
        for corpus, rows in groups:
            if corpus is not None:
                body.append(f'<tr><th colspan="{len(titles)}" style="text-align: left"><span>{corpus}</span></th></tr>')
            for row in rows:
                kind = ' class="published"' if next(sides) == "published" else ""
                body.append(f"<tr{kind}>{''.join(aligned('td', row, words))}</tr>")
        lines = "\n".join(body)
        notes = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in self.footnotes())
        return (
            f'<div class="scroll" style="overflow-x: auto">\n<table>\n'
            f"<caption>{html.escape(self.heading)}</caption>\n"
            f"<thead><tr>{''.join(aligned('th', titles, words))}</tr></thead>\n"
            f"<tbody>\n{lines}\n</tbody></table>\n</div>{notes}"
        )

    _repr_html_ = to_html

    def to_markdown(self) -> str:
        titles, rows = self.cells(markdown, "**{}**".format, "<u>{}</u>".format)
        lines = [titles, ["---"] * len(titles), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        notes = "".join(f"\n- {markdown(note)}" for note in self.footnotes())
        return f"**{self.heading}**\n\n{table}\n{notes}\n"

    def to_latex(self) -> str:
        """A ``table*`` for the packages booktabs and graphicx, scaled down where it is wider than the page."""
        emphasis = r"\textbf{{{}}}".format, r"\underline{{{}}}".format
        titles, words, groups = self.grouped(*self.cells(latex, *emphasis))
        end, body = " \\\\\n", []
        for corpus, rows in groups:
            lines = [" & ".join("--" if cell == MISSING else cell for cell in row) + end for row in rows]
            if corpus is not None:
                lines.insert(0, f"\\multicolumn{{{len(titles)}}}{{l}}{{\\textit{{{corpus}}}}}{end}")
            body.append("".join(lines))
        body = "\\midrule\n".join(body)
        notes = "".join(f"\n\\par {latex(note)}" for note in self.footnotes())
        return (
            f"\\begin{{table*}}\n\\centering\\small\n\\caption{{{latex(self.title)}}}\n"
            f"\\label{{tab:{self.name}}}\n\\par\\smallskip\n"
            "\\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%\n"
            f"\\begin{{tabular}}{{{'l' * words}{'r' * len(self.figures)}}}\n\\toprule\n{' & '.join(titles)}{end}"
            f"\\midrule\n{body}\\bottomrule\n\\end{{tabular}}}}\n"
            f"\\par\\smallskip\\raggedright\\footnotesize{notes}\n\\end{{table*}}\n"
        )

    def to_csv(self) -> str:
        return csv_text(self.frame)


def markdown(text: str) -> str:
    """Text on one line that neither ends a cell nor is taken for HTML, code, a picture or a link."""
    line = html.escape(" ".join(text.split()), quote=False)
    line = re.sub(r"[\\`|\[\]]", r"\\\g<0>", line)
    # GitHub makes links of bare addresses too.
    return re.sub(r"(?i)www\.", lambda found: found[0][:3] + "&#46;", line.replace("://", "&#58;//"))


def latex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "†": r"\dag{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", MISSING: "--"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)


def headed(column: Column) -> str:
    """The heading of a figure in HTML: title, unit and which way is better; what it means comes by hovering."""
    arrow = {"high": " \N{UPWARDS ARROW}", "low": " \N{DOWNWARDS ARROW}"}.get(column.better, "")
    unit = f" {column.unit}" if column.unit and column.unit not in column.title.split() else ""
    return f'<abbr title="{html.escape(column.means, quote=True)}">{html.escape(column.title + unit)}{arrow}</abbr>'


def aligned(tag: str, cells: list[str], words: int) -> list[str]:
    """Table cells, the first ``words`` of them to the left and the others, figures, to the right.

    Each says it itself: notebooks and wikis bring styles of their own.
    """
    sides = ["left"] * words + ["right"] * (len(cells) - words)
    return [f'<{tag} style="text-align: {side}">{cell}</{tag}>' for side, cell in zip(sides, cells, strict=True)]


def _number(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return MISSING
    text = f"{row[name]:.{COLUMNS[name].digits}f}"
    if pd.notna(row.get(f"{name}_ci")):
        text += f" ± {row[f'{name}_ci']:.3f}"
    dummy = row.get("dummy")
    return text + ("†" if name.startswith("offset_r2") and pd.notna(dummy) and dummy else "")


def _interval(row: pd.Series, name: str) -> str:
    digits = COLUMNS[name].digits
    ends = [row[f"{name}_{end}"] for end in ("low", "high")]
    if pd.isna(ends[0]):
        return MISSING
    return f"{row[name]:.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
