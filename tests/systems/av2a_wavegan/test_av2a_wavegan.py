"""AV2A in the waveform domain: it begins as its base, drops inputs and not networks, and goes through the commands."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kept_apart import moved_by
from ranks import SMALL, Ranks, differences
from safetensors.torch import load_file

from slts.cli import run as command
from slts.config import compose
from slts.data.batch import Batch
from slts.data.shards import read_corpus_json, read_shard
from slts.errors import UserError
from slts.systems import begin_task, build_task, check_task
from slts.systems.av2a.audio_encoder import AudioEncoder, WaveEncoder
from slts.systems.trained import load_run

CORPUS = {"speakers": ["a", "b"], "fps": [25.0], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}
TINY = (
    "model.image_size=32", "model.frame_width=4", "model.width=16", "model.decoder_widths=[8,8,4,4]",
)  # fmt: skip
OURS = ("experiment=av2a_wavegan_cpu", *TINY, "task.audio_widths=[8,8,8,8]")


def make(*overrides: str):
    """An AV2A whose base has random weights and statistics, and that has begun with them."""
    config, _ = compose("train", ["data=x", "name=x", *OURS, "task.base=b", *overrides])
    check_task(config)
    torch.manual_seed(0)
    task = build_task(config, CORPUS)
    for name, value in task.base.state_dict().items():
        if name.startswith("decoder") and name.endswith(("running_mean", "running_var")):
            value.uniform_(-0.2, 0.0) if name.endswith("mean") else value.uniform_(0.1, 0.3)
    task.load_state_dict(task.state_dict() | task.base.state_dict())
    task.statistics.inherit()
    return task


def batch(clips: int = 2, frames: int = 20) -> Batch:
    generator = torch.Generator().manual_seed(1)
    sound, synth = (torch.randn(clips, frames * 640, generator=generator) * 0.1 for _ in range(2))
    return Batch(
        video=torch.randint(0, 255, (clips, frames, 1, 32, 32), dtype=torch.uint8, generator=generator),
        recorded=sound,
        sounds={"synth": synth},
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), 25.0),
        speaker=torch.arange(clips) % 2,
        offset_ms=torch.full((clips,), float("nan")),
        key=[str(i) for i in range(clips)],
    )


@pytest.mark.parametrize("split", ["true", "false"])
def test_it_begins_as_its_base(split):
    task, clips = make(f"task.split_statistics={split}").eval(), batch()
    assert (task.generate(clips) - task.base.generate(clips)).abs().max() < 1e-6
    task.audio_encoder.project.weight.data.normal_(std=10)
    assert (task.generate(clips) - task.base.generate(clips)).abs().max() > 1e-3


@pytest.mark.parametrize("modalities", ["av", "a", "v"])
def test_every_network_has_a_gradient_in_every_step(modalities, monkeypatch):
    task = make().train()
    monkeypatch.setattr(task, "draw", lambda: modalities)
    sum(task(batch())[0].values()).backward()
    assert all(p.grad is not None for p in task.parameters() if p.requires_grad)
    assert bool(task.audio_encoder.project.weight.grad.any()) == ("a" in modalities)
    assert all(p.grad is None for p in task.base.parameters())


def test_an_absent_input_does_not_matter():
    task, clips = make().eval(), batch()
    task.audio_encoder.project.weight.data.normal_()
    others = {
        "picture": replace(clips, video=255 - clips.video),
        "sound": replace(clips, sounds={"synth": clips.sound("synth").flip(1)}),
    }
    moved = {}
    for modalities in ("av", "a", "v"):
        task.modalities = modalities
        before = task.generate(clips)
        moved[modalities] = {name for name, other in others.items() if (task.generate(other) != before).any()}
    assert moved == {"av": {"picture", "sound"}, "a": {"sound"}, "v": {"picture"}}


def test_statistics_are_kept_apart(monkeypatch):
    task = make("task.procedure=dropout").train()
    moved = moved_by(task, task.decoder.layers[0][1], batch(), monkeypatch)
    assert moved == {"av": {"av"}, "a": {"a"}, "v": {"v"}}


@pytest.mark.parametrize(
    ("encoder", "silence", "rate"),
    [
        (WaveEncoder((8, 8, 8, 8), 4), torch.zeros(1, 6400), ()),
        (AudioEncoder(8, (8, 8, 8, 8), 4), torch.zeros(1, 40, 8), (torch.tensor([25.0]),)),
    ],
)
def test_what_learned_from_silence_hears_it_as_it_did(encoder, silence, rate):
    adam = torch.optim.Adam(encoder.parameters(), 1e-3)
    wanted = torch.linspace(-1, 1, 40).view(1, 10, 4)
    for _ in range(100):
        adam.zero_grad()
        (encoder(silence, 10, *rate) - wanted).square().mean().backward()
        adam.step()
    heard = encoder(silence, 10, *rate)
    torch.testing.assert_close(encoder.eval()(silence, 10, *rate), heard, rtol=0, atol=1e-3)


def test_a_click_is_heard_at_the_frame_shown_then():
    """In the mean of encoders with random weights, each of which has its own centre."""
    torch.manual_seed(0)
    silent = torch.zeros(1, 50 * 640)
    click = silent.clone()
    click[0, 20 * 640 + 320] = 1.0  # in the middle of frame 20
    heard = []
    for _ in range(20):
        encoder = WaveEncoder((8, 8, 8, 8), 4).eval()
        torch.nn.init.normal_(encoder.project.weight)
        energy = (encoder(click, 50) - encoder(silent, 50))[0].detach().square().sum(-1)
        heard.append(float((energy * torch.arange(50)).sum() / energy.sum()))
    assert sum(heard) / len(heard) == pytest.approx(20, abs=0.2)
    assert encoder(silent[:, :6000], 50).shape == (1, 50, 4)


def test_sizes():
    config, _ = compose("train", ["data=x", "name=x", "task=av2a_wavegan", "task.base=b"])
    with torch.device("meta"):
        task = build_task(config, CORPUS)
    hand = sum(a * b * 2 * s + 2 * b for a, b, s in ((1, 64, 10), (64, 128, 8), (128, 256, 4), (256, 512, 2)))
    assert sum(p.numel() for p in task.audio_encoder.parameters()) == hand + 512 * 512 + 512


@pytest.fixture(scope="module")
def place(tiny_corpus, tmp_path_factory) -> Path:
    """Where a base was trained (base), has spoken the tiny corpus (spoken), and an AV2A was trained on it (av2a)."""
    folder = tmp_path_factory.mktemp("wavegan")
    keys = f"data={tiny_corpus}", f"runs={folder}", "name=base", "steps=2", "validate_every=2"
    Ranks(1, folder / "base.log", "experiment=wavegan_cpu", *TINY, *keys, common=SMALL).finish()
    assert command("generate", [f"run={folder}/base", f"data={tiny_corpus}", f"out={folder}/spoken"]) == 0
    train(folder, "av2a")
    return folder


def train(folder: Path, name: str) -> Path:
    keys = f"data={folder}/spoken", f"runs={folder}", f"name={name}", f"task.base={folder}/base"
    steps = "steps=4", "validate_every=2", "keep_checkpoints=3"
    Ranks(1, folder / f"{name}.log", *OURS, *keys, *steps, common=SMALL).finish()
    return folder / name


def test_trained_resumed_scored_and_spoken(place, tiny_corpus, tmp_path):
    resumed = Path(shutil.copytree(place / "av2a", place / "again", symlinks=True))
    shutil.rmtree(resumed / "checkpoints" / "step-00000004")
    for link in ("best", "last"):
        (resumed / link).unlink()
        (resumed / link).symlink_to("checkpoints/step-00000002")
    assert differences(place / "av2a", train(place, "again")) == []
    base, own = (load_file(place / name / "last" / "model.safetensors") for name in ("base", "av2a"))
    assert all(torch.equal(value, own[f"base.{name}"]) for name, value in base.items())
    assert own["audio_encoder.project.weight"].any()
    assert command("evaluate", [f"run={place}/av2a", "workers=1", "show=0", "modalities=a"]) == 0
    row = json.loads((place / "av2a" / "results.jsonl").read_text())
    assert (row["task"], row["modalities"]) == ("av2a_wavegan", "a") and row["mcd"] is not None
    sample = next(read_shard(tiny_corpus / "test-000000.tar"))
    (tmp_path / "clip.mp4").write_bytes(sample["mp4"])
    given = f"run={place}/av2a", f"input={tmp_path}/clip.mp4", "faces=none", f"speaker={sample['json']['speaker']}"
    assert command("generate", [*given, f"out={tmp_path}/out"]) == 0 and (tmp_path / "out" / "clip.wav").exists()
    assert load_run(place / "av2a").dataset(place / "spoken", "test").sounds == ("synth",)


def test_a_base_of_the_other_domain_is_refused(place):
    where = f"data={place}/spoken", "name=x", f"task.base={place}/base"
    config, _ = compose("train", ["experiment=av2a_cpu", *where])
    corpus = read_corpus_json(place / "spoken")
    with pytest.raises(UserError, match=r"is of task=v2a_wavegan; give a run of task=slts"):
        begin_task(build_task(config, corpus), config, corpus)
