"""Three adversarial steps on one fixed batch, shared among the processes under DDP."""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from slts.layers.discriminators import UnivNetDiscriminators, adversarial_losses


class Toy(nn.Module):
    """A generator of one convolution and its critic, in one forward as tasks have them."""

    def __init__(self):
        super().__init__()
        self.generator = nn.Conv1d(1, 1, 9, padding=4)
        self.critic = UnivNetDiscriminators((4, 6, 8), 4)

    def forward(self, noise, recorded):
        return sum(adversarial_losses(self.critic, recorded, self.generator(noise[:, None])[:, 0]))


def train_critic(rank: int, ranks: int, meeting: Path, out: Path) -> None:
    """One of ``ranks`` processes, which meet by the file ``meeting``; the first writes sums of weights to ``out``."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    torch.manual_seed(0)
    toy, noise, recorded = Toy(), torch.randn(4, 1600), torch.randn(4, 1600).cumsum(1) * 0.01
    model = DistributedDataParallel(toy)
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    for _ in range(3):
        optimizer.zero_grad()
        model(noise[rank::ranks], recorded[rank::ranks]).backward()
        optimizer.step()
    if rank == 0:
        first, second = toy.critic.nets[0], toy.critic.nets[-1]
        of = (toy.generator, first.score, first, second)
        out.write_text(json.dumps([sum(p.abs().sum() for p in module.parameters()).item() for module in of]))
    # The group goes with the process: its destructor may hold the GIL as it waits for a thread that wants it.
