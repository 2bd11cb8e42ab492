"""The processes of a training: started, checked, and ended together."""

import gc
import os
from collections.abc import Callable
from datetime import timedelta

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import broadcast_object_list
from torch import nn

from slts.errors import UserError
from slts.training import zero
from slts.training.data_parallel import DataParallel
from slts.training.optimizer import build_optimizer

PATIENCE = 60.0
"""Minutes, doubled, that a process waits for the others where nothing is trained."""
SUPPORTED = ("NO", "MULTI_CPU", "MULTI_GPU", "DEEPSPEED")


def start_processes(batch_size: int, precision: str, watchdog_minutes: float) -> Accelerator:
    """Joins the processes that ``accelerate launch`` or torchrun started, or stands alone.

    Raises:
        UserError: processes that do not find each other, a batch that they cannot share, a precision the device does
            not compute in, or a way of launching that is not supported.
    """
    uses_bf16(precision)
    cpu = not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    # Longer than the watchdog, so that a hung rank is reported by its stacks and not by its neighbours.
    group = {"timeout": timedelta(minutes=2 * watchdog_minutes)}
    if zero.requested():
        zero.check_installed()
        if cpu:
            group["backend"] = "gloo"  # else every rank believes it is alone
    # Running statistics are shared where they matter, before validation and saving (Trainer._share_statistics).
    ddp = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
    handlers = [InitProcessGroupKwargs(**group), ddp]
    accelerator = Accelerator(cpu=cpu and not zero.requested(), mixed_precision="no", kwargs_handlers=handlers)
    on_main_process(accelerator, lambda: _check(accelerator, batch_size))
    return accelerator


def end_processes(accelerator: Accelerator) -> None:
    """Leaves the process group; called when nothing else holds the trained model.

    What DDP holds of the group must be gone first: were it the last to let go, it would wait for Gloo's threads without
    giving up Python's lock, which those may need to drop a tensor (pytorch issue 56297: a trained run hangs at its
    end).
    """
    accelerator.free_memory()
    gc.collect()
    accelerator.end_training()


def own_place() -> tuple[int, int]:
    """Rank and number of the processes that share work without training: those that ``accelerate launch`` or torchrun
    started, or one. Raises UserError as ``start_processes``."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started == 1:
        return 0, 1
    accelerator = start_processes(started, "fp32", PATIENCE)
    return accelerator.process_index, accelerator.num_processes


def leave_processes() -> None:
    """Ends what ``own_place`` began: from here on each process is on its own."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _check(accelerator: Accelerator, batch_size: int) -> None:
    if zero.requested():
        zero.check_configuration(accelerator)
    kind, ranks = accelerator.distributed_type.value, accelerator.num_processes
    if kind not in SUPPORTED:
        raise UserError(f"{kind} is not supported; use one of the files in launch/accelerate")
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != ranks:
        raise UserError(
            f"{started} processes were started and {ranks} found each other; use a file of launch/accelerate"
        )
    if batch_size % ranks:
        low, high = batch_size // ranks * ranks, -(-batch_size // ranks) * ranks
        nearest = f"{low} or {high}" if low else f"{high}"
        raise UserError(f"batch_size={batch_size} cannot be divided by {ranks} processes; use {nearest}")


def on_main_process(accelerator: Accelerator, action: Callable[[], None]) -> None:
    """Runs ``action`` on the main process while the others wait.

    Raises:
        UserError or OSError: on the main process, what the action raised; the other ranks end in silence, status 2.
    """
    refused = None
    if accelerator.is_main_process:
        try:
            action()
        except (UserError, OSError) as error:
            refused = error
    [failed] = broadcast_object_list([refused is not None])
    if refused is not None:
        raise refused
    if failed:
        raise SystemExit(2)


def optimise(accelerator: Accelerator, task: nn.Module, optim, batch_size: int) -> DataParallel | zero.Zero:
    """The task and its optimiser, made ready for the processes. Raises UserError for AMSGrad under ZeRO."""
    optimizer = build_optimizer(task, optim)
    if zero.requested():
        if optim.amsgrad:
            raise UserError("optim.amsgrad=true cannot be divided among processes; launch without DeepSpeed ZeRO")
        return zero.Zero(accelerator, task, optimizer, batch_size)
    return DataParallel(accelerator, task, optimizer)


def uses_bf16(precision: str) -> bool:
    """Whether the networks compute in bf16. Raises UserError for ``precision=bf16`` where the device cannot."""
    if precision == "bf16" and not computes_in_bf16():
        raise UserError("precision=bf16: this device does not compute in bf16; use precision=auto or fp32")
    return precision != "fp32" and computes_in_bf16()


def computes_in_bf16() -> bool:
    """Whether the GPU, or without one the CPU, has instructions for bf16 (elsewhere it is emulated and slow)."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
