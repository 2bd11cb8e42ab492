"""One table of results: what is best in it, and how it is written as HTML, Markdown, LaTeX and CSV."""

import html
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Figure:
    """How a column of figures is written and read."""

    title: str
    digits: int = 3
    better: str = "high"
    """high, low, or none where nothing is better."""


FIGURES = {
    "stoi": Figure("STOI"),
    "estoi": Figure("ESTOI"),
    "pesq": Figure("PESQ"),
    "mcd": Figure("MCD", better="low"),
    "a_stoi": Figure("a-STOI"),
    "a_estoi": Figure("a-ESTOI"),
    "a_pesq": Figure("a-PESQ"),
    "a_mcd": Figure("a-MCD", better="low"),
    "offset_r2_frontend": Figure("R2 (F)"),
    "offset_r2_syncnet": Figure("R2 (SN)"),
    "w_wer": Figure("w-WER %", 2, "low"),
    "k_wer": Figure("k-WER %", 2, "low"),
    "mos_i": Figure("MOS intelligibility"),
    "mos_n": Figure("MOS naturalness"),
    "offset_r2_truth": Figure("R2 (truth)"),
    "offset_r2_truth_centred": Figure("R2 around the constant"),
    "offset_bias_ms": Figure("constant ms", 1, "none"),
    "offset_mae_ms": Figure("MAE ms", 1, "low"),
    "offset_within_10ms": Figure("within 10 ms"),
    "model_offset_ms": Figure("o_m ms", 1, "none"),
    "offset_r2_whole": Figure("R2 (truth + natural)"),
    "offset_r2_whole_centred": Figure("the same around the constant"),
    "offset_bias_whole_ms": Figure("constant (+ natural) ms", 1, "none"),
    "offset_mae_whole_ms": Figure("MAE (+ natural) ms", 1, "low"),
    "offset_calibration_ms": Figure("constant by calibration ms", 1, "none"),
    "offset_at_edge": Figure("P(k) at the edge", better="low"),
    "lse_d": Figure("LSE-D", better="low"),
    "lse_c": Figure("LSE-C"),
    **{name: Figure(name.replace("_", " "), 0, "none") for name in ("speakers", "train", "val", "test", "clips")},
    **{f"{name}_h": Figure(f"{name} hours", 2, "none") for name in ("train", "val", "test")},
}
NEVER_RANKED = ("real_voice",)


