"""ResNet18 on each video frame by itself (SLTS section 4.1: no temporal mixing; He et al., 2016)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class FrameEncoder(nn.Module):
    """Features of single frames. The defaults are ResNet18 without its classifier, 11.2 M parameters.

    The state's names are torchvision's (conv1, bn1, layer1.0.conv1, ...), so that ImageNet weights can be loaded from a
    file once ``fc`` is taken out. channels: of the picture. width: of the first stage, doubled in each next one.
    blocks: residual blocks a stage. checkpointing: keep only the input of each block for the backward pass and compute
    the rest again; losses, gradients and batch-norm statistics stay the same.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        blocks: tuple[int, ...] = (2, 2, 2, 2),
        checkpointing: bool = False,
    ):
        super().__init__()
        self.checkpointing = checkpointing
        self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = []
        inputs = width
        for index, count in enumerate(blocks):
            outputs = width << index
            first = ResidualBlock(inputs, outputs, stride=1 if index == 0 else 2)
            rest = [ResidualBlock(outputs, outputs) for _ in range(count - 1)]
            self.stages.append(f"layer{index + 1}")
            self.add_module(self.stages[-1], nn.Sequential(first, *rest))
            inputs = outputs
        self.output_width = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, video: Tensor, valid: Tensor | None = None) -> Tensor:
        """Standardised video (B, T, channels, H, W) -> features (B, T, output_width); H and W at least 32.

        ``valid`` is as LipFront's, and changes nothing: what pads a clip is not seen from its own frames.
        """
        x = self._run(self._stem, video.flatten(0, 1))
        for stage in self.stages:
            for block in getattr(self, stage):
                x = self._run(block, x)
        return x.mean((2, 3)).unflatten(0, video.shape[:2])

    def _stem(self, x: Tensor) -> Tensor:
        # The layers after take over the layout they get; channels_last is the quicker one. (Of a one-channel picture
        # it could not be told from the ordinary.) ReLU after the pooling is the same function on a quarter of the data.
        x = self.conv1(x).contiguous(memory_format=torch.channels_last)
        return functional.relu(functional.max_pool2d(self.bn1(x), 3, stride=2, padding=1))

    def _run(self, part, x: Tensor) -> Tensor:
        # Parts are layers and not groups of frames: a group would have batch statistics of its own.
        if not (self.checkpointing and torch.is_grad_enabled()):
            return part(x)
        return checkpoint(part, x, use_reentrant=False, context_fn=lambda: (nullcontext(), frozen_statistics(self)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is projected where the shape changes.

    activation: channels -> the non-linearity after the first convolution and that after the sum.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        activation: Callable[[int], nn.Module] = lambda _: nn.ReLU(inplace=True),
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.inner, self.outer = activation(outputs), activation(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.outer(y + shortcut)


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms inside update copies of their running statistics, which are then thrown away."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    try:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer.clone())
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
