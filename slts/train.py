"""Train a system on shards, with aligned validation every N steps; resumes by itself when the run exists.

`slts train data=DIR name=NAME` or, on several processes or GPUs, `accelerate launch slts/train.py data=DIR name=NAME`.
On a CPU add experiment=cpu. Leaves runs/NAME: config.yaml, metrics.jsonl, checkpoints/, best, last, samples/.
Exit status: 0 trained; 2 refused, with the reason; 75 stopped by SIGTERM or SIGUSR1 after saving, the same command
continues; 1 hung, after the stacks of the process.
"""

import os
import sys
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    # Launched as a file, Python puts slts/ itself on the module path; the package's parent belongs there.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main(config) -> int:
    import torch

    from slts.data.folds import Fold
    from slts.data.shard_source import corpus_of
    from slts.memory import keep_freed_memory
    from slts.systems import check_task
    from slts.training.processes import end_processes, start_processes

    check_task(config)
    left_out = Fold.of(config.leave_out) if config.leave_out else None
    corpus = corpus_of(config)
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(config.deterministic)
    accelerator = start_processes(config.batch_size, config.precision, config.watchdog_minutes)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    status = _train(config, corpus, left_out, accelerator)
    end_processes(accelerator)
    return status


def _train(config, corpus: dict, left_out, accelerator) -> int:
    from accelerate.utils import set_seed

    from slts.data.augmentation import Augmentation
    from slts.data.dataset import ShardDataset
    from slts.data.handover import deaths_named
    from slts.data.loader import training_loader
    from slts.data.location import typed_data
    from slts.evaluation.judges import validate
    from slts.systems import begin_task, build_task
    from slts.training.checkpoint import find_checkpoint, warm_start
    from slts.training.dry_run import report
    from slts.training.guards import STOPPED
    from slts.training.loop import Trainer
    from slts.training.processes import on_main_process, uses_bf16
    from slts.training.run_directory import RunDirectory

    set_seed(config.seed)
    picture = (config.model.image_size, config.model.channels)
    augmentation = Augmentation(**config.augment, chunk_seconds=config.chunk_seconds)
    cache = int(config.cache_gb * 1e9 / max(1, config.workers))
    task = build_task(config, corpus)
    run = RunDirectory(Path(config.runs) / config.name)
    if find_checkpoint(run.path, "last") is None:
        begin_task(task, config, corpus)
    shards = {"window_shards": config.window_shards, "disk_gb": config.disk_gb, "verify_shards": config.verify_shards}
    learned = {"sounds": task.takes, "without": left_out}
    dataset = ShardDataset(typed_data(config), "train", *picture, augmentation, config.seed, cache, **learned, **shards)
    fresh = warm_start(Path(config.warm_start), task) if config.warm_start else []
    if accelerator.is_main_process:
        millions = sum(p.numel() for p in task.parameters()) / 1e6
        print(
            f"{config.name}: {config.task.name} ({config.variant}), {millions:.2f} M parameters, {len(dataset)} clips"
            f" of {corpus['name']}, {accelerator.num_processes} process(es) on {accelerator.device}, "
            f"precision {'bf16' if uses_bf16(config.precision) else 'fp32'}",
            flush=True,
        )
        if config.warm_start:
            print(
                f"begins with the weights of {config.warm_start}; afresh: {', '.join(fresh) or 'nothing'}", flush=True
            )
    rank, ranks = accelerator.process_index, accelerator.num_processes
    batches = partial(_batches, training_loader, dataset, config, rank, ranks)
    if config.dry_run:
        ShardDataset(typed_data(config), "val", *picture, sounds=task.takes)
        clip = next(iter(training_loader(dataset, ranks, 0, rank, ranks, workers=0)))
        on_main_process(accelerator, lambda: report(config, corpus, run, task, clip, accelerator))
        return 0
    on_main_process(accelerator, lambda: run.open_for_training(config, corpus))
    trainer = Trainer(config, accelerator, run, task, batches, partial(validate, config, accelerator))
    if trainer.finished:
        print(f"{run.path} is trained: step {trainer.state.step} of {config.steps}")
        return 0
    with deaths_named():
        stopped = trainer.fit()
    if stopped and accelerator.is_main_process:
        print(f"stopped by {stopped}: step {trainer.state.step} is saved, the same command continues", flush=True)
    return STOPPED if stopped else 0


def _batches(loader, dataset, config, rank: int, ranks: int, position: int):
    return loader(dataset, config.batch_size, position, rank, ranks, config.workers)


if __name__ == "__main__":
    from slts.cli import run, speak_utf8

    speak_utf8()
    sys.exit(run("train", sys.argv[1:]))
