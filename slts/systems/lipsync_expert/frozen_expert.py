"""A trained expert that judges what others draw: given by path, never trained, never saved with them."""

from pathlib import Path

import torch
from torch import Tensor

from slts.errors import UserError
from slts.layers.discriminators import frozen
from slts.systems.lipsync_expert.network import PUBLISHED, LipSyncExpert
from slts.systems.published_weights import load_published
from slts.systems.trained import load_run


class FrozenExpert:
    """Not a module, so that it takes no part in the state, the optimiser or the mode of the system that asks it.

    Args:
        source: a run of task=lipsync_expert, or a file with the published weights; None where there is no expert.
        image_size, channels: of the pictures that it will be shown.
        frames: T_v, pictures of a window.
    """

    learns = False

    def __init__(self, source: str | None, image_size: int, channels: int, frames: int):
        self.source, self.image_size, self.channels, self.frames = source, image_size, channels, frames
        self.network: LipSyncExpert | None = None

    @property
    def given(self) -> bool:
        return self.source is not None

    def __call__(self, pictures: Tensor, mel: Tensor) -> Tensor:
        """Cosine (n,) as of LipSyncExpert; its gradient reaches the pictures alone. Loads the expert at the first call.

        Raises:
            UserError: ``task.expert`` is no expert, or one for other pictures or windows.
        """
        if self.network is None:
            self.network = trained_expert(self.source, self.image_size, self.channels, self.frames).eval()
        network = self.network.to(pictures.device)
        return frozen(network, pictures, mel)


def trained_expert(source: str, image_size: int, channels: int, frames: int) -> LipSyncExpert:
    """The expert of a run or a file, see FrozenExpert. Raises UserError."""
    # Loading draws initial weights: the training's chance stays as it is, resumed or not.
    with torch.random.fork_rng():
        if not Path(source).is_dir():
            network = LipSyncExpert(**PUBLISHED)
            load_published(network, source, "task.expert")
        else:
            run = load_run(source)
            if run.config.task.name != "lipsync_expert":
                raise UserError(
                    f"task.expert={source} is a run of task={run.config.task.name}; give one of"
                    " task=lipsync_expert, or a file of its published weights"
                )
            network = run.task.network
    has = (network.image_size, network.channels, network.frames)
    if has != (image_size, channels, frames):
        raise UserError(
            f"task.expert={source} knows windows of {has[2]} pictures of {has[0]} pixels and {has[1]}"
            f" channels, and the generator needs {frames}, {image_size} and {channels}; train one"
            f" with task.frames={frames} model.image_size={image_size} model.channels={channels}"
        )
    return network
