"""VCA-GAN: lip-to-speech by a multi-scale generator with visual context attention (Kim, Hong and Ro, NeurIPS 2021)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from slts.audio.emphasised import de_emphasise, spectra, unscale
from slts.audio.griffin_lim import griffin_lim_linear
from slts.audio.mel import BANDS, HOP, WINDOW
from slts.data.batch import Batch
from slts.errors import UserError
from slts.layers.discriminators import frozen
from slts.systems.contract import SPEECH
from slts.systems.vcagan.discriminators import (
    ConditionalDiscriminators,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
)
from slts.systems.vcagan.generator import Generator, coarser
from slts.systems.vcagan.linear_postnet import LinearPostnet
from slts.systems.vcagan.sync_network import SyncNetwork, contrastive_loss, distance_loss
from slts.systems.vcagan.visual_front import VisualFront

FPS = 25.0
"""Video frames a second; the generator makes four mel frames of each."""
SHORTEST = 0.4
"""Seconds that the losses need: the discriminators halve time up to four times."""
GREY_MEAN, GREY_STD = 0.4136, 0.1700
"""Of VCA-GAN's pictures, as shares of 255."""


def check(config) -> None:
    """Refuses networks and vocoders of other tasks, and chunks that are too short. Raises UserError."""
    if "generator_width" not in config.model:
        raise UserError(f"model={config.model.name} is not for task=vcagan; use model=vcagan or model=vcagan_small")
    if config.vocoder.name != "griffin_lim":
        raise UserError(
            f"vocoder={config.vocoder.name}: VCA-GAN predicts the linear spectrum that Griffin-Lim takes; use"
            " vocoder=griffin_lim_60 or vocoder=griffin_lim"
        )
    if config.chunk_seconds < SHORTEST:
        raise UserError(
            f"chunk_seconds={config.chunk_seconds} is too short for the discriminators; use at least {SHORTEST}"
        )


def gives(config) -> tuple[str, ...]:
    return VcaGanTask.gives


def build(config, corpus: dict) -> "VcaGanTask":
    return VcaGanTask(config.task, config.model, config.vocoder)


class VcaGanTask(nn.Module):
    """Visual front, generator and post-net; as critic three discriminators and the sync network.

    One forward and one backward pass serve both sides. What VCA-GAN's discriminator step leaves
    in the visual front, the gradient of the contrastive loss, is so applied with the generator's, as there.
    """

    takes, gives, fps = (), (SPEECH,), FPS

    def __init__(self, task, model, vocoder):
        super().__init__()
        self.mirror, self.weight, self.iterations = task.mirror, task.loss, vocoder.iterations
        self.visual_front = VisualFront(model.channels, model.frame_width, tuple(model.frame_blocks), model.dropout)
        features, width = self.visual_front.output_width, model.generator_width
        self.generator = Generator(features, width)
        self.postnet = LinearPostnet(model.postnet_width)
        self.critic = nn.ModuleDict(
            {
                "discriminators": ConditionalDiscriminators(features, model.critic_width),
                "sync": SyncNetwork(features, model.critic_width),
            }
        )

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        valid = batch.valid
        mel, linear = self.targets(batch)
        phon, sent = self.visual_front(self.pictures(batch))
        fakes = self.generator(phon, sent, self.generator.noise(*phon.shape[:2]))
        # A shorter clip goes on in silence, recorded and generated.
        fakes = [_where(valid, fake, -1) for fake in fakes]
        predicted = _where(valid, self.postnet(fakes[-1]).mT, 0).mT
        reals = [real.detach().requires_grad_() for real in coarser(mel)]
        condition = (sent.mean(1) if valid is None else _mean(sent, valid)).detach()

        judge, listener, weight = self.critic["discriminators"], self.critic["sync"], self.weight
        on_reals, on_fakes = judge(reals, condition), judge([fake.detach() for fake in fakes], condition)
        apart = sum(functional.l1_loss(unscale(f), unscale(r)) for f, r in zip(fakes, reals, strict=True)) / len(reals)
        losses = {
            "mel": weight.reconstruction * apart,
            "linear": weight.reconstruction * functional.l1_loss(predicted, linear),
            "adversarial": weight.adversarial * generator_loss(frozen(judge, fakes, condition)),
            "sync": weight.sync * distance_loss(phon.detach(), frozen(listener, fakes[-1]), valid),
            "critic": discriminator_loss(on_reals, on_fakes),
            "critic_sync": contrastive_loss(phon, listener(mel), valid),
        }
        if weight.r1:
            losses["r1"] = weight.r1 * gradient_penalty(on_reals, reals)
        margin = (on_reals[-1] - on_fakes[-1]).mean()
        return losses, {"critic_margin": margin.detach()}

    def targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the recorded audio: mel (B, 80, 4 T_v) in [-1, 1] and magnitude (B, 4 T_v, 321), silent after the clip."""
        samples = batch.video.shape[1] * 4 * HOP
        audio = functional.pad(batch.audio, (0, max(0, samples - batch.audio.shape[1])))[:, :samples]
        mel, linear = spectra(audio)
        return _where(batch.valid, mel.mT, -1), _where(batch.valid, linear.mT, 0).mT

    def pictures(self, batch: Batch) -> Tensor:
        """Standardised video (B, T_v, C, H, W)."""
        return (batch.video.float() / 255 - GREY_MEAN) / GREY_STD

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mel (B, 80, 4 T_v) in [-1, 1] and magnitude (B, 4 T_v, 321), silent after each clip's end.

        The noise is the same for every clip and call, and clips of one length are put through together, so that a clip
        does not depend on its neighbours. With ``mirror`` the outputs for the video and its mirror image are averaged.
        """
        video, length = self.pictures(batch), 4 * batch.video.shape[1]
        mel = video.new_full((len(video), BANDS, length), -1)
        linear = video.new_zeros(len(video), length, WINDOW // 2 + 1)
        for frames in batch.frames.unique().tolist():
            clips = batch.frames == frames
            seen = video[clips, :frames]
            noise = self.generator.noise(1, frames, torch.Generator().manual_seed(0)).expand(len(seen), -1, -1, -1)
            views = [seen, seen.flip(-1)] if self.mirror else [seen]
            mels = [self.generator(*self.visual_front(view), noise)[-1] for view in views]
            linear[clips, : 4 * frames] = torch.stack([self.postnet(m) for m in mels]).mean(0)
            mel[clips, :, : 4 * frames] = torch.stack(mels).mean(0)
        return mel, linear

    @torch.no_grad()
    def generate(self, batch: Batch) -> Tensor:
        """Speech (B, N) in sync with the video; needs no audio in the batch."""
        return de_emphasise(griffin_lim_linear(self.predict(batch)[1], self.iterations))

    @torch.no_grad()
    def mels(self, batch: Batch) -> dict[str, Tensor]:
        """Log-mels of the prepared audio, ``target`` and ``reconstruction``."""
        pair = {"target": self.targets(batch)[0], "reconstruction": self.predict(batch)[0]}
        return {name: unscale(mel.float()).mT for name, mel in pair.items()}


def _where(valid: Tensor | None, x: Tensor, silence: float) -> Tensor:
    """x (B, C, n T) where the video frames ``valid`` (B, T) are, else ``silence``; None is everywhere."""
    if valid is None:
        return x
    inside = valid.repeat_interleave(x.shape[-1] // valid.shape[1], dim=1)
    return x.where(inside[:, None], silence)


def _mean(features: Tensor, valid: Tensor) -> Tensor:
    """(B, T, D) over the valid T."""
    return (features * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
