"""Shapes and sizes of VCA-GAN's networks."""

import torch

from slts.audio.emphasised import spread
from slts.systems.vcagan.context_attention import ContextAttention
from slts.systems.vcagan.discriminators import ConditionalDiscriminators
from slts.systems.vcagan.generator import Generator, ResidualBlock, coarser
from slts.systems.vcagan.linear_postnet import LinearPostnet
from slts.systems.vcagan.sync_network import SyncNetwork
from slts.systems.vcagan.visual_front import VisualFront


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_visual_front_is_resnet18_between_a_3d_stem_and_a_gru():
    front = VisualFront()
    assert count(front.stem) == 64 * 5 * 7 * 7 + 2 * 64 + 64
    resnet18, first_convolution, classifier = 11_689_512, 3 * 64 * 7 * 7 + 2 * 64, 512 * 1000 + 1000
    prelu = sum(2 * 2 * width for width in (64, 128, 256, 512))
    assert count(front.trunk) == resnet18 - first_convolution - classifier + prelu
    layer = 3 * 512 * (512 + 512 + 2)  # a GRU has three gates of input, state and two biases
    assert count(front.gru) == 2 * layer + 2 * 3 * 512 * (1024 + 512 + 2)
    phon, sent = front.eval()(torch.randn(2, 5, 1, 64, 64))
    assert phon.shape == sent.shape == (2, 5, 512)


def test_local_features_know_five_frames_and_global_ones_the_clip():
    torch.manual_seed(0)
    front = VisualFront(width=4, blocks=(1, 1, 1, 1)).eval()
    video = torch.randn(1, 12, 1, 32, 32)
    other = video.clone()
    other[:, 0] += 1
    (phon, sent), (phon2, sent2) = front(video), front(other)
    assert (phon != phon2).any(-1).nonzero()[:, 1].tolist() == [0, 1, 2]
    assert (sent != sent2).any(-1).all()


def test_the_generator_makes_mels_of_three_scales():
    generator = Generator()
    blocks = [*generator.entrance, *generator.stages]
    widths = [(b.conv1.in_channels, b.conv1.out_channels) for b in blocks]
    assert widths == [(640, 512), (512, 256), (256, 256), (256, 128), (128, 64), (64, 32)]
    assert all(b.conv1.kernel_size == b.conv2.kernel_size == (5, 5) for b in blocks)
    assert [b.upsample for b in blocks] == [False] * 4 + [True] * 2
    assert generator.noise(2, 3).shape == (2, 128, 20, 3)

    small = Generator(16, 2)
    mels = small(torch.randn(3, 5, 16), torch.randn(3, 5, 16), small.noise(3, 5))
    assert [mel.shape for mel in mels] == [(3, 20, 5), (3, 40, 10), (3, 80, 20)]
    assert all(mel.abs().max() < 1 for mel in mels)


def test_noise_with_a_generator_is_repeatable():
    small = Generator(16, 2)
    first, second = (small.noise(1, 4, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, second) and not torch.equal(first, small.noise(1, 4))


def test_a_residual_block_is_its_shortcut_where_the_branch_is_silent():
    block = ResidualBlock(2, 2, upsample=True)
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.zeros_(block.conv2.bias)
    x = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    expected = torch.tensor([[[[1.0, 1, 2, 2]] * 2, [[3, 3, 4, 4]] * 2]]) / 2**0.5
    torch.testing.assert_close(block(x)[0], expected[0])


def test_both_attentions_have_2560_inputs_and_1280_outputs():
    for attention in Generator().attentions:
        layers = [attention.query, attention.key, attention.value, attention.answer]
        sizes = [(layer.in_features, layer.out_features) for layer in layers]
        assert sizes == [(2560, 256), (512, 256), (512, 256), (256, 1280)]


def test_attention_takes_the_moment_whose_key_matches():
    attention = ContextAttention(channels=2, bands=1, context=2, width=2)
    for layer in (attention.query, attention.key, attention.value):
        layer.weight.data = torch.eye(2) * (1 if layer is attention.value else 10)
        layer.bias.data.zero_()
    attention.answer.weight.data, attention.answer.bias.data = torch.tensor([[1.0, 0.0]]), torch.zeros(1)
    sent = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
    columns = torch.tensor([[[[1.0, 0.0, -1.0, 1.0]], [[0.0, 1.0, 0.0, 0.0]]]])  # (B, C, bands, T')
    torch.testing.assert_close(attention(columns, sent), torch.tensor([[[[1.0, 0.0, -1.0, 1.0]]]]))


def test_coarser_mels_are_averages():
    mel = torch.arange(80.0)[:, None].expand(80, 8)[None]
    twenty, forty, eighty = coarser(mel)
    assert (twenty.shape, forty.shape) == ((1, 20, 2), (1, 40, 4)) and eighty is mel
    assert twenty[0, 1, 0] == (4 + 5 + 6 + 7) / 4 and forty[0, 1, 0] == 2.5


def test_discriminators_have_two_three_and_four_down_blocks_and_two_heads():
    critics = ConditionalDiscriminators()
    assert [len(net.blocks) for net in critics.nets] == [2, 3, 4]
    assert [net.blocks[-1].conv2.out_channels for net in critics.nets] == [512] * 3
    small = ConditionalDiscriminators(8, 2)
    mels = [torch.randn(3, 20, 7), torch.randn(3, 40, 14), torch.randn(3, 80, 28)]
    one, two = (small(mels, torch.randn(3, 8)) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        assert first.shape == (3, 2)
        assert torch.equal(first[:, 0], second[:, 0]) and not torch.equal(first[:, 1], second[:, 1])


def test_the_sync_network_comes_down_to_the_video_rate():
    assert SyncNetwork().last.out_features == 512
    assert SyncNetwork(24, 2)(torch.randn(2, 80, 28)).shape == (2, 7, 24)


def test_the_postnet_makes_a_magnitude_and_starts_from_the_mel():
    postnet = LinearPostnet()
    assert postnet.first.kernel_size == (7,) and len(postnet.blocks) == 3
    mel = torch.rand(2, 80, 12) * 2 - 1
    linear = postnet(mel)
    assert linear.shape == (2, 12, 321) and (linear >= 0).all()
    torch.testing.assert_close(linear, spread(mel.mT))
    torch.nn.init.normal_(postnet.last.weight)
    assert not torch.equal(postnet(mel), linear)
