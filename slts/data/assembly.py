"""Samples into shards, and shards into a corpus: what preparation, repair and synthesis share.

Beside each shard lies a hidden sidecar with its facts, written before the shard gets its name. The sidecars are merged
into corpus.json and rejected.jsonl at the end.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from slts import __version__
from slts.audio import SAMPLE_RATE
from slts.audio.mel import BANDS, log_mel
from slts.data.media import decode_flac
from slts.data.shards import write_shard
from slts.errors import UserError
from slts.files import sha256, write_whole
from slts.json_lines import read_rows


def sidecar(shard: Path) -> Path:
    return shard.with_name(f".{shard.stem}.json")


def facts_of(shard: Path) -> dict | None:
    """The sidecar of a finished shard, None while the shard is not there whole."""
    if not sidecar(shard).exists():
        return None
    facts = json.loads(sidecar(shard).read_text())
    size = shard.stat().st_size if shard.exists() else 0
    return facts if facts["bytes"] == size else None


def heard(flac: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The sound that training will read, (N,), and its log-mel (frames, BANDS): 16 bits lift the mel's floor."""
    audio = decode_flac(flac)
    return audio, log_mel(torch.from_numpy(audio)[None])[0].double().numpy()


def assemble_shard(path: Path, samples: Iterable[dict], rejected: list[dict]) -> None:
    """Write samples {key, mp4, flac: bytes, json: dict} as a shard, and its sidecar.

    ``rejected`` are lines of the ledger; it may be filled while the samples are made. Without a sample there is no
    shard, only a sidecar.
    """
    statistics = {"frames": 0, "sum": np.zeros(BANDS), "squares": np.zeros(BANDS)}
    kept: list[dict] = []

    def counted():
        for sample in samples:
            audio, mel = heard(sample["flac"])
            statistics["frames"] += len(mel)
            statistics["sum"] += mel.sum(0)
            statistics["squares"] += np.square(mel).sum(0)
            kept.append({"seconds": len(audio) / SAMPLE_RATE, **sample["json"]})
            yield sample

    temporary = write_shard(path, counted())
    facts = {
        "file": path.name,
        "clips": len(kept),
        "bytes": temporary.stat().st_size if kept else 0,
        "sha256": sha256(temporary),
        "seconds": sum(sample["seconds"] for sample in kept),
        "speakers": sorted({sample["speaker"] for sample in kept}),
        "fps": sorted({sample["fps"] for sample in kept}),
        "mel": {name: np.asarray(value).tolist() for name, value in statistics.items()},
        "several_streams": Counter(kind for sample in kept for kind in sample.get("streams", ())),
        "rejected": rejected,
    }
    write_whole(sidecar(path), json.dumps(facts).encode())
    if kept:
        temporary.rename(path)
    else:
        temporary.unlink()


def merge_facts(
    write: Callable[[str, bytes], None],
    found: list[dict],
    name: str,
    settings: dict,
    extra: dict | None = None,
    rejected_before: list | None = None,
) -> dict:
    """Write rejected.jsonl and corpus.json of finished shards, and return the latter.

    Args:
        write: is given the name and the bytes of each file.
        found: what the sidecars of the shards hold, in the order of the shards.
        name: of the corpus.
        settings: how it was prepared, ``size`` among it.
        extra: further keys of corpus.json.
        rejected_before: lines of the ledger from an earlier step.

    Raises:
        UserError: no shard holds a clip.
    """
    parts = [(facts["file"].partition("-")[0], facts) for facts in found]
    rejected = [*(rejected_before or []), *(reject for _, facts in parts for reject in facts["rejected"])]
    lines = "".join(json.dumps(reject, ensure_ascii=False) + "\n" for reject in rejected)
    write("rejected.jsonl", lines.encode())
    parts = [(split, facts) for split, facts in parts if facts["clips"]]
    if not parts:
        reasons = ", ".join(f"{reason} {times}" for reason, times in Counter(r["reason"] for r in rejected).items())
        raise UserError(f"no usable clip ({reasons}); rejected.jsonl in out= names each file and its reason")
    splits = {}
    for split in dict.fromkeys(split for split, _ in parts):
        mine = [facts for other, facts in parts if other == split]
        splits[split] = {
            "clips": sum(facts["clips"] for facts in mine),
            "hours": round(sum(facts["seconds"] for facts in mine) / 3600, 4),
            "speakers": len({speaker for facts in mine for speaker in facts["speakers"]}),
        }
    files = [{key: facts[key] for key in ("file", "sha256", "clips")} for _, facts in parts]
    corpus = {
        "name": name,
        "hash": hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12],
        "splits": splits,
        "speakers": sorted({speaker for _, facts in parts for speaker in facts["speakers"]}),
        "fps": sorted({fps for _, facts in parts for fps in facts["fps"]}),
        "size": settings["size"],
        "mel": _mel_statistics([facts["mel"] for split, facts in parts if split == "train"]),
        "rejected": dict(sorted(Counter(reject["reason"] for reject in rejected).items())),
        "several_streams": sum((Counter(facts["several_streams"]) for _, facts in parts), Counter()),
        "shards": files,
        "versions": versions(),
        "config": settings,
        **(extra or {}),
    }
    write("corpus.json", json.dumps(corpus, indent=1, ensure_ascii=False).encode())
    return corpus


def versions() -> dict[str, str]:
    """Of what shapes the bytes of shards."""
    return {
        "slts": __version__,
        "av": av.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "torch": torch.__version__,
    }


def rejections(data: Path) -> list[dict]:
    """The lines of a corpus's rejected.jsonl; what is none is said and left out."""
    return read_rows(
        data / "rejected.jsonl", lambda row: None if isinstance(row.get("reason"), str) else "it gives no reason"
    )


def _mel_statistics(parts: list[dict]) -> dict | None:
    """Mean and standard deviation of each log-mel band over the frames of a split; None without frames."""
    frames = sum(part["frames"] for part in parts)
    if not frames:
        return None
    mean = sum(np.array(part["sum"]) for part in parts) / frames
    square = sum(np.array(part["squares"]) for part in parts) / frames
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-8))
    return {"mean": mean.round(6).tolist(), "std": deviation.round(6).tolist()}
