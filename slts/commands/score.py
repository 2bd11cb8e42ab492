"""Score a folder of generated speech against a folder of reference speech, plain and time-aligned.

  slts score reference=DIR generated=DIR out=scores.csv

Any sample rate, length and number of channels: channels are averaged, soxr (HQ) resamples to 16 kHz. Leaves one CSV row
a pair; the last line of standard output is a JSON object of means, 95 % bootstrap intervals and failures with reasons.
What puts a figure in doubt is counted there too, and said in a line: files that are not read, pairs whose durations
(reference_s, generated_s) differ by more than 10 %, offsets at the edge of the search, files below 16 kHz.

  stoi, estoi, pesq, mcd       both sounds from their start, cut to the shorter: a sound that breaks off costs nothing
  stoi_whole, ...              the reference's whole length, what is missing of the generated sound being silence
  a_stoi, ...                  the stretch that both have once the offset found is taken out
  dns_overall, distill_mos ... opinions from 1 to 5 that networks predict from the generated sound alone, with mos=

mos=dnsmos needs pip install 'slts[mos]', mos=distill pip install --no-deps distillmos==0.9.1 xls-r-sqa==0.1.0 (with its
dependencies pip would bring torchaudio, which is not needed and asks for a torch of its own).

Two tables can be scored instead:

  slts score ratings=ratings.csv out=mos.csv
    mean opinion score of each system and aspect with 95 % intervals: Student's t over pooled ratings (interval, as
    published), a bootstrap over raters and clips (low, high), Wilson's of preferences; and paired differences
  slts score offsets=dsm.csv reference_offsets=syncnet.csv out=agreement.csv
    Offset-R2 (the reference's spread is the denominator), bias, MAE and share within 10 ms
"""

import json
import platform
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from slts import __version__
from slts.data.engine import engine_of
from slts.data.offset_table import read_offsets
from slts.errors import UserError
from slts.evaluation.distributed import score_with
from slts.evaluation.doubts import count_doubts, notes_on
from slts.evaluation.sounds import read_pair, sound_folder
from slts.files import refuse_sources
from slts.metrics import METRICS, summarise
from slts.metrics.opinion import opinion_differences, opinion_table, read_ratings
from slts.metrics.quality import PESQ_MODES
from slts.metrics.scoring import DURATIONS, FACTS, PLAIN, PREDICTED, WHOLE, predicted_by
from slts.offsets.agreement import offset_agreement
from slts.recognition.error_rate import hear, summarise_words, table_columns
from slts.recognition.recogniser import load_recognisers
from slts.recognition.speech import read_text_table
from slts.spreadsheet import write_csv

LIBRARIES = (
    "numpy",
    "scipy",
    "torch",
    "pesq",
    "python_speech_features",
    "soundfile",
    "soxr",
    "jiwer",
    "openai-whisper",
)