@dataclass
class ResultTable:
    """Rows of published results and of ours.

    ``frame`` has the columns ``corpus``, ``system``, ``by`` (published or ours) and perhaps ``run``, ``split``,
    ``model``, ``note``, then the columns named in ``figures``. A missing figure is NaN. ``FIGURE_ci`` is the half-width
    of an interval, ``FIGURE_low`` and ``FIGURE_high`` are its ends. ``dummy`` marks the Offset-R2 of a predictor of
    zeros.
    """

    name: str
    title: str
    frame: pd.DataFrame
    figures: tuple[str, ...]
    remarks: list[str] = field(default_factory=list)
    ranked: bool = True

    @property
    def identity(self) -> list[str]:
        """The columns that say what a row is, those that say something."""
        names = ("corpus", "system", "by", "run", "split", "model")
        return [name for name in names if name in self.frame and self.frame[name].notna().any()]

    def ranks(self) -> pd.DataFrame:
        """1 for the best and 2 for the second best figure of a column, else 0, by corpus, split and side.

        Where fewer than two rows have a figure nothing is best.
        """
        frame = self.frame
        ranks = pd.DataFrame(0, frame.index, list(self.figures))
        keys = [name for name in ("corpus", "by", "split") if name in frame]
        for name in self.figures:
            if not self.ranked or FIGURES[name].better == "none":
                continue
            counted = frame[name].notna() & ~frame["system"].isin(NEVER_RANKED)
            if name.startswith("offset_r2") and "dummy" in frame:
                counted &= ~frame["dummy"].fillna(False).astype(bool)
            for _, rows in frame[counted].groupby(keys, dropna=False):
                if len(rows) > 1:
                    order = rows[name].round(FIGURES[name].digits)
                    place = order.rank(method="min", ascending=FIGURES[name].better == "low")
                    ranks.loc[rows.index, name] = place.where(place <= 2, 0).astype(int)
        return ranks

    def differences(self) -> pd.DataFrame:
        """Ours minus published for every row of ours whose corpus and system are published; else no row."""
        frame, rows = self.frame, []
        for _, ours in frame[(frame["by"] == "ours") & frame[list(self.figures)].notna().any(axis=1)].iterrows():
            theirs = frame[(frame["by"] == "published") & (frame["corpus"] == ours["corpus"])]
            theirs = theirs[theirs["system"] == ours["system"]]
            if len(theirs) == 1:
                figures = {name: ours[name] - theirs.iloc[0][name] for name in self.figures}
                rows.append({name: ours[name] for name in self.identity if name != "by"} | figures)
        return pd.DataFrame(rows)

    def intervals(self) -> pd.DataFrame:
        """Our figures with their 95 % intervals, as text; no row without one."""
        known = [name for name in self.figures if f"{name}_low" in self.frame]
        rows = self.frame[self.frame[[f"{name}_low" for name in known]].notna().any(axis=1)] if known else []
        return pd.DataFrame(
            [
                {name: row[name] for name in self.identity if name not in ("by", "model")}
                | {FIGURES[name].title: _interval(row, name) for name in known}
                for _, row in (rows.iterrows() if known else [])
            ]
        )

    def cells(self, best: Callable[[str], str], second: Callable[[str], str], text: Callable[[str], str]):
        """Titles and rows of strings; ``best`` and ``second`` emphasise, ``text`` escapes."""
        titles = [text(name) for name in self.identity] + [text(FIGURES[name].title) for name in self.figures]
        ranks, rows = self.ranks(), []
        for index, row in self.frame.iterrows():
            line = [text(str(row[name])) if pd.notna(row[name]) else MISSING for name in self.identity]
            for name in self.figures:
                cell = text(_number(row, name))
                line.append({1: best, 2: second}.get(ranks.loc[index, name], str)(cell))
            rows.append(line)
        return titles, rows

    def footnotes(self) -> list[str]:
        """Remarks on the table and notes on its rows."""
        notes = []
        if "note" in self.frame:
            for _, row in self.frame[self.frame["note"].fillna("") != ""].iterrows():
                named = [row["run"]] if pd.notna(row.get("run")) else [row["corpus"], row["system"]]
                notes.append(f"{', '.join(name for name in named if pd.notna(name))}: {row['note']}")
        if self.frame.get("dummy", pd.Series(dtype=object)).fillna(False).any():
            notes.append("†: Offset-R2 of a predictor that always says 0.")
        return [*self.remarks, *dict.fromkeys(notes)]

    def to_html(self) -> str:
        titles, rows = self.cells("<b>{}</b>".format, "<u>{}</u>".format, html.escape)
        head = "".join(f"<th>{title}</th>" for title in titles)
        body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
        notes = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in self.footnotes())
        return (
            f"<table>\n<caption>{html.escape(self.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}\n</tbody></table>{notes}"
        )

    _repr_html_ = to_html

    def to_markdown(self) -> str:
        titles, rows = self.cells("**{}**".format, "<u>{}</u>".format, markdown)
        lines = [titles, ["---"] * len(titles), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        notes = "".join(f"\n- {markdown(note)}" for note in self.footnotes())
        return f"**{self.title}**\n\n{table}\n{notes}\n"

    def to_latex(self) -> str:
        """A ``table*`` for the packages booktabs and graphicx."""
        titles, rows = self.cells(r"\textbf{{{}}}".format, r"\underline{{{}}}".format, latex)
        columns = "l" * len(self.identity) + "r" * len(self.figures)
        end = " \\\\\n"
        starts = self.frame["corpus"].ne(self.frame["corpus"].shift()).tolist()
        body = ""
        for place, row in enumerate(rows):
            body += "\\midrule\n" if place and starts[place] else ""
            body += " & ".join("--" if cell == MISSING else cell for cell in row) + end
        notes = "".join(f"\n\\par\\footnotesize {latex(note)}" for note in self.footnotes())
        return (
            f"\\begin{{table*}}\n\\centering\n\\caption{{{latex(self.title)}}}\n\\label{{tab:{self.name}}}\n"
            f"\\resizebox{{\\textwidth}}{{!}}{{%\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{' & '.join(titles)}{end}"
            f"\\midrule\n{body}\\bottomrule\n\\end{{tabular}}}}{notes}\n\\end{{table*}}\n"
        )

    def to_csv(self) -> str:
        return self.frame.to_csv(index=False)


def markdown(text: str) -> str:
    """Text that neither ends a cell nor is taken for HTML."""
    return html.escape(text, quote=False).replace("|", "\\|")


def latex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "†": r"\dag{}"}
    special |= {"±": r"$\pm$", MISSING: "--"} | {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)


def _number(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return MISSING
    text = f"{row[name]:.{FIGURES[name].digits}f}"
    if pd.notna(row.get(f"{name}_ci")):
        text += f" ± {row[f'{name}_ci']:.3f}"
    dummy = row.get("dummy")
    return text + ("†" if name.startswith("offset_r2") and pd.notna(dummy) and dummy else "")


def _interval(row: pd.Series, name: str) -> str:
    digits = FIGURES[name].digits
    ends = [row[f"{name}_{end}"] for end in ("low", "high")]
    if pd.isna(ends[0]):
        return MISSING
    return f"{row[name]:.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"
