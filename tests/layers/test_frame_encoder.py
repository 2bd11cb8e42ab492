"""The frame encoder: ResNet18's layout, independence of frames, checkpointing."""

import copy

import pytest
import torch

from slts.layers.frame_encoder import FrameEncoder, frozen_statistics


def small(**options) -> FrameEncoder:
    torch.manual_seed(0)
    return FrameEncoder(channels=1, width=8, blocks=(1, 2, 1, 1), **options)


def test_layout_is_resnet18():
    # torchvision's resnet18 has 11,689,512 parameters, 513,000 of them in fc.
    with torch.device("meta"):
        state = FrameEncoder().state_dict()
    model_parameters = {k: v for k, v in state.items() if "running" not in k and "num_batches" not in k}
    assert sum(v.numel() for v in model_parameters.values()) == 11_689_512 - 513_000
    assert len(state) == 122 - 2
    for name, shape in {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer1.1.bn2.weight": (64,),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.running_var": (128,),
        "layer4.1.conv2.weight": (512, 512, 3, 3),
        "layer4.1.bn2.num_batches_tracked": (),
    }.items():
        assert state[name].shape == shape, name


def test_parity_with_another_resnet18():
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic"
    )
    torch.manual_seed(0)
    theirs = transformers.ResNetModel(config)
    for name, buffer in theirs.named_buffers():
        if "running" in name:
            buffer += torch.rand_like(buffer)
    ours = FrameEncoder()
    names = [n for n in theirs.state_dict() if ".shortcut." not in n]
    shortcuts = [n for n in theirs.state_dict() if ".shortcut." in n]
    # Both list their layers in the order in which they run, shortcuts apart.
    mine = [n for n in ours.state_dict() if ".downsample." not in n]
    downs = [n for n in ours.state_dict() if ".downsample." in n]
    assert len(names) == len(mine) and len(shortcuts) == len(downs)
    state = theirs.state_dict()
    ours.load_state_dict({o: state[t] for o, t in zip(mine + downs, names + shortcuts, strict=True)})
    video = torch.randn(1, 2, 3, 112, 112)
    with torch.no_grad():
        expected = theirs.eval()(video[0]).pooler_output.flatten(1)
        torch.testing.assert_close(ours.eval()(video)[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [32, 48, 112])
def test_shapes(size):
    model = small()
    assert model.output_width == 64
    assert model(torch.randn(2, 3, 1, size, size)).shape == (2, 3, 64)


def test_frames_do_not_mix():
    model, video = small().eval(), torch.randn(2, 4, 1, 48, 48)
    with torch.no_grad():
        features = model(video)
        assert torch.equal(model(video, torch.zeros(2, 4, dtype=torch.bool)), features)
        for clip, frame in ((0, 0), (1, 3)):
            alone = model(video[clip : clip + 1, frame : frame + 1])
            torch.testing.assert_close(alone[0, 0], features[clip, frame], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_checkpointing_changes_nothing_but_memory(training):
    plain, saving = small(), small(checkpointing=True)
    saving.load_state_dict(plain.state_dict())
    for model in (plain, saving):
        model.train(training)
    for _ in range(2):
        video = torch.randn(2, 3, 1, 48, 48)
        weight = torch.randn(2, 3, 64)
        videos = [video.clone().requires_grad_() for _ in range(2)]
        for model, input_ in zip((plain, saving), videos, strict=True):
            (model(input_) * weight).sum().backward()
        torch.testing.assert_close(videos[0].grad, videos[1].grad)
        for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, msg=name)
        for (name, a), b in zip(plain.named_buffers(), saving.buffers(), strict=True):
            torch.testing.assert_close(a, b, msg=name)
    assert plain.bn1.num_batches_tracked == (2 if training else 0)


def test_checkpointing_keeps_fewer_activations():
    def kept(model):
        sizes = {}

        def pack(tensor):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = model(torch.randn(1, 8, 1, 48, 48))
        del output
        return sum(sizes.values())

    assert kept(small(checkpointing=True)) < 0.5 * kept(small())


def test_frozen_statistics_are_restored():
    model = small()
    before = copy.deepcopy(model.state_dict())
    buffers = {name: id(b) for name, b in model.named_buffers()}
    with pytest.raises(RuntimeError, match="stop"), frozen_statistics(model):
        model(torch.randn(1, 2, 1, 48, 48))
        raise RuntimeError("stop")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert {name: id(b) for name, b in model.named_buffers()} == buffers


def test_every_parameter_learns():
    model = small()
    (model(torch.randn(2, 2, 1, 48, 48)) * torch.randn(2, 2, 64)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
