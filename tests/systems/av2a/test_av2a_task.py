"""AV2A as a network: it begins as its base, drops inputs and not networks, and never corrects what heard the sound."""

from dataclasses import replace

import pytest
import torch
from kept_apart import moved_by

from slts.config import compose
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems import build_task, check_task
from slts.systems.av2a.audio_encoder import AudioEncoder
from slts.systems.av2a.statistics import SplitStatistics

CORPUS = {"speakers": ["a", "b"], "fps": [25.0], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}
OURS = ("task.audio_widths=[16,16,16,16]", "model.image_size=32", "model.width=32", "model.layers=1")


def make(*overrides: str):
    """An AV2A whose base has random weights and statistics, and that has begun with them."""
    config, _ = compose("train", ["data=x", "name=x", "experiment=av2a_cpu", "task.base=b", *OURS, *overrides])
    torch.manual_seed(0)
    task = build_task(config, CORPUS)
    for name, value in task.base.state_dict().items():
        if name.startswith("decoder") and name.endswith(("running_mean", "running_var")):
            value.uniform_(0.1, 0.3)
    task.load_state_dict(task.state_dict() | task.base.state_dict())
    task.statistics.inherit()
    return task


def batch(clips: int = 2, frames: int = 40, fps: float = 25.0) -> Batch:
    generator = torch.Generator().manual_seed(1)
    samples = round(frames / fps * 16000)
    sound, synth = (torch.randn(clips, samples, generator=generator) * 0.1 for _ in range(2))
    return Batch(
        video=torch.randint(0, 255, (clips, frames, 1, 32, 32), dtype=torch.uint8, generator=generator),
        recorded=sound,
        sounds={"synth": synth},
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), fps),
        speaker=torch.arange(clips) % 2,
        offset_ms=torch.full((clips,), float("nan")),
        key=[str(i) for i in range(clips)],
    )


@pytest.mark.parametrize(
    "base", [["variant=paper"], ["variant=anchored"], ["variant=no_asm"], ["variant=svts", "model=svts_small"]]
)
@pytest.mark.parametrize("split", ["true", "false"])
def test_it_begins_as_its_base(base, split):
    task = make(*base, f"task.split_statistics={split}").eval()
    clips = batch()
    own, base = task.reconstruct(clips, 160), task.base.reconstruct(clips, 160)
    for ours, theirs in zip(own, base, strict=True):
        assert (ours - theirs).abs().max() < 1e-6
    assert (task.generate(clips) - task.base.generate(clips)).abs().max() < 1e-6
    losses, theirs = task(clips)[0], task.base(clips)[0]
    assert losses.keys() == theirs.keys()
    torch.testing.assert_close(losses, theirs, atol=1e-5, rtol=1e-5)
    task.audio_encoder.project.weight.data.normal_()
    assert (task.reconstruct(clips, 160)[1] - base[1]).abs().max() > 1e-3


def test_the_audio_branch_learns_from_the_first_step():
    task = make("task.procedure=both").train()
    sum(task(batch())[0].values()).backward()
    assert task.audio_encoder.project.weight.grad.any() and not task.base.training
    assert all(p.grad is None for p in task.base.parameters())


@pytest.mark.parametrize("variant", ["paper", "anchored"])
@pytest.mark.parametrize("modalities", ["av", "a", "v"])
def test_every_network_has_a_gradient_in_every_step(modalities, variant, monkeypatch):
    task = make(f"variant={variant}").train()
    monkeypatch.setattr(task, "draw", lambda: modalities)
    sum(task(batch())[0].values()).backward()
    assert all(p.grad is not None for p in task.parameters() if p.requires_grad)


def test_an_absent_input_does_not_matter():
    task = make().eval()
    task.audio_encoder.project.weight.data.normal_()
    clips = batch()
    others = {
        "picture": replace(clips, video=255 - clips.video),
        "sound": replace(clips, sounds={"synth": clips.sound("synth").flip(1)}),
        "speaker": replace(clips, speaker=1 - clips.speaker),
    }
    moved = {}
    for modalities in ("av", "a", "v"):
        task.modalities = modalities
        before = task.reconstruct(clips, 160)[1]
        moved[modalities] = {
            name for name, other in others.items() if (task.reconstruct(other, 160)[1] != before).any()
        }
    assert moved == {"av": {"picture", "sound", "speaker"}, "a": {"sound", "speaker"}, "v": {"picture", "speaker"}}


def test_procedures_draw_what_they_say():
    def drawn(*overrides: str) -> set[str]:
        task = make(*overrides).train()
        return {task.draw() for _ in range(60)}

    assert drawn("task.procedure=both") == {"av"}
    assert drawn("task.procedure=dropout") == {"av", "a", "v"}
    assert drawn("task.procedure=dropout", "task.shares=[1,0,1]") == {"av", "v"}


