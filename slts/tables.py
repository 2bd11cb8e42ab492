"""One table of the latest result row of every run and split: on the terminal, as Markdown and as CSV."""

COLUMNS = {
    "run": "run",
    "variant": "variant",
    "corpus": "corpus",
    "split": "split",
    "clips": "clips",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "pesq": "PESQ",
    "mcd": "MCD",
    "a_stoi": "a-STOI",
    "a_estoi": "a-ESTOI",
    "a_pesq": "a-PESQ",
    "a_mcd": "a-MCD",
    "offset_r2_frontend": "R2 (F)",
    "offset_r2_truth": "R2 (truth)",
    "offset_mae_ms": "MAE ms",
    "offset_bias_ms": "bias ms",
    "model_offset_ms": "o_m ms",
}


def main(config) -> None:
    import json
    from pathlib import Path

    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from slts.errors import UserError

    latest = {}
    for file in sorted(Path(config.runs).glob("**/results.jsonl")):
        for line in file.read_text().splitlines():
            row = {"run": file.parent.name, **json.loads(line)}
            latest[row["run"], row["split"], row["sync"]] = row
    if not latest:
        raise UserError(f"runs={config.runs} holds no results.jsonl; run slts evaluate first")
    frame = pd.DataFrame(latest.values())
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out / "results.csv", index=False)

    cells = [[_cell(row.get(name)) for name in COLUMNS] for row in latest.values()]
    lines = [" | ".join(row) for row in [list(COLUMNS.values()), ["---"] * len(COLUMNS), *cells]]
    (out / "results.md").write_text("\n".join(f"| {line} |" for line in lines) + "\n")
    # A terminal shows what fits: one column a run.
    table = Table("", *(row[0] for row in cells))
    for place, title in list(enumerate(COLUMNS.values()))[1:]:
        table.add_row(title, *(row[place] for row in cells))
    Console().print(table)
    print(f"written to {out}/results.md and {out}/results.csv")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
