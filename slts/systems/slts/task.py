"""SLTS: lip-to-speech with the automatic synchronisation mechanism (Niu and Mak, arXiv 2303.00502)."""

import torch
from torch import Tensor, nn

from slts.audio.mel import BANDS, MEL_RATE, log_mel
from slts.audio.mel_intelligibility import SEGMENT, mel_intelligibility
from slts.audio.upsampling import mel_lengths, upsample_by_time
from slts.data.batch import Batch
from slts.errors import UserError
from slts.layers.frame_encoder import FrameEncoder
from slts.layers.lip_front import LipFront
from slts.layers.vocoders import build_vocoder
from slts.systems.contract import OFFSETS, SINGLE_FRAMES, SPEECH, OffsetEstimate
from slts.systems.slts.mel_decoder import ContextFreeProbe, MelDecoder
from slts.systems.slts.offset_predictor import OffsetPredictor
from slts.systems.slts.synchronisation import (
    confidence,
    hard_correct,
    masked_l1,
    masked_mse,
    most_likely_offset,
    self_synchronisation_loss,
    soft_correct,
    soft_loss,
    spectral_convergence,
)

DISTANCES = {"hard": masked_mse, "l1": masked_l1, "convergence": spectral_convergence}
"""Of the hard-corrected mel from the target, by the name of their weight: eq. 6, and SVTS's two."""


