"""Video to local and global visual features: 3-D stem, ResNet18 with PReLU, bidirectional GRU."""

from torch import Tensor, nn

from slts.layers.lip_front import LipFront


class VisualFront(LipFront):
    """Local ("phonetic") features of each moment and global ("sentence") features that know the whole clip.

    channels: of the picture. width: of the first stage; both features are D = 8 width wide. blocks: residual blocks in
    each of the four stages. dropout: on the GRU's input.
    """

    def __init__(
        self, channels: int = 1, width: int = 64, blocks: tuple[int, ...] = (2, 2, 2, 2), dropout: float = 0.3
    ):
        super().__init__(channels, width, blocks, nn.PReLU)
        inputs = self.output_width
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(inputs, inputs, num_layers=2, batch_first=True, bidirectional=True)
        self.to_global = nn.Linear(2 * inputs, inputs)

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised video (B, T, channels, H, W), H and W at least 32 -> local (B, T, D) and global (B, T, D)."""
        phon = super().forward(video)
        return phon, self.to_global(self.gru(self.dropout(phon))[0])
