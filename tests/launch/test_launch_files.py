"""Every launch file is what accelerate and bash read, and the SLURM script requeues what it stopped."""

import os
import random
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from conftest import ROOT

FILES = {file.stem: file for file in (ROOT / "launch" / "accelerate").glob("*.yaml")}
SCRIPTS = sorted((ROOT / "launch" / "slurm").iterdir())


def launched_as(file: Path, *arguments: str):
    """What ``accelerate launch`` makes of a file, without launching."""
    parsed = launch_command_parser().parse_args(["--config_file", str(file), *arguments, "slts/train.py"])
    return _validate_launch_command(parsed)[0]


def test_there_is_a_file_for_every_way():
    assert set(FILES) == {"cpu", "two_cpus", "gpu", "ddp", "zero1", "zero2", "multi_node"}
    for file in FILES.values():
        assert load_config_from_file(str(file)).mixed_precision in (None, "no"), "precision= of slts train decides"


def test_one_process():
    for name in ("cpu", "gpu"):
        args = launched_as(FILES[name])
        assert args.num_processes == 1 and not args.multi_gpu and not args.use_deepspeed
        assert args.use_cpu is (name == "cpu")


def test_two_cpu_processes_go_through_torchrun():
    args = launched_as(FILES["two_cpus"])
    assert args.multi_gpu and args.num_processes == 2 and not args.use_cpu


@pytest.mark.parametrize("name", ["ddp", "multi_node"])
def test_ddp_wants_the_number_of_processes(name):
    with pytest.raises(ValueError, match="num_processes"):
        launched_as(FILES[name])
    args = launched_as(FILES[name], "--num_processes", "8")
    assert args.multi_gpu and args.num_processes == 8


@pytest.mark.parametrize("stage", [1, 2])
def test_zero(stage):
    args = launched_as(FILES[f"zero{stage}"], "--num_processes", "4")
    assert args.use_deepspeed and args.zero_stage == stage and args.num_processes == 4
    assert (args.offload_optimizer_device, args.offload_param_device) == ("none", "none")
    assert args.gradient_accumulation_steps == 1


PROCESSES = {"ddp": 2, "zero1": 2, "zero2": 2, "multi_node": 2}
SMALL = (
    "experiment=cpu", "dry_run=true", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILES))
def test_dry_run(name, tiny_corpus, tmp_path):
    if name.startswith("zero") and not (shutil.which("g++") and shutil.which("ninja")):
        pytest.skip("DeepSpeed on a CPU needs g++ and ninja")
    count = PROCESSES.get(name)
    port = str(random.randrange(20000, 60000))
    command = ["accelerate", "launch", "--config_file", FILES[name], "--main_process_port", port]
    command += ["--num_processes", str(count)] if count else []
    if name == "multi_node":
        command += ["--num_machines", "1", "--machine_rank", "0", "--main_process_ip", "127.0.0.1"]
        command += ["--rdzv_backend", "c10d"]
    keys = [*SMALL, f"data={tiny_corpus}", f"runs={tmp_path}", "name=dry"]
    where = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "slts/train.py", *keys], cwd=ROOT, env=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = count or launched_as(FILES[name]).num_processes
    assert f"{ranks} process(es) on cpu" in done.stdout and "memory of each process" in done.stdout
    assert "begins at step 0 of 3000" in done.stdout
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_bash(script):
    subprocess.run(["bash", "-n", script], check=True)
    if script.suffix == ".sbatch":
        text = script.read_text()
        assert "#SBATCH --signal=B:USR1@120" in text and "#SBATCH --requeue" in text


