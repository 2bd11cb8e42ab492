"""Where the gradients of each loss of SLTS flow, and where they must not."""

import pytest
import torch

from slts.config import compose
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems import build_task, check_task
from slts.systems.slts.synchronisation import hard_correct

CORPUS = {"speakers": ["a", "b"], "mel": {"mean": [-6.0] * 80, "std": [2.0] * 80}}
PARTS = ("frame_encoder", "decoder", "dsm", "ssm", "vocoder", "probe")


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", "experiment=cpu", "model.image_size=32", *overrides])
    torch.manual_seed(0)
    return build_task(config, CORPUS)


def batch(clips: int = 2, frames: int = 40) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        video=torch.randint(0, 255, (clips, frames, 1, 32, 32), dtype=torch.uint8, generator=generator),
        recorded=torch.randn(clips, frames * 640, generator=generator) * 0.1,
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), 25.0),
        speaker=torch.arange(clips) % 2,
        offset_ms=torch.full((clips,), float("nan")),
        key=[str(i) for i in range(clips)],
    )


def touched(task, loss: torch.Tensor) -> set[str]:
    """The parts of the task that a loss moves."""
    task.zero_grad()
    loss.backward(retain_graph=True)
    return {
        part
        for part in PARTS
        if getattr(task, part, None) is not None
        and any(p.grad is not None and p.grad.abs().sum() > 0 for p in getattr(task, part).parameters())
    }


def test_gradients_flow_as_the_paper_says():
    task = make()
    losses, _ = task(batch())
    assert touched(task, losses["soft"]) == {"frame_encoder", "dsm"}
    assert touched(task, losses["hard"]) == {"frame_encoder", "decoder"}
    assert touched(task, losses["ssm"]) == {"frame_encoder", "decoder", "ssm"}


def test_vocoder_losses_reach_the_decoder_and_not_the_predictors():
    task = make("vocoder=univnet_c16")
    losses, _ = task(batch(frames=40))
    for name in ("stft", "stoi"):
        assert touched(task, losses[name]) == {"frame_encoder", "decoder", "vocoder"}


def test_discriminators_train_the_generator_and_the_generator_does_not_train_them():
    task = make("vocoder=univnet_c16", "variant=with_discriminators")
    losses, _ = task(batch(frames=40))
    assert touched(task, losses["adversarial"]) == {"frame_encoder", "decoder", "vocoder"}
    assert all(p.grad is None or not p.grad.any() for p in task.critic.parameters())
    assert touched(task, losses["critic"]) == {"vocoder"}
    assert all(p.grad is None or not p.grad.any() for p in task.vocoder.generator.parameters())
    assert all(p.grad.any() for p in task.critic.parameters())


def test_the_weight_of_the_adversarial_loss_leaves_the_critic_alone():
    def losses(weight: float) -> dict:
        torch.manual_seed(3)
        task = make("vocoder=univnet_c16", "variant=with_discriminators", f"task.loss.adversarial={weight}")
        return task(batch(frames=40))[0]

    one, three = losses(1.0), losses(3.0)
    torch.testing.assert_close(three["adversarial"], 3 * one["adversarial"])
    torch.testing.assert_close(three["critic"], one["critic"])


def test_the_anchor_takes_the_decoder_out_of_the_soft_loss():
    task = make("variant=anchored")
    losses, _ = task(batch())
    assert touched(task, losses["soft"]) == {"frame_encoder", "dsm"}
    assert touched(task, losses["probe"]) == {"frame_encoder", "probe"}
    soft = losses["soft"]
    task.decoder.postnet[-1].bias.data += 3
    again, _ = task(batch())
    torch.testing.assert_close(again["soft"], soft)


def test_the_loss_of_intelligibility_trusts_clips_as_far_as_dsm_does():
    task = make().eval()
    losses, _ = task(batch())
    assert touched(task, losses["intelligibility"]) == {"frame_encoder", "decoder"}
    estimate = task.offsets(batch())
    assert losses["intelligibility"] < 2 * 3 * estimate.confidence.mean()
    plain = make("variant=no_asm").eval()
    losses, _ = plain(batch())
    assert touched(plain, losses["intelligibility"]) == {"frame_encoder", "decoder"}


