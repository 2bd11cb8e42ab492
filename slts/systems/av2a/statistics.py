"""Running statistics of batch norm for each combination of inputs."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class SplitStatistics(nn.Module):
    """Further sets of the running statistics of a network's batch norms, whose scales and shifts stay shared.

    Args:
        network: whose own statistics are one set more.
        names: of the sets.
    """

    def __init__(self, network: nn.Module, names: tuple[str, ...]):
        super().__init__()
        self.names = names
        self.norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
        for name in names:
            for index, norm in enumerate(self.norms):
                for kind, value in norm.named_buffers(recurse=False):
                    self.register_buffer(f"{name}_{index}_{kind}", value.clone())

    def inherit(self) -> None:
        """Every set becomes a copy of the network's own."""
        for name in self.names:
            for index, norm in enumerate(self.norms):
                for kind, value in norm.named_buffers(recurse=False):
                    getattr(self, f"{name}_{index}_{kind}").copy_(value)

    @contextmanager
    def used(self, name: str) -> Iterator[None]:
        """Inside, the network reads and updates the set of this name; its own where there is none."""
        own = [dict(norm.named_buffers(recurse=False)) for norm in self.norms]
        try:
            for index, kinds in enumerate(own if name in self.names else ()):
                for kind in kinds:
                    setattr(self.norms[index], kind, getattr(self, f"{name}_{index}_{kind}"))
            yield
        finally:
            for norm, kinds in zip(self.norms, own, strict=True):
                for kind, value in kinds.items():
                    setattr(norm, kind, value)