@pytest.mark.parametrize(("procedure", "heard"), [("dropout", "synth"), ("dropout_true_audio", "recorded")])
def test_audio_alone_hears_the_recorded_sound_only_if_asked_to(procedure, heard, monkeypatch):
    task = make(f"task.procedure={procedure}").train()
    sounds = []
    join = task.join
    monkeypatch.setattr(task, "join", lambda clips, sound, *more: sounds.append(sound) or join(clips, sound, *more))
    clips = batch()
    for modalities in ("av", "a", "v"):
        monkeypatch.setattr(task, "draw", lambda modalities=modalities: modalities)
        task(clips)
    told = clips.sound("synth"), clips.audio if heard == "recorded" else clips.sound("synth"), clips.sound("synth")
    assert all(one is other for one, other in zip(sounds, told, strict=True))


@pytest.mark.parametrize(("procedure", "best"), [("dropout_true_audio", 0), ("dropout", 20)])
def test_with_a_lag_of_200_ms_only_what_heard_the_sound_is_not_corrected(procedure, best, monkeypatch):
    """The video lags by 200 ms, and DSM knows. A mel in sync with the video is then 20 frames late against the target;
    one made of the recorded sound is not late, and must not be taught to be."""
    task = make(f"task.procedure={procedure}", "variant=anchored", "task.loss.intelligibility=0").eval()
    task.modalities = "a"
    clips = batch(frames=60)
    target, _ = task.target_mel(clips)
    certain = torch.full((2, 2 * task.radius + 1), -30.0)
    certain[:, task.radius + 20] = 0.0
    monkeypatch.setattr(task.dsm, "forward", lambda *_: certain.log_softmax(-1))
    loss = {}
    for late in range(-30, 31):
        monkeypatch.setattr(task.decoder, "forward", lambda *_, late=late: target.roll(late, 1))
        loss[late] = task(clips)[0]["hard"].item()
    assert min(loss, key=loss.get) == best
    assert loss[best] < 1e-6 < 0.05 < loss[20 - best]


def test_losses_that_hold_the_mel_against_the_picture_do_not_count_then(monkeypatch):
    for procedure, counted in (("dropout", True), ("dropout_true_audio", False)):
        task = make(f"task.procedure={procedure}").train()
        monkeypatch.setattr(task, "draw", lambda: "a")
        losses, _ = task(batch(frames=60))
        assert bool(losses["ssm"]) == bool(losses["soft"]) == counted and losses["hard"] > 0


def test_statistics_are_kept_apart_and_scales_are_shared(monkeypatch):
    task = make("task.procedure=dropout").train()
    moved = moved_by(task, task.decoder.postnet[1], batch(), monkeypatch)
    assert moved == {"av": {"av"}, "a": {"a"}, "v": {"v"}}
    joint = make("task.procedure=dropout", "task.split_statistics=false").train()
    assert not list(joint.statistics.buffers())
    before = joint.decoder.postnet[1].running_mean.clone()
    monkeypatch.setattr(joint, "draw", lambda: "a")
    joint(batch())
    assert (joint.decoder.postnet[1].running_mean != before).any()


def test_an_error_leaves_the_networks_own_statistics():
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    own = network[0].running_mean
    split = SplitStatistics(network, ("a",))
    with pytest.raises(RuntimeError), split.used("a"):
        assert network[0].running_mean is not own
        raise RuntimeError
    assert network[0].running_mean is own


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0])
def test_what_is_heard_is_joined_at_its_instant(fps):
    """A click at 0.8 s is heard at the frame shown then, whatever the frame rate."""
    encoder = AudioEncoder(80, (8, 8, 8, 8), 4).eval()
    torch.nn.init.normal_(encoder.project.weight)
    frames, silent = round(2 * fps), torch.zeros(1, 200, 80)
    click = silent.clone()
    click[:, 80] = 3.0
    moved = encoder(click, frames, torch.tensor([fps])) - encoder(silent, frames, torch.tensor([fps]))
    energy = moved[0].detach().square().sum(-1)
    centre = (energy * torch.arange(frames)).sum() / energy.sum() / fps
    assert float(centre) == pytest.approx(0.8, abs=0.045)


def test_a_silent_batch_is_spoken_by_the_base_first():
    task = make().eval()
    task.audio_encoder.project.weight.data.normal_()
    clips = batch()
    silent = replace(clips, recorded=None, sounds={})
    told = replace(clips, sounds={"synth": task.base.generate(clips).clamp(-1, 1)})
    torch.testing.assert_close(task.generate(silent), task.generate(told))
    assert (task.generate(silent) - task.generate(clips)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["task.base=null"], "task.base=RUN is required"),
        (["task.base=b", "task.shares=[0,0,0]"], "must be above 0"),
        (["task.base=b", "model=vcagan_small"], "not for task=av2a"),
        (["task.base=b", "model.heads=5"], "model.heads=5"),
    ],
)
def test_modalitiess_that_cannot_work_are_refused(overrides, words):
    config, _ = compose("train", ["data=x", "name=x", "experiment=av2a_cpu", *overrides])
    with pytest.raises(UserError, match=words):
        check_task(config)
