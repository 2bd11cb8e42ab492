"""The sound and the text of a prepared corpus, without its pictures."""

import csv
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slts.data.clip import Reject
from slts.data.media import decode_flac
from slts.data.shards import index_shard, read_corpus_json
from slts.errors import UserError


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
            raise UserError(f"{shard}: sample {key} cannot be read ({error}); prepare the corpus again") from None


def read_texts(data: Path, split: str) -> dict[str, str | None]:
    """The texts of a split by key. Raises UserError for a damaged corpus."""
    return {key: json.loads(read("json")).get("text") for _, key, read in _samples(data, split)}


def read_text_table(file: Path, stems: Collection[str]) -> dict[str, str]:
    """The texts in a CSV with the columns stem, text. Raises ValueError for another table or one without any stem."""
    with Path(file).open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        if not {"stem", "text"} <= set(rows.fieldnames or ()):
            raise ValueError(f"its columns are {', '.join(rows.fieldnames or ())}; it needs stem and text")
        texts = {row["stem"]: row["text"] for row in rows if row["text"]}
    if not texts.keys() & set(stems):
        raise ValueError("no row has the stem of a pair (the path below the folder without its suffix)")
    return texts


def _samples(data: Path, split: str):
    for shard in read_corpus_json(data)["shards"]:
        if shard["file"].startswith(f"{split}-"):
            path = Path(data) / shard["file"]
            entries = index_shard(path)
            with path.open("rb") as file:
                for entry in entries:
                    members = entry["members"]
                    yield path, entry["key"], lambda suffix, m=members: os.pread(file.fileno(), *reversed(m[suffix]))
