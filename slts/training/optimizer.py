"""One optimiser for everything a task trains; its discriminators, where it has some, are a group of their own."""

import torch
from torch import nn


def build_optimizer(task: nn.Module, optim) -> torch.optim.Optimizer:
    """Adam or AdamW by the config group ``optim``, over what is not frozen; a second parameter group holds
    ``task.critic``."""
    critic = list(task.critic.parameters()) if task.critic is not None else []
    judging = set(critic)
    groups = [{"params": [p for p in task.parameters() if p.requires_grad and p not in judging], **_settings(optim)}]
    if critic:
        groups.append({"params": critic, **_settings(optim.critic)})
    kind = torch.optim.AdamW if optim.decoupled else torch.optim.Adam
    return kind(groups, fused=True, amsgrad=optim.amsgrad)


def _settings(optim) -> dict:
    return {"lr": optim.learning_rate, "betas": tuple(optim.betas), "weight_decay": optim.weight_decay}
