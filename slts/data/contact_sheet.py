"""A picture of what a corpus's crops look like: one look finds a wrong face or a dead video."""

from pathlib import Path

import cv2
import numpy as np

from slts.data.media import decode_frames
from slts.data.shards import index_shard
from slts.files import write_whole

ROWS, COLUMNS = 8, 12


def contact_sheet(clips: list[np.ndarray], columns: int = COLUMNS) -> np.ndarray:
    """A row of frames for each clip (T, H, W, 3) uint8 RGB of one size, evenly spread over it: (H', W', 3)."""
    rows = []
    for frames in clips:
        chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        rows.append(np.concatenate(list(frames[chosen]), axis=1))
    return np.concatenate(rows, axis=0)


def write_contact_sheet(corpus: dict, folder: Path) -> Path:
    """``folder/contact.png`` with clips from all over a prepared corpus."""
    shards = [folder / shard["file"] for shard in corpus["shards"]]
    places = [(shard, entry["members"]["mp4"]) for shard in shards for entry in index_shard(shard)]
    clips = []
    for pick in np.unique(np.linspace(0, len(places) - 1, ROWS).round().astype(int)):
        shard, (offset, size) = places[pick]
        with shard.open("rb") as file:
            file.seek(offset)
            clips.append(decode_frames(file.read(size)))
    _, encoded = cv2.imencode(".png", contact_sheet(clips)[..., ::-1])
    write_whole(folder / "contact.png", encoded.tobytes())
    return folder / "contact.png"
