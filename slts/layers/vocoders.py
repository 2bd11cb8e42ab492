"""From a standardised mel to a waveform: what systems that predict mels share."""

from collections.abc import Mapping

import auraloss
import torch
from torch import Tensor, nn

from slts.audio import SAMPLE_RATE
from slts.audio.griffin_lim import griffin_lim
from slts.audio.mel import HOP, MEL_RATE
from slts.audio.stoi import short_time_intelligibility
from slts.layers.discriminators import UnivNetDiscriminators, adversarial_losses
from slts.layers.univnet import UnivNet


def build_vocoder(name: str, adversarial: float = 0.0, **settings) -> nn.Module:
    """``griffin_lim`` or ``univnet`` with its settings; ``adversarial`` is the weight of its discriminators, 0 for
    none."""
    return GriffinLim(**settings) if name == "griffin_lim" else JointUnivNet(**settings, adversarial=adversarial)


class GriffinLim(nn.Module):
    """Nothing to train: phase from the mel alone."""

    def __init__(self, iterations: int):
        super().__init__()
        self.critic = None
        self.iterations = iterations

    def losses(self, mel: Tensor, valid: Tensor, audio: Tensor) -> dict[str, Tensor]:
        return {}

    def generate(self, mel: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        return griffin_lim(mel * std + mean, self.iterations)


class JointUnivNet(nn.Module):
    """UnivNet trained with the whole system on random segments of the hard-corrected mel (section 3.2).

    Its gradient reaches the decoder. Losses: multi-resolution STFT (auraloss, the resolutions of UnivNet) and 1 - STOI;
    with discriminators also what they say (``adversarial``) and their own (``critic``). ``loss`` holds the weights
    ``stft`` and ``stoi``.
    """

    def __init__(self, channels: int, segment_seconds: float, loss: Mapping[str, float], adversarial: float = 0.0):
        super().__init__()
        self.generator = UnivNet(channels)
        self.critic = UnivNetDiscriminators() if adversarial else None
        self.segment = round(segment_seconds * MEL_RATE)
        self.weight, self.adversarial = loss, adversarial
        self.stft = auraloss.freq.MultiResolutionSTFTLoss(
            fft_sizes=[1024, 2048, 512], hop_sizes=[120, 240, 50], win_lengths=[600, 1200, 240], sample_rate=SAMPLE_RATE
        )

    def losses(self, mel: Tensor, valid: Tensor, audio: Tensor) -> dict[str, Tensor]:
        """mel (B, T, bands) standardised, valid (B, T) one unbroken span a clip, audio (B, >= 160 T)."""
        segment, reference = random_segments(mel, valid, audio, self.segment)
        generated = self.generator(segment)
        losses = {}
        if self.critic is not None:
            fooling, losses["critic"] = adversarial_losses(self.critic, reference, generated)
            losses["adversarial"] = self.adversarial * fooling
        with torch.autocast(mel.device.type, enabled=False):
            generated = generated.float()
            stoi = short_time_intelligibility(reference, generated).mean()
            spectral = self.stft(generated[:, None], reference[:, None])
        return losses | {"stft": self.weight["stft"] * spectral, "stoi": self.weight["stoi"] * (1 - stoi)}

    def compile(self, **options) -> None:
        self.generator.compile(**options)

    def generate(self, mel: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        silence = (torch.full_like(mean, 1e-5).log() - mean) / std
        return self.generator.generate(mel, silence)


def random_segments(mel: Tensor, valid: Tensor, audio: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """A random piece of each clip inside its valid span: mel (B, length, bands) and audio (B, 160 length)."""
    start, span = valid.int().argmax(1), valid.sum(1)
    room = (span - length + 1).clamp_min(1)
    start = start + (torch.rand(len(mel), device=mel.device) * room).long()
    start = start.clamp_max(mel.shape[1] - length)
    frames = start[:, None] + torch.arange(length, device=mel.device)
    samples = start[:, None] * HOP + torch.arange(length * HOP, device=mel.device)
    return mel.gather(1, frames[..., None].expand(-1, -1, mel.shape[2])), audio.gather(1, samples)
