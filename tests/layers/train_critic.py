"""Three adversarial steps on one fixed batch, shared among the processes under DDP; rank 0 prints sums of weights.

Started by test_discriminators.py, on one process and on two.
"""

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


torch.distributed.init_process_group("gloo")
rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
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
    for parameters in (toy.generator, first.score, first, second):
        print(sum(p.abs().sum() for p in parameters.parameters()).item())
torch.distributed.destroy_process_group()
