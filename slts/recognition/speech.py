"""The sound and the text of a prepared corpus, without its pictures."""

import csv
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slts.data.clip import Reject
from slts.data.facts import LEARNED_FROM, sample_facts
from slts.data.media import decode_flac
from slts.data.shards import index_shard, read_corpus_json
from slts.errors import UserError
from slts.spreadsheet import text


@dataclass(frozen=True)
class Speech:
    """One clip; ``audio`` is (N,) float32 at 16 kHz, ``text`` None where the corpus has none."""

    key: str
    text: str | None
    audio: np.ndarray


def read_speech(data: Path, split: str) -> Iterator[Speech]:
    """The clips of a split in the order of the shards. Raises UserError for a damaged corpus."""
    for shard, key, read in _samples(data, split):
        try:
            yield Speech(key, json.loads(read("json"))["text"], decode_flac(read("flac")))
        except (KeyError, ValueError, OSError, Reject) as error:
            raise _damaged(shard, key, error) from None


def read_facts(data: Path, split: str) -> dict[str, dict]:
    """What the KEY.json of a split say, by key (see slts.data.facts). Raises UserError for a damaged corpus."""
    facts = {}
    for shard, key, read in _samples(data, split):
        try:
            facts[key] = sample_facts(read("json"), (*LEARNED_FROM, "text"))
        except (KeyError, ValueError, OSError) as error:
            raise _damaged(shard, key, error) from None
    return facts


def read_texts(data: Path, split: str) -> dict[str, str | None]:
    """The texts of a split by key. Raises UserError for a damaged corpus."""
    return {key: facts["text"] for key, facts in read_facts(data, split).items()}


def read_text_table(file: Path, stems: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The texts of pairs in a CSV with the columns stem, text, perhaps blank, and notes on rows that are of no pair.

    Raises ValueError for another table, a stem that is there twice, or a table without the stem of a pair.
    """
    texts, lines, notes, strangers = {}, {}, [], 0
    other_case = {stem.casefold(): stem for stem in stems}
    for line, stem, said in _text_rows(file):
        if stem in lines:
            raise ValueError(f"stem {stem} is in lines {lines[stem]} and {line}; keep one")
        lines[stem] = line
        if stem in stems:
            texts[stem] = said
        elif stem.casefold() in other_case:
            notes.append(f"line {line}: {stem} is not the stem {other_case[stem.casefold()]}, whose case is another")
        else:
            strangers += 1
    if not texts:
        raise ValueError("; ".join([*notes, "no row has the stem of a pair (its path in the folder, without suffix)"]))
    return texts, [*notes, f"rows with the stem of no pair: {strangers}"] if strangers else notes


def _text_rows(file: Path) -> Iterator[tuple[int, str, str]]:
    """The line, stem and text of each row."""
    with Path(file).open(newline="", encoding="utf-8-sig") as stream:
        rows, line = csv.reader(stream, strict=True), 1
        try:
            columns = next(rows, [])
            if not {"stem", "text"} <= set(columns):
                raise ValueError(f"its columns are {', '.join(columns)}; it needs stem and text")
            line = rows.line_num + 1
            for row in rows:
                if row and len(row) != len(columns):
                    raise ValueError(f"line {line}: {len(row)} cells where there are {len(columns)} columns")
                if row:
                    cells = dict(zip(columns, row, strict=True))
                    yield line, text(cells["stem"]), text(cells["text"])
                line = rows.line_num + 1
        except csv.Error as error:
            raise ValueError(f"line {line}: {error}") from None


def _damaged(shard: Path, key: str, error: Exception) -> UserError:
    return UserError(f"{shard}: sample {key} cannot be read ({error}); prepare the corpus again")


def _samples(data: Path, split: str):
    for shard in read_corpus_json(data)["shards"]:
        if shard["file"].startswith(f"{split}-"):
            path = Path(data) / shard["file"]
            entries = index_shard(path)
            with path.open("rb") as file:
                for entry in entries:
                    members = entry["members"]
                    yield path, entry["key"], lambda suffix, m=members: os.pread(file.fileno(), *reversed(m[suffix]))