def on_path(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/usr/bin/env bash\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def cluster(tmp_path):
    """A folder like the checkout in which ``slts``, ``accelerate``, ``srun`` and ``scontrol`` only say what they do."""
    (tmp_path / "launch").symlink_to(ROOT / "launch")
    programs = tmp_path / "bin"
    programs.mkdir()
    # A training that on SIGUSR1 takes a moment to save and ends with 75.
    training = (
        "trap 'sleep 0.5; echo saved; exit 75' USR1\necho \"$(basename $0) $*\"\n"
        "for _ in $(seq 100); do [ -e finish ] && exit 0; [ -e fail ] && exit 2; sleep 0.1; done"
    )
    on_path(programs, "slts", training)
    on_path(programs, "accelerate", training)
    on_path(programs, "srun", 'shift\ntrap "kill -USR1 \\$pid" USR1\n"$@" & pid=$!\nwait $pid\nwait $pid')
    on_path(programs, "scontrol", 'if [ "$1" = show ]; then echo n1; echo n2; else echo "scontrol $*"; fi')
    return tmp_path


def submit(cluster: Path, script: str, *words: str, wait_for: str, then, **variables: str) -> tuple[int, str]:
    """Runs a script as SLURM does: in its folder, with its variables; ``words`` come before ``data=D`` and a name."""
    environment = {**os.environ, "PATH": f"{cluster / 'bin'}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", **variables}
    log = (cluster / "log").open("w+")
    job = subprocess.Popen(
        ["bash", f"launch/slurm/{script}", *words, "data=D", "name=a b"],
        cwd=cluster,
        env=environment,
        stdout=log,
        stderr=log,
    )
    while wait_for not in (cluster / "log").read_text():
        assert job.poll() is None, (cluster / "log").read_text()
        time.sleep(0.02)
    then(job)
    status = job.wait(timeout=300)
    return status, (cluster / "log").read_text()


def test_the_signal_saves_and_requeues(cluster):
    status, log = submit(
        cluster, "train.sbatch", wait_for="slts train", then=lambda job: job.send_signal(signal.SIGUSR1)
    )
    assert log.index("saved") < log.index("scontrol requeue 7") and status == 0
    assert "slts train data=D name=a b" in log


@pytest.mark.parametrize(("gpus", "workers"), [("0", 4), ("1", 1)])
def test_a_task_of_an_array_does_its_part(cluster, gpus, workers):
    variables = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}
    status, log = submit(
        cluster,
        "array.sbatch",
        "generate",
        wait_for="slts generate",
        then=lambda job: job.send_signal(signal.SIGUSR1),
        SLURM_CPUS_PER_TASK="4",
        SLURM_GPUS_ON_NODE=gpus,
        **variables,
    )
    assert f"slts generate part=2/4 workers={workers} data=D name=a b" in log
    assert "scontrol requeue 7" in log and status == 0


def test_several_gpus_go_through_accelerate(cluster):
    variables = {"SLURM_GPUS_ON_NODE": "4", "LAUNCH": "zero1"}
    status, log = submit(
        cluster, "train.sbatch", wait_for="accelerate", then=lambda job: (cluster / "finish").touch(), **variables
    )
    assert status == 0 and "requeue" not in log
    assert "launch --config_file launch/accelerate/zero1.yaml --num_processes 4" in log


def test_a_training_that_fails_is_not_requeued(cluster):
    status, log = submit(cluster, "train.sbatch", wait_for="slts train", then=lambda job: (cluster / "fail").touch())
    assert status == 2 and "requeue" not in log


def test_several_machines_meet_at_the_first(cluster):
    variables = {
        "SLURM_GPUS_ON_NODE": "4", "SLURM_NNODES": "2", "SLURM_NODEID": "1", "SLURM_JOB_NODELIST": "n[1-2]",
    }  # fmt: skip
    status, log = submit(
        cluster,
        "multi_node.sbatch",
        wait_for="accelerate",
        then=lambda job: job.send_signal(signal.SIGUSR1),
        **variables,
    )
    assert "--num_machines 2 --machine_rank 1 --num_processes 8 --main_process_ip n1 --main_process_port 20007" in log
    assert "--rdzv_backend c10d slts/train.py data=D name=a b" in log
    assert "saved" in log and "scontrol requeue 7" in log and status == 0


def test_torchrun_takes_its_signals_from_the_script(monkeypatch):
    from torch.distributed.run import get_args_parser

    shown = subprocess.run(
        ["bash", "-c", "source launch/slurm/requeue.sh; env"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for line in shown.splitlines():
        if line.startswith("PET_"):
            monkeypatch.setenv(*line.split("=", 1))
    args = get_args_parser().parse_args(["script.py"])
    assert "SIGUSR1" in args.signals_to_handle.split(",") and args.shutdown_timeout == 100
