"""Visual context attention: what a generator stage asks of the whole clip's visual features."""

from torch import Tensor, nn
from torch.nn import functional


class ContextAttention(nn.Module):
    """One attention head from the columns of a feature map to the global visual features.

    channels x bands: of the feature map, whose columns are the queries. context: width D of the global features. width:
    of queries, keys and values. The answer has half the map's channels, so channels x bands / 2 outputs in all.
    """

    def __init__(self, channels: int, bands: int, context: int, width: int):
        super().__init__()
        self.query = nn.Linear(channels * bands, width)
        self.key, self.value = nn.Linear(context, width), nn.Linear(context, width)
        self.answer = nn.Linear(width, channels // 2 * bands)

    def forward(self, x: Tensor, sent: Tensor) -> Tensor:
        """Feature map (B, C, bands, T') and global features (B, T, D) -> (B, C / 2, bands, T')."""
        query = self.query(x.flatten(1, 2).transpose(1, 2))
        context = functional.scaled_dot_product_attention(query, self.key(sent), self.value(sent))
        return self.answer(context).transpose(1, 2).unflatten(1, (x.shape[1] // 2, x.shape[2]))
