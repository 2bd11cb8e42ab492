"""The main job through the real commands, on a tiny generated corpus."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from conftest import ROOT, slts
from ranks import evaluation_is_shared
from safetensors.numpy import load_file

pytestmark = pytest.mark.long

TINY = [
    "experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8",
    "batch_size=4", "steps=6", "validate_every=3", "log_every=2", "validate_clips=3",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tiny_corpus, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    slts("train", f"data={tiny_corpus}", "name=a", f"runs={runs}", *TINY)
    return runs / "a"


def metrics(run) -> dict:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {(row["step"], row["name"]): row["value"] for row in rows}


def test_training_leaves_a_run_directory(trained):
    assert {p.name for p in (trained / "checkpoints").iterdir()} == {"step-00000003", "step-00000006"}
    assert (trained / "last").resolve().name == "step-00000006"
    assert (trained / "best" / "model.safetensors").exists()
    values = metrics(trained)
    assert {step for step, _ in values} == {2, 3, 4, 6}
    assert {"loss/soft", "loss/hard", "loss/ssm", "train/clips_per_second"} <= {name for _, name in values}
    assert {"val/a_stoi", "val/offset_mae_ms"} <= {name for step, name in values if step == 3}
    assert len(list((trained / "samples" / "step-00000006").glob("*.wav"))) == 4


def test_a_finished_run_is_left_alone(trained, tiny_corpus):
    before = (trained / "metrics.jsonl").read_bytes()
    again = slts("train", f"data={tiny_corpus}", "name=a", f"runs={trained.parent}", *TINY)
    assert "is trained: step 6 of 6" in again.stdout
    assert (trained / "metrics.jsonl").read_bytes() == before


def test_another_configuration_is_refused_not_overwritten(trained, tiny_corpus):
    other = slts("train", f"data={tiny_corpus}", "name=a", f"runs={trained.parent}", *TINY, "seed=5", check=False)
    assert other.returncode == 2
    assert "seed (0 there, 5 here)" in other.stderr and "Traceback" not in other.stderr


def test_kill_and_resume_ends_in_the_same_weights(tiny_corpus, tmp_path):
    settings = [*TINY, "steps=24", "validate_every=4", "deterministic=true"]
    slts("train", f"data={tiny_corpus}", "name=whole", f"runs={tmp_path}", *settings)
    command = [
        sys.executable,
        "-m",
        "slts.cli",
        "train",
        f"data={tiny_corpus}",
        "name=cut",
        f"runs={tmp_path}",
        *settings,
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (tmp_path / "cut" / "last").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "cut" / "last").resolve().name != "step-00000024"
    slts("train", f"data={tiny_corpus}", "name=cut", f"runs={tmp_path}", *settings)
    for file in ("model.safetensors", "optimizer.safetensors"):
        whole, cut = (load_file(tmp_path / name / "last" / file) for name in ("whole", "cut"))
        assert whole.keys() == cut.keys()
        for name in whole:
            np.testing.assert_array_equal(whole[name], cut[name], err_msg=name)
    whole, cut = (metrics(tmp_path / name) for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()


def test_two_processes_train_one_model(tiny_corpus, tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
            "--main_process_port", "0", "slts/train.py", f"data={tiny_corpus}", "name=two", f"runs={tmp_path}", *TINY,
        ],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 process(es) on cpu" in done.stdout
    assert (tmp_path / "two" / "last").resolve().name == "step-00000006"
    assert len(list((tmp_path / "two" / "last").glob("rng-*.safetensors"))) == 2


def test_evaluation_writes_the_row_and_the_clips(trained, tiny_corpus):
    slts("evaluate", f"run={trained}", "split=test", "workers=1", "show=2")
    row = json.loads((trained / "results.jsonl").read_text().splitlines()[-1])
    with (trained / "clips-test.csv").open() as stream:
        clips = list(csv.DictReader(stream))
    corpus = json.loads((tiny_corpus / "corpus.json").read_text())
    assert row["clips"] == len(clips) == corpus["splits"]["test"]["clips"]
    assert (row["task"], row["variant"], row["corpus"], row["split"]) == ("slts", "paper", "synthetic", "test")
    assert row["w_wer"] is None and row["offset_r2_syncnet"] is None
    assert row["a_stoi"] == pytest.approx(np.mean([float(c["a_stoi"]) for c in clips if c["a_stoi"]]))
    found = np.array([[float(c["offset_ms"]), float(c["dsm_offset_ms"])] for c in clips])
    assert row["offset_mae_ms"] == pytest.approx(np.abs(found[:, 1] - found[:, 0]).mean())
    assert (trained / "samples" / "test" / "offsets.png").exists()
    shown = {p.name for p in (trained / "samples" / "test").glob("*.wav")}
    assert len(shown) == 4


def test_two_processes_share_an_evaluation(trained):
    evaluation_is_shared(trained, "batch_size=1")


def test_evaluation_of_a_run_without_asm_leaves_offsets_null(tiny_corpus, tmp_path):
    slts("train", f"data={tiny_corpus}", "name=plain", f"runs={tmp_path}", *TINY, "variant=no_asm")
    slts("evaluate", f"run={tmp_path}/plain", "workers=1", "show=0")
    row = json.loads((tmp_path / "plain" / "results.jsonl").read_text())
    assert row["variant"] == "no_asm"
    assert row["offset_r2_truth"] is None and row["offset_r2_frontend"] is None
    assert row["model_offset_ms"] is not None
    refused = slts("evaluate", f"run={tmp_path}/plain", "sync=dsm", check=False)
    assert refused.returncode == 2 and "sync=dsm" in refused.stderr
    refused = slts("offsets", f"run={tmp_path}/plain", f"data={tiny_corpus}", check=False)
    assert refused.returncode == 2 and "slts offsets needs offsets, and run=" in refused.stderr
    table = slts("tables", f"runs={tmp_path}", f"out={tmp_path}/tables")
    assert "SLTS_no_ASM" in table.stdout
    assert "SLTS_no_ASM" in (tmp_path / "tables" / "results.md").read_text()


def test_a_jointly_trained_vocoder_trains_resumes_and_speaks(tiny_corpus, tmp_path):
    settings = [*TINY, "vocoder=univnet_c16", "vocoder.channels=4", "steps=2", "validate_every=1", "batch_size=2"]
    slts("train", f"data={tiny_corpus}", "name=v", f"runs={tmp_path}", *settings)
    values = metrics(tmp_path / "v")
    assert {"loss/stft", "loss/stoi"} <= {name for _, name in values}
    slts("evaluate", f"run={tmp_path}/v", "workers=1", "show=1")
    row = json.loads((tmp_path / "v" / "results.jsonl").read_text())
    assert row["clips"] > 0 and row["mcd"] > 0


@pytest.mark.parametrize("model", ["s", "m"])
def test_the_papers_sizes_build(tiny_corpus, model):
    done = slts("train", f"data={tiny_corpus}", "name=x", f"model={model}", "dry_run=true")
    millions = float(done.stdout.split(" M parameters")[0].split()[-1])
    # ResNet18 11.2, conformer S 8.1 or M 25.3, UnivNet c16 4.0, post-net, predictors, embedding.
    assert millions == pytest.approx({"s": 25, "m": 42.5}[model], rel=0.05)


def test_offsets_of_shards(trained, tiny_corpus, tmp_path):
    slts("offsets", f"run={trained}", f"data={tiny_corpus}", f"out={tmp_path}/offsets.csv")
    with (tmp_path / "offsets.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["key", "offset_ms", "confidence", "at_edge", "sure"]
    corpus = json.loads((tiny_corpus / "corpus.json").read_text())
    assert len(rows) == sum(split["clips"] for split in corpus["splits"].values())
    assert all(abs(float(r["offset_ms"])) <= 300 and 0 <= float(r["confidence"]) <= 1.0001 for r in rows)


def test_generation_from_video_files(trained, tiny_corpus, tmp_path):
    import av
    import webdataset

    (tmp_path / "in").mkdir()
    sample = next(iter(webdataset.WebDataset(str(tiny_corpus / "test-000000.tar"), shardshuffle=False)))
    (tmp_path / "in" / "clip.mp4").write_bytes(sample["mp4"])
    (tmp_path / "in" / "broken.mp4").write_bytes(b"not a video")
    (tmp_path / "in" / "a.xyz").touch()
    speaker = json.loads(sample["json"])["speaker"]
    done = slts("generate", f"run={trained}", f"input={tmp_path}/in", f"out={tmp_path}/out", f"speaker={speaker}")
    assert "broken.mp4" in done.stdout and "1 of 2 videos" in done.stdout
    assert "1 file was not read: .xyz 1" in done.stdout
    audio, rate = soundfile.read(tmp_path / "out" / "clip.wav")
    frames = json.loads(sample["json"])["frames"]
    assert rate == 16000 and len(audio) == frames * 640
    with av.open(str(tmp_path / "out" / "clip.mp4")) as container:
        assert container.streams.audio and container.streams.video[0].frames == frames
    how = [f"run={trained}", f"input={tmp_path}/in/clip.mp4", f"out={tmp_path}/none", f"speaker={speaker}"]
    absent = slts("generate", *how, "video_stream=1", check=False)
    assert absent.returncode == 1 and "video_stream=1 is not there; the file has 0 (h264" in absent.stdout
    unknown = slts("generate", f"run={trained}", f"input={tmp_path}/in", f"out={tmp_path}/out", check=False)
    assert unknown.returncode == 2 and "choose one of them" in unknown.stderr


def test_wandb_offline_gets_scalars_sounds_and_pictures(tiny_corpus, tmp_path):
    slts("train", f"data={tiny_corpus}", "name=w", f"runs={tmp_path}", *TINY, "tracking=wandb")
    [folder] = (tmp_path / "w" / "wandb").glob("offline-run-*")
    media = {p.suffix for p in (folder / "files" / "media").rglob("*") if p.is_file()}
    assert {".wav", ".png"} <= media
    assert json.loads((tmp_path / "w" / "last" / "state.json").read_text())["tracking_id"] in folder.name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "data=nowhere", "name=x"], "data=nowhere"),
        (["train", "name=x"], "data=... is required"),
        (["train", "data=x", "name=x", "task.temprature=3"], "did you mean task.temperature"),
        (["train", "data=x", "name=x", "steps=none"], "steps=none"),
        (["train", "data=x", "name=x", "model=huge"], "choose one of"),
        (["evaluate", "run=nowhere"], "run=nowhere"),
        (["generate", "run=nowhere", "input=nowhere", "out=x"], "nowhere"),
        (["prepare", "corpus=grid", "out=x"], "root"),
        (["prepare", "corpus=grid", "root=nowhere", "out=x"], "nowhere"),
        (["tables", "runs=nowhere", "out=x"], "runs=nowhere"),
    ],
)
def test_mistakes_get_one_line_that_helps(arguments, words):
    done = slts(*arguments, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


VERBS = ("prepare", "train", "evaluate", "generate", "offsets", "score", "recogniser", "tables", "sweep", "dashboard")


@pytest.mark.parametrize("verb", VERBS)
def test_help_lists_every_key_with_a_sentence(verb):
    text = slts(verb, "--help", "all").stdout
    keys = [line for line in text.splitlines() if line.startswith("  ") and "=" in line.split(" ")[2]]
    assert len(keys) >= 2
    assert all(len(line.split(None, 1)) == 2 for line in keys)


def test_help_lists_the_verbs():
    text = slts("--help").stdout
    assert all(verb in text for verb in VERBS)