def score_folders(config: DictConfig, out: Path) -> None:
    """Scores two folders. Raises UserError for a missing or empty folder, or if they have no stem in common."""
    for key, other in (("reference", "generated"), ("generated", "reference")):
        if config[key] is None:
            given = f"{other}={config[other]}" if config[other] else "one folder"
            raise UserError(f"{key}=... is required: a folder of {key} audio beside {given} (slts score --help)")
    metrics = list(config.metrics)
    if not metrics or (unknown := sorted({str(name) for name in metrics} - set(METRICS))):
        given = f"unknown {', '.join(unknown)}" if metrics else "empty"
        raise UserError(f"metrics: {given}; choose from {', '.join(METRICS)}")
    metrics = list(dict.fromkeys([*metrics, *predicted_by(config.mos)]))
    folders = {key: sound_folder(key, Path(config[key])) for key in ("reference", "generated")}
    references, generated = folders.values()
    if not references.sounds.keys() & generated.sounds.keys():
        raise UserError(f"generated={config.generated}: no file has the stem of one in reference={config.reference}")

    refuse_sources([out], [*references.sounds.values(), *generated.sounds.values()])
    stems = sorted(references.sounds.keys() | generated.sounds.keys())
    pairs = [partial(read_pair, references.find(stem), generated.find(stem)) for stem in stems]
    firsts = (next(iter(folder.sounds.values())) for folder in folders.values())
    engine = engine_of(config, Path(config.reference), Path(config.generated), *firsts)
    if config.recogniser and not config.text:
        raise UserError(f"recogniser={config.recogniser}: k_wer needs what is said; give text=FILE.csv (stem, text)")
    recognisers = load_recognisers(config.whisper, config.recogniser)
    texts, notes = _read(partial(read_text_table, stems=stems), "text", config.text) if config.text else ({}, [])
    for note in notes:
        print(f"text={config.text}: {note}")
    asked = [*metrics, *(DURATIONS if set(metrics) <= {*PLAIN, *WHOLE, *PREDICTED} else FACTS)]
    how = {"metrics": asked, "pesq_mode": config.pesq_mode, "stoi": config.stoi}
    scored = score_with(engine, pairs, **how)
    rows = [{name: row[name] for name in (*metrics, "reasons")} for row in scored]
    facts = [{name: row.get(name) for name in FACTS} for row in scored]
    said = [texts.get(stem) for stem in stems]
    bar = partial(track, total=len(stems), console=Console(stderr=True))
    heard = {r.metric: hear(r, pairs, said, partial(bar, description=r.metric)) for r in recognisers}
    words = table_columns(heard) or [{}] * len(stems)

    table = [
        {"stem": stem, **fact, **{name: row[name] for name in metrics}}
        | {"pesq_mode": config.pesq_mode, "reason": why(row)}
        | columns
        for stem, fact, row, columns in zip(stems, facts, rows, words, strict=True)
    ]
    write_csv(out, list(table[0]), table)
    versions = {"slts": __version__, "python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    failed = [stem for stem, row in zip(stems, rows, strict=True) if row["reasons"]]
    summary = summarise(rows) | {"failed_stems": failed}
    settings = {
        "stoi": config.stoi,
        "pesq": PESQ_MODES[config.pesq_mode],
        "resampling": "soxr HQ to 16 kHz",
        "versions": versions,
    }
    doubts = count_doubts(folders, stems, facts)
    for note in notes_on(doubts, config):
        print(note)
    print(f"{len(stems)} pairs in {out}")
    print(json.dumps(summary | doubts | summarise_words(heard) | settings, allow_nan=False))


def score_ratings(config: DictConfig, out: Path) -> None:
    """Scores a table of opinions: of all raters, and where some failed attention checks, of the others once more.
    Raises UserError if it cannot be read."""
    ratings = _read(read_ratings, "ratings", config.ratings)
    failed = set(ratings["rater"][~ratings["passed"]])
    kept = {"all": ratings, **({"passed": ratings[~ratings["rater"].isin(failed)]} if failed else {})}
    tables = {name: opinion_table(part) for name, part in kept.items()}
    rows = [row | {"of": name} for name, table in tables.items() for row in table]
    write_csv(out, list(rows[0]), rows)
    raters = ratings["rater"].nunique()
    print(f"{len(tables['all'])} systems and aspects in {out}")
    if failed:
        print(f"{len(failed)} of {raters} raters failed an attention check; the rows of=passed are without them")
    told = {"opinion": tables["all"], "differences": opinion_differences(ratings), "raters": raters}
    told |= {"excluded": sorted(failed)}
    if failed:
        told |= {"opinion_passed": tables["passed"], "differences_passed": opinion_differences(kept["passed"])}
    print(json.dumps(told, allow_nan=False))


def score_offsets(config: DictConfig, out: Path) -> None:
    """Holds predicted against reference offsets. Raises UserError for unreadable tables or no key in common."""
    for key, value in (("offsets", config.offsets), ("reference_offsets", config.reference_offsets)):
        if value is None:
            raise UserError(f"{key}=... is required: the CSV beside the other one (slts score --help)")
    predicted = _read(read_offsets, "offsets", config.offsets)
    every = _read(read_offsets, "reference_offsets", config.reference_offsets)
    confident = read_offsets(Path(config.reference_offsets), config.above_confidence)
    keys = [key for key in predicted if key in confident]
    if not keys:
        raise UserError(
            f"offsets={config.offsets}: no key has an offset above above_confidence={config.above_confidence} in "
            f"reference_offsets={config.reference_offsets}"
        )
    agreement = offset_agreement([confident[key] for key in keys], [predicted[key] for key in keys])
    columns = ["key", "reference_ms", "predicted_ms"]
    write_csv(out, columns, [dict(zip(columns, (k, confident[k], predicted[k]), strict=True)) for k in keys])
    unsure = len((every.keys() - confident.keys()) & predicted.keys())
    counts = {"clips": len(keys), "without_reference": len(predicted.keys() - every.keys()), "not_confident": unsure}
    print(f"{len(keys)} clips in {out}")
    print(json.dumps(counts | agreement, allow_nan=False))


def _read(read: Callable, key: str, file: str):
    try:
        return read(Path(file))
    except OSError as error:
        raise UserError(f"{key}={file}: {error.strerror or error}") from None
    except ValueError as error:  # of ours, and of pandas for what is no CSV
        raise UserError(f"{key}={file}: {error}") from None


def why(row: dict) -> str:
    """The reasons of a row of score_pairs, each once, with the metrics it struck unless these are all."""
    struck: dict[str, list[str]] = {}
    for name, reason in row["reasons"].items():
        struck.setdefault(reason, []).append(name)
    return "; ".join(
        reason if len(names) == len(row) - 1 else f"{reason} ({' '.join(names)})" for reason, names in struck.items()
    )


def _check_out(out: Path) -> None:
    """Tries the folder before long work. Raises UserError where no file can be written."""
    try:
        if out.is_dir():
            raise IsADirectoryError(f"{out} is a folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f"out={out}: cannot write there ({error.strerror or error}); name another file") from None


def main(config: DictConfig) -> None:
    """``slts score``. Raises UserError for inputs that do not go together or an output out of reach."""
    modes = {
        ("reference", "generated"): score_folders,
        ("ratings",): score_ratings,
        ("offsets", "reference_offsets"): score_offsets,
    }
    chosen = [keys for keys in modes if any(config[key] is not None for key in keys)]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(keys[0] for keys in chosen)} are scored apart; give one of them")
    out = Path(config.out)
    tables = (config.text, config.ratings, config.offsets, config.reference_offsets)
    refuse_sources([out], [Path(table) for table in tables if table])
    _check_out(out)
    modes[chosen[0] if chosen else ("reference", "generated")](config, out)
