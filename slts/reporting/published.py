"""The published numbers, from analysis/published_results.yaml."""

from pathlib import Path

import pandas as pd

from slts.errors import UserError
from slts.plain_yaml import read_yaml

PAPER = (
    "stoi", "estoi", "pesq", "mcd", "a_stoi", "a_estoi", "a_pesq", "a_mcd",
    "offset_r2_frontend", "offset_r2_syncnet", "w_wer", "k_wer",
)  # fmt: skip
"""The twelve figures of Table 2, whatever else is measured."""
LARGEST = 1 << 20
"""Bytes of such a file; ours has some 9000."""
PACKAGE = Path(__file__).resolve().parent
NAMES = {"r2_f": "offset_r2_frontend", "r2_sn": "offset_r2_syncnet"}
CORPUS = {"table4_chem_mos": "Lip2Wav-chem", "table5_grid4s": "GRID-4S", "table6_tcd_timit_ls": "TCD-TIMIT-LS"}
"""Of the tables that are about one corpus."""


def load_published(file: Path | None = None, part: str = "slts") -> dict:
    """A part of the file, the SLTS paper's or ``other_papers``; without a name, of the copy in the package or in the
    checkout.

    Raises UserError when there is no such file or it is not of this form.
    """
    folders = PACKAGE, PACKAGE.parents[1] / "analysis"
    places = [file] if file else [folder / "published_results.yaml" for folder in folders]
    for place in places:
        if place.is_file():
            try:
                return read_yaml(place, LARGEST)[part]
            except (OSError, ValueError, KeyError, TypeError):
                raise UserError(f"published={place} is not a file of published results") from None
    raise UserError(f"no {places[0]}; give published=FILE, the checkout's analysis/published_results.yaml")


def published_rows(published: dict, table: str) -> pd.DataFrame:
    """One row a corpus and system: corpus, system and the printed figures by the columns of results.jsonl.

    WER is in per cent. ``dummy`` marks an Offset-R2 of a predictor that always says 0.
    """
    rows, content = [], published[table]
    by_corpus = {CORPUS[table]: content} if table in CORPUS else content
    for corpus, systems in by_corpus.items():
        for system, figures in systems.items():
            if system == "train_subset_200_a_stoi":
                continue
            figures = {NAMES.get(name, name): value for name, value in figures.items()}
            dummy = bool(figures.pop("r2_dummy", False))
            rows.append({"corpus": _full(corpus), "system": system, "dummy": dummy, **figures})
    return pd.DataFrame(rows)


def _full(corpus: str) -> str:
    return f"Lip2Wav-{corpus}" if corpus.islower() else corpus
