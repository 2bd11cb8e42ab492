"""One optimiser step under DeepSpeed ZeRO-1 or ZeRO-2, which divide optimiser state (and gradients) among the ranks.

Weights stay 32-bit and whole on every rank, and the state is gathered for a checkpoint, parameter by parameter. So
checkpoints are the same as without ZeRO, and a run may change between DDP and ZeRO and between world sizes.
"""

import importlib.util
import os
import shutil

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from slts.errors import UserError
from slts.training.data_parallel import STATE


def requested() -> bool:
    """Whether ``accelerate launch`` was told to use DeepSpeed."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"


def check_installed() -> None:
    """Raises UserError when something that DeepSpeed needs is missing."""
    for package in ("deepspeed", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"DeepSpeed ZeRO needs {package}, which is not installed: pip install {package}")
    if not torch.cuda.is_available():
        for program in ("g++", "ninja"):
            if shutil.which(program) is None:
                raise UserError(
                    f"DeepSpeed ZeRO on a CPU compiles its communication with g++ and ninja, and {program} is not on"
                    f" PATH: install it, or launch without DeepSpeed (launch/accelerate/two_cpus.yaml)"
                )


def check_configuration(accelerator: Accelerator) -> None:
    """Raises UserError for what is not supported: other stages, offloading, fp16, gradient accumulation."""
    if accelerator.distributed_type.value != "DEEPSPEED":
        raise UserError("DeepSpeed was asked for together with ACCELERATE_USE_CPU; unset ACCELERATE_USE_CPU")
    plugin = accelerator.state.deepspeed_plugin
    config = plugin.deepspeed_config
    zero = config.get("zero_optimization", {})
    stage = zero.get("stage", 0)
    if stage not in (1, 2):
        raise UserError(
            f"zero_stage={stage}: stages 1 and 2 are supported; models of this size gain nothing from dividing the"
            " weights too; use launch/accelerate/zero1.yaml or zero2.yaml"
        )
    for part in ("offload_optimizer", "offload_param"):
        if zero.get(part, {}).get("device", "none") != "none":
            raise UserError(f"{part}: offloading is not supported; set {part}_device to none")
    if config.get("fp16", {}).get("enabled") is True or config.get("bf16", {}).get("enabled") is True:
        raise UserError("16-bit weights of DeepSpeed are not supported; remove fp16 and bf16 and use precision=bf16")
    if config.get("gradient_accumulation_steps", 1) not in (1, "auto"):
        raise UserError("gradient_accumulation_steps must be 1: batch_size is that of a whole step")


class Zero:
    """The counterpart of ``DataParallel`` under DeepSpeed; call ``self.model`` in place of the task.

    Clips each group by itself, as without ZeRO (DeepSpeed's own clipping has one norm for all).
    """

    def __init__(self, accelerator: Accelerator, task: nn.Module, optimizer: torch.optim.Optimizer, batch_size: int):
        self.accelerator = accelerator
        groups = [group["params"] for group in optimizer.param_groups]
        self.parameters = [p for group in groups for p in group]
        self.group_of = [number for number, group in enumerate(groups) for _ in group]
        config = accelerator.state.deepspeed_plugin.deepspeed_config
        config["train_micro_batch_size_per_gpu"] = batch_size // accelerator.num_processes
        config["gradient_clipping"] = 0.0
        self.model, _ = accelerator.prepare(task, optimizer)
        self.partitioned = self.model.optimizer

    @property
    def groups(self) -> list[dict]:
        return self.partitioned.optimizer.param_groups

    def step(self, loss: Tensor, clip_norm: float) -> Tensor:
        """As DataParallel.step; DeepSpeed itself skips the step where the norm is not finite."""
        self.model.backward(loss)
        parts = [self.partitioned.averaged_gradients[i] for i in range(len(self.groups))]
        squares = torch.stack([torch.stack([g.float().square().sum() for g in part]).sum() for part in parts])
        torch.distributed.all_reduce(squares)
        for part, square in zip(parts, squares, strict=True):
            torch._foreach_mul_(part, (clip_norm / (square.sqrt() + 1e-6)).clamp(max=1.0))
        self.model.step()
        return squares.sum().sqrt()

    def state(self) -> dict[str, Tensor]:
        """As DataParallel.state, gathered: every rank must call it, and every rank gets all of it."""
        from deepspeed.utils import safe_get_full_optimizer_state

        self._tie()
        state: dict[str, Tensor] = {}
        kept = self.partitioned.optimizer.state
        for index, parameter in enumerate(self.parameters):
            [flat] = self.groups[self.group_of[index]]["params"]
            if kept[flat]:
                state[f"{index}.step"] = kept[flat]["step"].cpu().clone()
                for key in STATE[1:]:
                    state[f"{index}.{key}"] = safe_get_full_optimizer_state(parameter, key).cpu()
        return state

    def load(self, state: list[dict[str, Tensor]]) -> None:
        """As DataParallel.load; each rank keeps its part."""
        from deepspeed.utils import safe_set_full_optimizer_state

        if not any(state):
            return
        for number, group in enumerate(self.groups):
            [flat] = group["params"]
            step = next(s["step"] for s, at in zip(state, self.group_of, strict=True) if s and at == number)
            parts = {key: torch.zeros_like(flat) for key in STATE[1:]}
            self.partitioned.optimizer.state[flat] = {"step": step.to(flat.device), **parts}
        self._tie()
        for parameter, slot in zip(self.parameters, state, strict=True):
            for key in STATE[1:] if slot else ():  # a parameter that never had a gradient has no state without ZeRO
                safe_set_full_optimizer_state(parameter, slot[key].to(parameter.device), key)

    def _tie(self) -> None:
        # DeepSpeed ties parameters to the optimiser's state once, after the first group's first step: too late for a
        # state that was loaded, too early for the discriminators, which are the second group.
        self.partitioned._hp_optimizer_states_linked = False
        self.partitioned._lazy_init_hp_params_optimizer_state()