def check(config) -> None:
    """Refuses networks of other tasks, ASM on features that mix frames, an anchor without ASM, discriminators without a
    vocoder to train, and chunks too short for the sync radius or the vocoder. Raises UserError."""
    task, vocoder = config.task, config.vocoder
    if "heads" not in config.model:
        raise UserError(f"model={config.model.name} is not for task={task.name}; use model=s, m or small")
    five_frames = config.model.get("front") == "five_frames"  # older runs have no such key
    if five_frames and (task.dsm or task.loss.ssm):
        raise UserError(
            f"model={config.model.name} sees five frames at once, which can hide an offset from DSM and SSM; take"
            " variant=svts or variant=no_asm, on data in sync (slts offsets action=apply), or model.front=single_frames"
        )
    if five_frames and config.model.checkpointing:
        raise UserError("model.checkpointing=true recomputes single frames only; set it to false with five_frames")
    if task.discriminators and vocoder.name != "univnet":
        raise UserError(
            f"task.discriminators=true needs a vocoder that is trained, and vocoder={vocoder.name} is not; add"
            " vocoder=univnet_c16 or univnet_c32, or leave the discriminators out"
        )
    if not task.dsm and task.soft_source == "probe":
        raise UserError("task.soft_source=probe anchors DSM, which task.dsm=false removes; set one of the two back")
    of_mel = any(task.loss.get(name) for name in DISTANCES)
    if not of_mel and (task.stop_gradient or not task.dsm):
        raise UserError(
            "task.loss.hard=0 leaves the decoder without a loss of its mel; add task.stop_gradient=false and"
            " task.dsm=true, so that the soft loss trains it"
        )
    edge = 2 * task.radius if task.dsm else 0
    needed = (edge + 1) / MEL_RATE
    if vocoder.name == "univnet":
        needed = max(needed, (edge // 2) / MEL_RATE + vocoder.segment_seconds)
    if task.loss.intelligibility:
        needed = max(needed, (edge // 2 + SEGMENT) / MEL_RATE)
    if config.chunk_seconds < needed:
        raise UserError(
            f"chunk_seconds={config.chunk_seconds} is too short for task.radius={task.radius} and the pieces that"
            f" the losses compare; use at least {needed:.2f}"
        )
    if config.model.width % config.model.heads:
        raise UserError(f"model.heads={config.model.heads} must divide model.width={config.model.width}")


def gives(config) -> tuple[str, ...]:
    return (SPEECH, OFFSETS, SINGLE_FRAMES) if config.task.dsm else (SPEECH,)


def build(config, corpus: dict) -> "SltsTask":
    return SltsTask(config.task, config.model, config.vocoder, corpus)


def picture_encoder(model) -> nn.Module:
    """(B, T, channels, H, W) to (B, T, output_width): of single frames, or of five at a time."""
    blocks = tuple(model.frame_blocks)
    if model.get("front", "single_frames") == "five_frames":
        return LipFront(model.channels, model.frame_width, blocks)
    return FrameEncoder(model.channels, model.frame_width, blocks, checkpointing=model.checkpointing)


class SltsTask(nn.Module):
    """Frame encoder, decoder, DSM, SSM and vocoder, with their losses.

    ``task``, ``model`` and ``vocoder`` are the config groups of these names; ``corpus`` the content of corpus.json,
    from which come the speakers and the statistics that standardise the mel.
    """

    takes, offset_step_ms, sure_above = (), 10.0, None

    def __init__(self, task, model, vocoder, corpus: dict):
        super().__init__()
        self.radius, self.weight = task.radius, task.loss
        self.stop_gradient, self.correction = task.stop_gradient, task.correction
        self.register_buffer("mel_mean", torch.tensor(corpus["mel"]["mean"]))
        self.register_buffer("mel_std", torch.tensor(corpus["mel"]["std"]))
        self.frame_encoder = picture_encoder(model)
        features = self.frame_encoder.output_width
        self.decoder = MelDecoder(
            features=features,
            speakers=len(corpus["speakers"]),
            speaker_width=model.speaker_width,
            width=model.width,
            layers=model.layers,
            heads=model.heads,
            kernel=model.kernel,
            dropout=model.dropout,
            postnet_width=model.postnet_width,
            bands=BANDS,
            hidden=model.get("feed_forward_width"),
        )
        self.fps = self.decoder.postnet.fps
        sizes = (features, BANDS, model.embedding_width, task.radius, task.temperature)
        self.dsm = OffsetPredictor(*sizes) if task.dsm else None
        self.ssm = OffsetPredictor(*sizes) if task.loss.ssm else None
        self.probe = ContextFreeProbe(features, BANDS) if task.soft_source == "probe" else None
        adversarial = task.loss.adversarial if task.get("discriminators") else 0.0
        self.vocoder = build_vocoder(**vocoder, adversarial=adversarial)

    @property
    def gives(self) -> tuple[str, ...]:
        return (SPEECH,) if self.dsm is None else (SPEECH, OFFSETS, SINGLE_FRAMES)

    @property
    def critic(self) -> nn.Module | None:
        """The vocoder's discriminators, where it has some."""
        return self.vocoder.critic

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        target, lengths = self.target_mel(batch)
        features, mel = self.reconstruct(batch, target.shape[1])
        return self.losses(batch, features, mel, target, lengths)

    def losses(
        self,
        batch: Batch,
        features: Tensor,
        mel: Tensor,
        target: Tensor,
        lengths: Tensor,
        on_sound_clock: bool = False,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses and report of F ``features`` (B, T_v, D_f) and M-hat ``mel`` (B, T_m, 80) against the ``target``.

        ``on_sound_clock``: M-hat was made of the recorded sound and not of the picture. It is in sync with the target,
        so k-hat is 0 for it, and the losses that hold it against the picture count nothing.
        """
        # F is not detached: the paper states no stop-gradient here, so L^s and L_SSM train the frame encoder too.
        local = upsample_by_time(features, batch.frames, batch.fps, target.shape[1])
        losses, report = {}, {}
        in_sync, sure = torch.zeros_like(lengths), 1.0
        offset, of_picture = in_sync, float(not on_sound_clock)
        if self.dsm is not None:
            log_p = self.dsm(local, target, lengths)
            offset = most_likely_offset(log_p)
            sure = confidence(log_p, offset).detach()
            source = mel if self.probe is None else self.probe(local)
            corrected = soft_correct(source.detach() if self.stop_gradient else source, log_p)
            losses["soft"] = of_picture * self.weight.soft * soft_loss(target, corrected, lengths, self.radius)
            if self.probe is not None:
                probed, inside = hard_correct(source, offset, lengths)
                losses["probe"] = self.weight.hard * masked_mse(probed, target, inside)
            report["dsm_offset_ms"] = 10.0 * offset.float().mean()
            # Near 1 when DSM has collapsed to the edge of its range (its offsets then mean nothing).
            report["dsm_at_edge"] = (offset.abs() >= self.radius - 1).float().mean()
        if self.ssm is not None:
            losses["ssm"] = of_picture * self.weight.ssm * self_synchronisation_loss(self.ssm(local, mel, lengths))
        if on_sound_clock:
            offset, sure = in_sync, 1.0
        hard, valid = hard_correct(mel, offset if self.correction == "repaired" else -offset, lengths)
        losses |= self.of_mel(hard, target, valid)
        if self.weight.intelligibility:
            # A wrong shift spoils this loss more than it does eq. 6: clips count as far as DSM is sure of theirs.
            score = mel_intelligibility(self.as_log_mel(target), self.as_log_mel(hard), valid)
            losses["intelligibility"] = self.weight.intelligibility * (sure * (1 - score)).mean()
        losses |= self.vocoder.losses(hard, valid, batch.audio)
        return losses, report

    def of_mel(self, mel: Tensor, target: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """The distances of a corrected mel from the target that have a weight, and that of eq. 6: with a weight of 0 it
        still gives every network a gradient, as DDP wants it."""
        weights = {name: self.weight.get(name, 0.0) for name in DISTANCES}  # older runs know hard alone
        return {name: w * DISTANCES[name](mel, target, valid) for name, w in weights.items() if w or name == "hard"}

    def target_mel(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Standardised mel of the recorded audio (B, T_m, 80) and its valid frames (B,)."""
        mel = (log_mel(batch.audio) - self.mel_mean) / self.mel_std
        return mel, mel_lengths(batch.frames, batch.fps).clamp_max(mel.shape[1])

    def reconstruct(self, batch: Batch, length: int) -> tuple[Tensor, Tensor]:
        """Frame features F (B, T_v, D_f) and the standardised M-hat (B, length, 80), in sync with the video."""
        features = self.encode(batch)
        return features, self.decoder(features, batch.speaker, batch.frames, batch.fps, length, batch.valid)

    def encode(self, batch: Batch) -> Tensor:
        """Frame features F (B, T_v, D_f) of the pictures, brought to about -2..2."""
        return self.frame_encoder((batch.video.float() - 128) / 64, batch.valid)

    @torch.no_grad()
    def generate(self, batch: Batch) -> Tensor:
        """Speech (B, N) in sync with the video; needs no audio in the batch."""
        length = int(mel_lengths(batch.frames, batch.fps).max())
        _, mel = self.reconstruct(batch, length)
        return self.vocoder.generate(mel.float(), self.mel_mean, self.mel_std)

    @torch.no_grad()
    def offsets(self, batch: Batch) -> OffsetEstimate:
        """DSM's offset of each clip, from its video and its recorded audio."""
        assert self.dsm is not None, "OFFSETS is in gives only with DSM"
        target, lengths = self.target_mel(batch)
        local = upsample_by_time(self.encode(batch), batch.frames, batch.fps, target.shape[1])
        log_p = self.dsm(local, target, lengths)
        offset = most_likely_offset(log_p)
        # P(k) that has not learned, or has collapsed, peaks at +-K or beside it.
        reach = 10.0 * (self.radius - 1)
        return OffsetEstimate(10.0 * offset.float(), confidence(log_p, offset), reach, log_p.exp())

    @torch.no_grad()
    def mels(self, batch: Batch) -> dict[str, Tensor]:
        """Log-mels of Fig. 6: target, reconstruction and, with DSM, the hard-corrected reconstruction."""
        target, lengths = self.target_mel(batch)
        features, mel = self.reconstruct(batch, target.shape[1])
        shown = {"target": target, "reconstruction": mel}
        if self.dsm is not None:
            local = upsample_by_time(features, batch.frames, batch.fps, target.shape[1])
            shown["corrected"] = hard_correct(mel, most_likely_offset(self.dsm(local, target, lengths)), lengths)[0]
        return {name: self.as_log_mel(value) for name, value in shown.items()}

    @torch.no_grad()
    def single_frames(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """What single frames show (B, T_m, D_f), the mel heard at the same instants (B, T_m, 80), valid frames (B,)."""
        target, lengths = self.target_mel(batch)
        return upsample_by_time(self.encode(batch), batch.frames, batch.fps, target.shape[1]), target, lengths

    def as_log_mel(self, mel: Tensor) -> Tensor:
        """A standardised mel in natural-log units."""
        return mel.float() * self.mel_std + self.mel_mean
