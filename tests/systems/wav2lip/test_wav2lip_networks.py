"""The networks of Wav2Lip: sizes and names of the published ones, shapes of the small ones."""

import pytest
import torch

from slts.systems.lipsync_expert.network import LipSyncExpert, cosine_loss, window_start
from slts.systems.wav2lip.generator import Generator
from slts.systems.wav2lip.quality import QualityDiscriminator


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def numbers(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.state_dict().values())


def test_the_generator_has_the_published_size():
    network = Generator()
    assert parameters(network) == 36_298_035
    assert len(network.state_dict()) == 352 and numbers(network) == 36_320_837
    seen = [4_752, 23_328, 129_792, 369_792, 1_476_864, 3_542_016, 2_624_512]
    assert [parameters(block) for block in network.face_encoder_blocks] == seen
    drawn = [263_680, 7_080_960, 9_441_792, 5_311_872, 2_361_600, 664_704, 166_464]
    assert [parameters(block) for block in network.face_decoder_blocks] == drawn
    assert parameters(network.audio_encoder) == 2_812_672
    assert parameters(network.output_block) == 23_235


def test_the_expert_has_the_published_size():
    network = LipSyncExpert()
    assert parameters(network) == 16_435_072
    assert len(network.state_dict()) == 217 and numbers(network) == 16_449_183
    assert (parameters(network.face_encoder), parameters(network.audio_encoder)) == (13_031_808, 3_403_264)


def test_the_quality_discriminator_has_the_published_size():
    network = QualityDiscriminator()
    assert parameters(network) == 14_113_793
    assert len(network.state_dict()) == 28 and not list(network.buffers())
    blocks = [4_736, 153_728, 614_656, 2_458_112, 3_539_968, 4_719_616, 2_622_464]
    assert [parameters(block) for block in network.face_encoder_blocks] == blocks
    assert parameters(network.binary_pred) == 513


def test_the_published_names():
    generator, expert, quality = (set(n.state_dict()) for n in (Generator(), LipSyncExpert(), QualityDiscriminator()))
    assert "face_encoder_blocks.2.3.conv_block.1.running_var" in generator
    assert "face_decoder_blocks.6.2.conv_block.0.weight" in generator
    assert {"output_block.0.conv_block.0.weight", "output_block.1.bias"} <= generator
    assert "audio_encoder.12.conv_block.0.weight" in generator and "audio_encoder.13.conv_block.0.weight" in expert
    assert "face_encoder.16.conv_block.1.num_batches_tracked" in expert
    assert {"face_encoder_blocks.6.1.conv_block.0.bias", "binary_pred.0.weight"} <= quality


@pytest.mark.parametrize(("size", "channels", "width"), [(96, 3, 0.25), (48, 3, 0.25), (48, 1, 0.125)])
def test_small_ones_take_and_give_pictures(size, channels, width):
    given = {"image_size": size, "channels": channels, "width": width}
    generator, quality = Generator(**given), QualityDiscriminator(**given)
    pictures, mel = torch.rand(2, channels, size, size), torch.randn(2, 80, 16)
    drawn = generator(pictures, pictures, mel)
    assert drawn.shape == pictures.shape and float(drawn.detach().min()) >= 0 and float(drawn.detach().max()) <= 1
    assert quality(pictures).shape == (2,)
    for frames in (1, 3, 5):
        expert = LipSyncExpert(**given, frames=frames)
        cosine = expert(torch.rand(2, frames, channels, size, size), mel)
        assert cosine.shape == (2,) and float(cosine.detach().min()) >= 0 and float(cosine.detach().max()) <= 1 + 1e-6


def test_the_small_ones_sizes():
    small = {"image_size": 48, "width": 0.25}
    assert parameters(Generator(**small)) / 1e6 == pytest.approx(2.27, abs=0.01)
    assert parameters(LipSyncExpert(**small)) / 1e6 == pytest.approx(0.89, abs=0.01)


def test_the_upper_half_is_not_looked_at():
    expert, quality = LipSyncExpert(48, 1, 0.25).eval(), QualityDiscriminator(48, 1, 0.25)
    pictures, mel = torch.rand(1, 5, 1, 48, 48), torch.randn(1, 80, 16)
    other = pictures.clone()
    other[..., :24, :] = 0
    torch.testing.assert_close(expert(pictures, mel), expert(other, mel))
    torch.testing.assert_close(quality(pictures[:, 0]), quality(other[:, 0]))


def test_frames_never_see_each_other():
    generator = Generator(48, 1, 0.25).eval()
    pictures, mel = torch.rand(3, 1, 48, 48), torch.randn(3, 80, 16)
    with torch.no_grad():
        together = generator(pictures, pictures, mel)
        for i in range(3):
            one = slice(i, i + 1)
            torch.testing.assert_close(together[one], generator(pictures[one], pictures[one], mel[one]))


def test_the_loss_of_a_cosine():
    cosine = torch.tensor([0.5, 0.9, 0.2])
    expected = torch.tensor([0.6931472, 0.1053605, 0.2231436])
    torch.testing.assert_close(cosine_loss(cosine, torch.tensor([1.0, 1.0, 0.0])), expected)
    assert torch.isfinite(cosine_loss(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))).all()


def test_sound_lies_around_the_middle_of_a_window():
    first = torch.tensor([0.0, 10.0])
    assert window_start(first, 5).tolist() == pytest.approx([0.0, 0.4])
    assert window_start(first, 1).tolist() == pytest.approx([-0.08, 0.32])
