"""Our results beside the published: the paper's tables as Markdown, LaTeX and CSV, and a page with figures and sound.

`results.md` and `results.csv` hold the latest row of every run, split and sync, `table1` ... `table7` and `offsets` the
tables, `report.html` all of them with the figures and playable clips.
"""

COLUMNS = {
    "run": "run",
    "variant": "variant",
    "corpus": "corpus",
    "split": "split",
    "sync": "sync",
    "clips": "clips",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "pesq": "PESQ",
    "mcd": "MCD",
    "a_stoi": "a-STOI",
    "a_estoi": "a-ESTOI",
    "a_pesq": "a-PESQ",
    "a_mcd": "a-MCD",
    "w_wer": "w-WER",
    "k_wer": "k-WER",
    "offset_r2_frontend": "R2 (F)",
    "offset_r2_syncnet": "R2 (SN)",
    "offset_r2_truth": "R2 (truth)",
    "offset_mae_ms": "MAE ms",
    "offset_bias_ms": "bias ms",
    "model_offset_ms": "o_m ms",
    "lse_d": "LSE-D",
    "lse_c": "LSE-C",
    "note": "note",
}


def main(config) -> None:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from slts.errors import UserError
    from slts.reporting import paper
    from slts.reporting.figures import offset_histograms, offsets_against_truth
    from slts.reporting.page import report
    from slts.reporting.published import load_published
    from slts.reporting.results import find_corpora, load_results
    from slts.reporting.sensitivity import sensitivity_clip, table3

    runs, data = Path(config.runs), Path(config.data) if config.data else None
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
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    results.drop(columns="path").to_csv(out / "results.csv", index=False)
    cells = [[_cell(row.get(name)) for name in COLUMNS] for row in results.to_dict("records")]
    lines = [" | ".join(row) for row in [list(COLUMNS.values()), ["---"] * len(COLUMNS), *cells]]
    (out / "results.md").write_text("\n".join(f"| {line} |" for line in lines) + "\n")
    for table in tables:
        for suffix, text in {"md": table.to_markdown(), "tex": table.to_latex(), "csv": table.to_csv()}.items():
            (out / f"{table.name}.{suffix}").write_text(text, encoding="utf-8")
    pictures = [offset_histograms(results, corpora), offsets_against_truth(results)]
    page = report(tables, [picture for picture in pictures if picture], results, config.sounds)
    (out / "report.html").write_text(page, encoding="utf-8")

    # A terminal shows what fits: one column a run.
    shown = Table("", *(row[0] for row in cells))
    for place, title in list(enumerate(COLUMNS.values()))[1:]:
        if any(row[place] not in ("-", "") for row in cells):
            shown.add_row(title, *(row[place] for row in cells))
    Console().print(shown)
    print(f"written to {out}: results.md, results.csv, {', '.join(table.name for table in tables)} and report.html")


def _cell(value: object) -> str:
    import pandas as pd

    if pd.isna(value):
        return "-"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and value > 1 else f"{value:.3f}"
    return str(value).replace("|", "\\|")
