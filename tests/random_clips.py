"""Clips of random pictures and sounds, as a dataset gives them to ``collate``."""

import torch


def random_clips(*frames: int, size: int) -> list[dict]:
    """One clip for each number of ``frames``: grey pictures of ``size`` pixels at 25 a second, of the speaker 0."""
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "video": torch.randint(0, 255, (count, 1, size, size), dtype=torch.uint8, generator=generator),
            "audio": torch.randn(count * 640, generator=generator) * 0.1,
            "sounds": {}, "fps": 25.0, "speaker": 0, "offset_ms": 0.0, "key": str(count),
        }
        for count in frames
    ]  # fmt: skip
