"""A picture of what a corpus's crops look like: one look finds a wrong face or a dead video."""

import cv2
import numpy as np

from slts.data.destination import Bucket, Folder
from slts.data.media import decode_frames
from slts.data.shards import index_shard

ROWS, COLUMNS = 8, 12


def contact_sheet(clips: list[np.ndarray], columns: int = COLUMNS) -> np.ndarray:
    """A row of frames for each clip (T, H, W, 3) uint8 RGB of one size, evenly spread over it: (H', W', 3)."""
    rows = []
    for frames in clips:
        chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        rows.append(np.concatenate(list(frames[chosen]), axis=1))
    return np.concatenate(rows, axis=0)


def write_contact_sheet(corpus: dict, out: Folder | Bucket) -> str:
    """contact.png beside the shards, with clips from all over a prepared corpus; returns where it is."""
    shards, ends = corpus["shards"], np.cumsum([shard["clips"] for shard in corpus["shards"]])
    clips = []
    for pick in np.unique(np.linspace(0, ends[-1] - 1, ROWS).round().astype(int)):
        number = int(np.searchsorted(ends, pick, side="right"))
        shard = out.local(shards[number]["file"])
        offset, size = index_shard(shard)[pick - ends[number]]["members"]["mp4"]
        with shard.open("rb") as file:
            file.seek(offset)
            clips.append(decode_frames(file.read(size)))
    _, encoded = cv2.imencode(".png", contact_sheet(clips)[..., ::-1])
    out.write("contact.png", encoded.tobytes())
    return f"{out}/contact.png"
