"""An expert that learns on from what it judges: the fine-tuned form, which loses in Wav2Lip's Table 2."""

import torch
from torch import Tensor, nn

from slts.errors import UserError
from slts.layers.discriminators import frozen
from slts.systems.lipsync_expert.frozen_expert import trained_expert
from slts.systems.lipsync_expert.network import LipSyncExpert, cosine_loss


class LearningExpert(nn.Module):
    """Begins as the expert of ``source``, is part of the system's state, and learns with the generator.

    Args:
        source: see FrozenExpert; asked for at the first step of a training alone.
        image_size, channels, width, frames: of the network.
    """

    given = learns = True

    def __init__(self, source: str, image_size: int, channels: int, width: float, frames: int):
        super().__init__()
        self.source = source
        self.network = LipSyncExpert(image_size, channels, width, frames)
        self.register_buffer("begun", torch.zeros(()))
        self.ready = False

    def begin(self) -> None:
        """Before the first step of all: takes over what the expert of ``source`` has learned. Raises UserError, also
        for one of other widths."""
        if not self.ready and not bool(self.begun):
            self._take_over()
            self.begun.fill_(1)
        self.ready = True  # the state is asked once, as every look at a GPU waits for it

    def _take_over(self) -> None:
        network = self.network
        learned = trained_expert(self.source, network.image_size, network.channels, network.frames).state_dict()
        if any(value.shape != learned[name].shape for name, value in network.state_dict().items()):
            raise UserError(
                f"task.expert={self.source} has other widths than the generator, and task.expert_learns=true goes on"
                " from it; train one with the model.width of the generator, or leave it frozen"
            )
        network.load_state_dict(learned)

    def forward(self, pictures: Tensor, mel: Tensor) -> Tensor:
        """Cosine (n,) as of LipSyncExpert; its gradient reaches the pictures alone."""
        return frozen(self.network, pictures, mel)

    def loss(self, recorded: Tensor, drawn: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Cross-entropy (n,) of recorded windows with their ``own`` sound for 1, and for 0 of the same with that of
        an ``other`` place and of what was drawn to their own. Its gradient reaches the expert alone."""
        network = self.network
        in_sync, shifted = network(recorded, own), network(recorded, other)
        return (
            cosine_loss(in_sync, 1.0) + cosine_loss(shifted, 0.0) + cosine_loss(network(drawn.detach(), own), 0.0)
        ) / 3
