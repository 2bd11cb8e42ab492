"""What ``dry_run=true`` reports: parameters, the memory of one process, and where the run stands."""

import torch
from accelerate import Accelerator
from omegaconf import DictConfig
from torch import nn

from slts.training import zero
from slts.training.checkpoint import last_checkpoint, load_weights
from slts.training.processes import uses_bf16
from slts.training.run_directory import RunDirectory
from slts.training.state import load_state


def report(
    config: DictConfig, corpus: dict, run: RunDirectory, task: nn.Module, clip, accelerator: Accelerator
) -> None:
    """Prints it. ``clip`` is a batch of one clip, on which the activations are measured.

    Raises:
        UserError: the run's folder holds another run or a damaged checkpoint.
    """
    run.check(config, corpus)
    for name, part in task.named_children():
        if count := sum(p.numel() for p in part.parameters()):
            print(f"  {name:<16} {count / 1e6:8.2f} M parameters")
    sizes = forecast(config, task.to(accelerator.device), clip.to(accelerator.device), 1, accelerator)
    print("memory of each process, estimated:")
    for name, size in sizes.items():
        print(f"  {name:<24} {size / 1e9:8.3f} GB")
    room = ""
    if accelerator.device.type == "cuda":
        room = f" of {torch.cuda.get_device_properties(accelerator.device).total_memory / 1e9:.1f} GB on the GPU"
    print(f"  {'together':<24} {sum(sizes.values()) / 1e9:8.3f} GB{room}")
    last = last_checkpoint(run.path)
    if last:
        load_weights(last, task)
    step = load_state(last).step if last else 0
    print(f"{run.path}: {f'continues at step {step}' if last else 'begins at step 0'} of {config.steps}")


def forecast(config: DictConfig, task: nn.Module, batch, clips: int, accelerator: Accelerator) -> dict[str, float]:
    """Bytes that a process will hold, by what they are for; activations are measured on a batch of ``clips`` clips."""
    stage = accelerator.state.deepspeed_plugin.zero_stage if zero.requested() else 0
    sizes = state_bytes(task, accelerator.num_processes, stage)
    share = config.batch_size // accelerator.num_processes
    with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=uses_bf16(config.precision)):
        sizes[f"activations of {share} clips"] = share / clips * activation_bytes(task, batch)
    return sizes


def state_bytes(task: nn.Module, ranks: int, zero_stage: int) -> dict[str, float]:
    """Bytes that a process holds between steps: 32-bit weights, gradients, and AdamW's two averages.

    ZeRO-1 divides the averages among the ranks and adds a copy of the rank's weights, ZeRO-2 divides the gradients too.
    """
    weights = float(sum(p.numel() * p.element_size() for p in task.parameters()))
    return {
        "weights": weights,
        "gradients": weights / (ranks if zero_stage == 2 else 1),
        "optimiser": 3 * weights / ranks if zero_stage else 2 * weights,
    }


def activation_bytes(task: nn.Module, batch) -> float:
    """Bytes kept from the forward pass for the backward pass, measured by running it."""
    kept: dict[int, int] = {}
    parameters = {p.untyped_storage().data_ptr() for p in task.parameters()}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        losses, _ = task(batch)
    del losses
    return float(sum(kept.values()))
