"""Train a system on shards, with aligned validation every N steps; resumes by itself when the run exists.

`slts train data=DIR name=NAME` or, on several processes or GPUs, `accelerate launch slts/train.py data=DIR name=NAME`.
On a CPU add experiment=cpu. Leaves runs/NAME: config.yaml, metrics.jsonl, checkpoints/, best, last, samples/.
"""

import sys
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    # Launched as a file, Python puts slts/ itself on the module path; the package's parent belongs there.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main(config) -> int:
    import torch
    from accelerate import Accelerator
    from accelerate.utils import set_seed

    from slts.data.loader import Augmentation, ShardDataset, training_loader
    from slts.data.shards import read_corpus_json
    from slts.errors import UserError
    from slts.evaluation.validation import validate
    from slts.tasks import build_task, check_task
    from slts.training.loop import Trainer
    from slts.training.memory import keep_freed_memory
    from slts.training.run_directory import RunDirectory

    check_task(config)
    corpus = read_corpus_json(Path(config.data))
    bf16 = computes_in_bf16()
    if config.precision == "bf16" and not bf16:
        raise UserError("precision=bf16: this device does not compute in bf16; use precision=auto or fp32")
    accelerator = Accelerator(mixed_precision="bf16" if bf16 and config.precision != "fp32" else "no")
    if accelerator.distributed_type.value == "DEEPSPEED":
        raise UserError("DeepSpeed is not supported by this version; launch with --multi_gpu (DDP) instead")
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    torch.use_deterministic_algorithms(config.deterministic)
    set_seed(config.seed)
    picture = (config.model.image_size, config.model.channels)
    augmentation = Augmentation(**config.augment, chunk_seconds=config.chunk_seconds)
    cache = int(config.cache_gb * 1e9 / max(1, config.workers))
    dataset = ShardDataset(Path(config.data), "train", *picture, augmentation, config.seed, cache)
    task = build_task(config, corpus)
    if accelerator.is_main_process:
        millions = sum(p.numel() for p in task.parameters()) / 1e6
        print(
            f"{config.name}: {config.task.name} ({config.variant}), {millions:.2f} M parameters, {len(dataset)} clips"
            f" of {corpus['name']}, {accelerator.num_processes} process(es) on {accelerator.device}, "
            f"precision {accelerator.mixed_precision}",
            flush=True,
        )
    if config.dry_run:
        return 0
    run = RunDirectory(Path(config.runs) / config.name)
    if accelerator.is_main_process:
        run.open_for_training(config, corpus)
    accelerator.wait_for_everyone()
    rank, ranks = accelerator.process_index, accelerator.num_processes
    batches = partial(_batches, training_loader, dataset, config, rank, ranks)
    trainer = Trainer(config, accelerator, run, task, batches, partial(validate, config, corpus, run, accelerator))
    if trainer.finished:
        print(f"{run.path} is trained: step {trainer.state.step} of {config.steps}")
        return 0
    trainer.fit()
    return 0


def computes_in_bf16() -> bool:
    """Whether the GPU, or without one the CPU, has instructions for bf16 (elsewhere it is emulated and slow)."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def _batches(loader, dataset, config, rank: int, ranks: int, position: int):
    return loader(dataset, config.batch_size, position, rank, ranks, config.workers)


if __name__ == "__main__":
    from slts.cli import run

    sys.exit(run("train", sys.argv[1:]))