def test_ablations_move_what_their_names_say():
    dsm_only, _ = make("variant=dsm_only")(batch())
    assert {"soft", "hard"} <= set(dsm_only) and "ssm" not in dsm_only
    ssm_only, _ = make("variant=ssm_only")(batch())
    assert {"ssm", "hard"} <= set(ssm_only) and "soft" not in ssm_only
    for variant in ("no_stop_gradient", "soft_only"):
        task = make(f"variant={variant}")
        losses, _ = task(batch())
        assert touched(task, losses["soft"]) == {"frame_encoder", "decoder", "dsm"}
        assert (losses["hard"] == 0) == (variant == "soft_only")
    losses, _ = make("variant=hard_only")(batch())
    assert losses["soft"] == 0 and losses["hard"] > 0


def test_eq_5_as_printed_moves_the_other_way(monkeypatch):
    seen = []

    def spy(mel, offset, lengths):
        seen.append(offset)
        return hard_correct(mel, offset, lengths)

    monkeypatch.setattr("slts.systems.slts.task.hard_correct", spy)
    for variant in ("paper", "eq5_as_printed"):
        make(f"variant={variant}")(batch(frames=60))
    assert seen[0].abs().max() > 0
    assert torch.equal(seen[0], -seen[1])


def test_without_asm_there_is_one_plain_mse():
    task = make("variant=no_asm", "task.loss.intelligibility=0").eval()
    losses, _ = task(batch())
    assert set(losses) == {"hard"}
    target, _ = task.target_mel(batch())
    _, mel = task.reconstruct(batch(), target.shape[1])
    torch.testing.assert_close(losses["hard"], (mel - target).square().mean())
    assert task.gives == ("speech",)


def test_generation_is_as_long_as_the_video_and_needs_no_audio():
    task = make().eval()
    silent = batch()
    silent.recorded = torch.zeros_like(silent.audio)
    assert task.generate(silent).shape == (2, 40 * 640)
    torch.testing.assert_close(task.generate(silent), task.generate(batch()))


def test_padding_does_not_change_a_clip():
    task = make().eval()
    alone, long = batch(1, 30), batch(1, 40)
    both = Batch(
        video=torch.cat([torch.nn.functional.pad(alone.video, (0, 0) * 3 + (0, 10)), long.video]),
        recorded=torch.cat([torch.nn.functional.pad(alone.audio, (0, 6400)), long.audio]),
        frames=torch.tensor([30, 40]),
        fps=torch.tensor([25.0, 25.0]),
        speaker=torch.tensor([0, 0]),
        offset_ms=torch.full((2,), float("nan")),
        key=["alone", "long"],
        valid=torch.arange(40) < torch.tensor([[30], [40]]),
    )
    torch.testing.assert_close(
        task.offsets(both).distribution[:1], task.offsets(alone).distribution, atol=1e-4, rtol=1e-3
    )
    _, padded = task.reconstruct(both, 160)
    _, single = task.reconstruct(alone, 120)
    # The post-net's kernels reach eight frames over the end.
    torch.testing.assert_close(padded[:1, :110], single[:, :110], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["variant=no_asm", "task.soft_source=probe"], "task.dsm=false"),
        (["task.loss.hard=0"], "task.stop_gradient=false"),
        (["variant=no_asm", "task.loss.hard=0", "task.stop_gradient=false"], "task.dsm=true"),
        (["chunk_seconds=0.5"], "chunk_seconds=0.5"),
        (["model.heads=5"], "model.heads=5"),
        (["variant=with_discriminators"], "add vocoder=univnet_c16"),
    ],
)
def test_combinations_that_cannot_work_are_refused(overrides, words):
    config, _ = compose("train", ["data=x", "name=x", "experiment=cpu", *overrides])
    with pytest.raises(UserError, match=words):
        check_task(config)
