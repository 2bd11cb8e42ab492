"""Our results beside the published: the paper's tables as Markdown, LaTeX and CSV, and a page with figures and sound.

`results` holds the latest row of every run, split and sync, `table1` ... `table7` and `offsets` the tables,
`report.html` all of them with the figures and playable clips, `evidence.json` the figures with the hashes of config and
corpus, small enough to be kept for good.
"""


def main(config) -> None:
    from pathlib import Path

    from slts.errors import UserError
    from slts.files import refuse_sources, write_whole
    from slts.reporting import paper
    from slts.reporting.evidence import collect_evidence
    from slts.reporting.figures import offset_histograms
    from slts.reporting.project import runs_folder
    from slts.reporting.published import load_published
    from slts.reporting.records import write_record
    from slts.reporting.results import find_corpora, load_results
    from slts.reporting.results_page import results_page
    from slts.reporting.sensitivity import sensitivity_clip, table3

    runs, data = runs_folder(config.runs), Path(config.data) if config.data else None
    published = load_published(Path(config.published) if config.published else None)
    results, corpora = load_results(runs, data), find_corpora(runs, data)
    clip = sensitivity_clip(results, Path(config.clip) if config.clip else None)
    try:
        opinion = paper.table4(results, published, Path(config.ratings) if config.ratings else None)
    except (OSError, ValueError) as error:
        raise UserError(f"ratings={config.ratings}: {error}") from None
    tables = [
        paper.table1(corpora, published),
        paper.table2(results, published),
        table3(published, clip),
        opinion,
        *(paper.against_published(results, published, number) for number in (5, 6, 7)),
        paper.offsets_table(results),
    ]
    everything = paper.results_table(results)
    histograms = offset_histograms(results, corpora)
    page = results_page(everything, tables, [histograms] if histograms else [], results, config.sounds, config.runs)
    out = Path(config.out)
    read = [Path(file) for file in (config.published, config.ratings, config.clip) if file]
    names = [f"{table.name}.{suffix}" for table in [*tables, everything] for suffix in ("md", "tex", "csv")]
    refuse_sources([out / name for name in (*names, "report.html", "evidence.json")], read)
    for table in [*tables, everything]:
        for suffix, text in {"md": table.to_markdown(), "tex": table.to_latex(), "csv": table.to_csv()}.items():
            write_whole(out / f"{table.name}.{suffix}", text.encode())
    write_whole(out / "report.html", page.encode())
    if results["split"].notna().any():
        write_record(collect_evidence(runs, data), out / "evidence.json")
    _print(everything)
    names = ", ".join(table.name for table in [everything, *tables])
    print(f"written to {out}: {names}, each as .md, .tex and .csv, report.html and evidence.json")


def _print(table) -> None:
    """The table in the terminal, one column a run, which fits better than one a figure."""
    from rich.console import Console
    from rich.table import Table

    from slts.reporting.table import MISSING

    titles, rows = table.cells()
    run = titles.index("run")
    shown = Table("", *(row[run] for row in rows))
    for title, *cells in zip(titles, *rows, strict=True):
        if title != "run" and set(cells) != {MISSING}:
            shown.add_row(title, *cells)
    Console().print(shown)
    print("\n".join(table.footnotes()))
