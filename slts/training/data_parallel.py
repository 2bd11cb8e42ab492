"""One optimiser step in one process, or in several that each hold the whole model (DDP)."""

import torch
from accelerate import Accelerator
from torch import Tensor, nn

STATE = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of each parameter; AMSGrad adds one."""


class DataParallel:
    """Steps ``optimizer`` over the parameters of ``task``; call ``self.model`` in place of the task.

    ``slts.training.zero.Zero`` offers the same for DeepSpeed.
    """

    def __init__(self, accelerator: Accelerator, task: nn.Module, optimizer: torch.optim.Optimizer):
        self.accelerator = accelerator
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.model, self.optimizer = accelerator.prepare(task, optimizer)

    @property
    def groups(self) -> list[dict]:
        """The optimiser's parameter groups; their ``lr`` may be set."""
        return self.optimizer.param_groups

    def step(self, loss: Tensor, clip_norm: float) -> Tensor:
        """Backward pass, each group's gradient clipped, step. Returns the norm of the gradient before clipping.

        The norm is that of the gradient averaged over the ranks, so all decide alike: where it is not finite, nothing
        is changed.
        """
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        norms = [self.accelerator.clip_grad_norm_(group["params"], clip_norm) for group in self.groups]
        norm = torch.stack(norms).norm()
        if torch.isfinite(norm):
            self.optimizer.step()
        return norm

    def state(self) -> dict[str, Tensor]:
        """The optimiser's state as ``{parameter}.{key}``, parameters numbered in the order of the groups."""
        slots = self.optimizer.optimizer.state_dict()["state"]
        return {f"{index}.{key}": slot[key] for index, slot in slots.items() for key in slot}

    def load(self, state: list[dict[str, Tensor]]) -> None:
        """Puts back the state of each parameter, as ``checkpoint.load_optimizer`` returns it."""
        optimizer = self.optimizer.optimizer
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": {i: s for i, s in enumerate(state) if s}, "param_groups": groups})
