"""What of a run leaves this machine when it is published: no optimiser, no log, no path, no address, no table of clips.

The folder is itself a run of which every command takes ``best``: ``config.yaml``, ``corpus.json``,
``best/{model.safetensors,state.json}``, ``results.jsonl``; beside them ``samples/``, ``figures/`` and the card.
"""

import json
import os
import re
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from slts.errors import UserError
from slts.files import sha256
from slts.json_lines import read_rows
from slts.reporting.corpora import Corpus
from slts.reporting.figures import offset_histograms, offsets_against_truth, sample_pictures
from slts.reporting.results import find_corpora, load_results
from slts.secrecy import for_others
from slts.systems.trained import TrainedRun
from slts.training.state import load_state

REPOSITORY = re.compile(r"(?:hf:)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")
KINDS = (".wav", "-recorded.wav", ".mp4", ".png")
"""Endings of what an evaluation leaves of one clip."""


def destination(to: str) -> tuple[str | None, Path | None]:
    """The repository of the hub, or the folder, that ``to=`` names.

    Raises:
        UserError: the folder holds something, or the text may be either.
    """
    match, folder = REPOSITORY.fullmatch(to), Path(to).expanduser()
    if match and (to.startswith("hf:") or not folder.parent.is_dir()):
        return match[1], None
    if match and not folder.exists():
        raise UserError(f"to={to} may be a folder here or a repository of the hub; write to=./{to} or to=hf:{to}")
    if to.startswith("hf:"):
        raise UserError(f"to={to} is not of the form hf:ORG/NAME")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"to={to} is there already; give the name of a new folder")
    return None, folder


def write_publication(run: TrainedRun, out: Path, samples: int) -> pd.DataFrame | None:
    """Fills the new folder ``out`` with all but the card; returns the run's rows of results, None without any."""
    (out / "best").mkdir(parents=True)
    given = OmegaConf.to_container(run.config)
    assert isinstance(given, dict)
    given = {name: value for name, value in given.items() if name != "data_from"}
    config = for_others(given | {"runs": "runs", "tracking": {"name": "none"}})
    (out / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
    (out / "corpus.json").write_text(json.dumps(for_others(run.corpus), indent=1))
    weights = out / "best" / "model.safetensors"
    shutil.copyfile(run.checkpoint / weights.name, weights)
    state = asdict(load_state(run.checkpoint)) | {"tracking_id": None}
    files = {"files": {weights.name: weights.stat().st_size}, "sha256": {weights.name: sha256(weights)}}
    (out / "best" / "state.json").write_text(json.dumps(state | files))
    if rows := read_rows(run.directory.results):
        (out / "results.jsonl").write_text("".join(json.dumps(for_others(row)) + "\n" for row in rows))
    results = load_results(run.directory.path) if rows else None
    if results is not None:
        _draw(results, find_corpora(run.directory.path), out / "figures")
    inside = run.directory.path.resolve()
    for picture in _clips(run, results)[:samples]:
        for file in (picture.with_name(picture.stem + kind) for kind in KINDS):
            if file.is_file() and file.resolve().is_relative_to(inside):  # a link may lead to anything of this machine
                (out / "samples").mkdir(exist_ok=True)
                shutil.copyfile(file, out / "samples" / file.name)
    return results


def place(made: Path, folder: Path) -> None:
    """Copies what was made to a new folder, which is there whole or not at all. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        shutil.copytree(made, temporary)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _draw(results: pd.DataFrame, corpora: dict[str, Corpus], folder: Path) -> None:
    drawn = {"offsets": offset_histograms(results, corpora), "offsets_against_truth": offsets_against_truth(results)}
    for name, picture in drawn.items():
        if picture:
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.png").write_bytes(picture.data)


def _clips(run: TrainedRun, results: pd.DataFrame | None) -> list[Path]:
    """Pictures of the clips that the evaluation of test, else of another split, else the last validation left."""
    splits = [] if results is None else sorted({str(split) for split in results["split"].dropna()}, reverse=True)
    steps = sorted((folder.name for folder in run.directory.samples.glob("step-*")), reverse=True)
    for split in sorted([*splits, *steps], key=lambda name: name != "test" and name not in splits):
        if found := sample_pictures(pd.Series({"path": run.directory.path, "split": split})):
            return found
    return []
