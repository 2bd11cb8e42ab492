"""Table 3, computed live: what a constant delay does to STOI, ESTOI and MCD of otherwise identical audio."""

import os
from pathlib import Path

import av
import numpy as np
import pandas as pd
import soundfile

from slts.audio import SAMPLE_RATE
from slts.data.clip import Reject
from slts.data.media.container import open_media, refuse_special
from slts.data.media.sound import pulled
from slts.data.media.streams import audio_stream
from slts.errors import UserError
from slts.metrics.scoring import score_pair
from slts.reporting.table import ResultTable

PUBLISHED_CLIP = "bbaf2n"
NAMES = ("stoi", "estoi", "mcd")


def sensitivity_clip(results: pd.DataFrame, given: Path | None = None) -> tuple[Path, str] | None:
    """The clip to delay and what it is called: ``given``, else $SLTS_GRID/table3/bbaf2n.mpg, else the first recorded
    clip that a run of ``results`` left in its samples, else None."""
    published = Path(os.environ.get("SLTS_GRID", "grid")) / "table3" / f"{PUBLISHED_CLIP}.mpg"
    file = given or (published if published.is_file() else None)
    if file:
        return file, f"GRID {PUBLISHED_CLIP}" if file.stem == PUBLISHED_CLIP else file.name
    for _, row in results[results["split"].notna()].iterrows():
        for file in sorted((row["path"] / "samples" / row["split"]).glob("*-recorded.wav")):
            return file, f"{row['corpus']}: {file.stem.removesuffix('-recorded')}"
    return None


def table3(published: dict, clip: tuple[Path, str] | None) -> ResultTable:
    """STOI, ESTOI and MCD of a clip against itself delayed by the published 0 to 12 ms.

    Only GRID's bbaf2n is held against the published digits; any other clip shows the same effect on other speech.

    Raises:
        UserError: the clip cannot be read.
    """
    theirs = published["table3_offset_sensitivity"]
    by_delay = [{"system": f"{row['offset_ms']} ms late", **row} for row in theirs]
    rows, remarks = [], []
    if clip is None:
        remarks.append("No clip was found, so nothing was computed.")
    else:
        file, name = clip
        if file.stem != PUBLISHED_CLIP:
            remarks.append(f"Computed on {name}, not on the paper's clip: compare the effect, not the digits.")
        audio = read_sound(file)
        for row in by_delay:
            late = delayed(audio, row["offset_ms"] * SAMPLE_RATE // 1000)
            scores = score_pair(audio, late, metrics=NAMES)
            rows.append({"corpus": name, "system": row["system"], "by": "ours", **scores})
    rows += [{"corpus": f"GRID {PUBLISHED_CLIP}", "by": "published", **row} for row in by_delay]
    frame = pd.DataFrame(rows, columns=["corpus", "system", "by", *NAMES])
    return ResultTable("table3", "Sensitivity to a delay", frame, NAMES, remarks, ranked=False)


def delayed(audio: np.ndarray, samples: int) -> np.ndarray:
    """Audio (N,) that comes later by so many samples: zeros in front, same length."""
    return np.concatenate([np.zeros(samples, audio.dtype), audio[: len(audio) - samples]])


def read_sound(file: Path) -> np.ndarray:
    """Mono audio (N,) float32 at 16 kHz of a sound or video file.

    The third decimal of the published MCD holds only if mixing and resampling both run in 16 bits, as in ``ffmpeg -ac 1
    -ar 16000``; floating point, which the rest of slts uses, moves it by some thousandths.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        refuse_special(file)
        if file.suffix in (".wav", ".flac"):
            audio, rate = soundfile.read(file, dtype="float32")
            if audio.ndim == 1 and rate == SAMPLE_RATE:
                return audio
        return _decoded(file)
    except (Reject, OSError, IndexError, ValueError, soundfile.LibsndfileError) as error:
        raise UserError(f"clip={file}: its sound cannot be read ({error}); give a sound or video file") from None


def _decoded(file: Path) -> np.ndarray:
    graph, pieces = av.filter.Graph(), []
    with open_media(file) as container:
        stream = audio_stream(container)
        graph.link_nodes(
            graph.add_abuffer(template=stream),
            graph.add("aresample", f"{SAMPLE_RATE}:internal_sample_fmt=s16p"),
            graph.add("aformat", f"sample_fmts=s16:sample_rates={SAMPLE_RATE}:channel_layouts=mono"),
            graph.add("abuffersink"),
        ).configure()
        for frame in [*container.decode(stream), None]:
            graph.push(frame)
            pieces += pulled(graph)
    return (np.concatenate(pieces) / 32768).astype(np.float32)
