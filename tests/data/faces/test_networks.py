"""MTCNN and S3FD: the parts that are ours, agreement with the cascade, and what is refused at the start."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from drawn_faces import scene
from hypothesis import given, settings
from hypothesis import strategies as st

from slts.data import media
from slts.data.faces import FaceCrop, crop, detect, mtcnn, s3fd
from slts.data.faces.boxes import overlap, suppress
from slts.errors import UserError

has_mtcnn = pytest.mark.skipif(find_spec("facenet_pytorch") is None, reason=mtcnn.INSTALL)

CONVOLUTIONS = {
    **{f"conv1_{i}": (64, 3 if i == 1 else 64, 3) for i in (1, 2)},
    **{f"conv2_{i}": (128, 64 if i == 1 else 128, 3) for i in (1, 2)},
    **{f"conv3_{i}": (256, 128 if i == 1 else 256, 3) for i in (1, 2, 3)},
    **{f"conv4_{i}": (512, 256 if i == 1 else 512, 3) for i in (1, 2, 3)},
    **{f"conv5_{i}": (512, 512, 3) for i in (1, 2, 3)},
    "fc6": (1024, 512, 3),
    "fc7": (1024, 1024, 1),
    "conv6_1": (256, 1024, 1),
    "conv6_2": (512, 256, 3),
    "conv7_1": (128, 512, 1),
    "conv7_2": (256, 128, 3),
    "conv3_3_norm_mbox_conf": (4, 256, 3),
    "conv3_3_norm_mbox_loc": (4, 256, 3),
    "conv4_3_norm_mbox_conf": (2, 512, 3),
    "conv4_3_norm_mbox_loc": (4, 512, 3),
    "conv5_3_norm_mbox_conf": (2, 512, 3),
    "conv5_3_norm_mbox_loc": (4, 512, 3),
    "fc7_mbox_conf": (2, 1024, 3),
    "fc7_mbox_loc": (4, 1024, 3),
    "conv6_2_mbox_conf": (2, 512, 3),
    "conv6_2_mbox_loc": (4, 512, 3),
    "conv7_2_mbox_conf": (2, 256, 3),
    "conv7_2_mbox_loc": (4, 256, 3),
}
"""Names and shapes (out, in, kernel) in the published file."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with the names of the published one, all zero but for the biases that make fc7's map see faces."""
    state = {}
    for name, (out, width, kernel) in CONVOLUTIONS.items():
        state[f"{name}.weight"] = torch.zeros(out, width, kernel, kernel)
        state[f"{name}.bias"] = torch.zeros(out)
    for name, channels in (("conv3_3_norm", 256), ("conv4_3_norm", 512), ("conv5_3_norm", 512)):
        state[f"{name}.weight"] = torch.ones(channels)
    for name in CONVOLUTIONS:
        if name.endswith("conf"):
            state[f"{name}.bias"][0] = 9.0
    state["fc7_mbox_conf.bias"] = torch.tensor([-9.0, 9.0])
    path = tmp_path_factory.mktemp("weights") / s3fd.FILE
    torch.save(state, path, _use_new_zipfile_serialization=False)  # the format of the published file
    return path


def test_overlap_by_hand():
    a = np.float32([[0, 0, 10, 10], [20, 20, 30, 30]])
    assert overlap(a, np.float32([[0, 5, 10, 15]])).tolist() == [[1 / 3], [0.0]]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1)), max_size=12), st.floats(0, 0.9))
@settings(max_examples=50, deadline=None)
def test_suppression_keeps_the_best_of_what_overlaps(drawn, limit):
    boxes = np.float32([[x, y, x + 10, y + 10] for x, y, _ in drawn]).reshape(-1, 4)
    scores = np.array([score for *_, score in drawn])
    kept = suppress(boxes, scores, limit)
    assert (np.diff(scores[kept]) <= 0).all()
    same = overlap(boxes, boxes) > limit
    assert not (same[np.ix_(kept, kept)] & ~np.eye(len(kept), dtype=bool)).any()
    for gone in set(range(len(boxes))) - set(kept.tolist()):
        assert (scores[kept[same[gone, kept]]] >= scores[gone]).any()


def test_s3fd_boxes_by_hand():
    """Stride 8: anchors of 32 centred at 4 + 8 i. A shift of 10 is one anchor, 5 ln 2 doubles a side."""
    logits = torch.zeros(2, 3, 5)
    logits[1] -= 5
    logits[1, 2, 1] = 3.0
    shifts = torch.zeros(4, 3, 5)
    shifts[:, 2, 1] = torch.tensor([10.0, -5.0, 5 * np.log(2), 0.0])
    boxes, scores = s3fd.boxes_of(logits, shifts, 8)
    # centre (12, 20) + (32, -16) = (44, 4), sides 64 and 32
    np.testing.assert_allclose(boxes, [[12, -12, 76, 20]], atol=1e-4)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-3))], atol=1e-6)


def test_s3fd_takes_the_published_names_and_finds_where_its_map_says(weights):
    network = s3fd.read_network(weights)
    with torch.inference_mode():
        maps = network(torch.zeros(1, 3, 256, 384))
    assert [tuple(logits.shape[1:]) for logits, _ in maps] == [
        (2, 64, 96),
        (2, 32, 48),
        (2, 16, 24),
        (2, 12, 16),  # fc6 pads by 3 with a kernel of 3: 8 + 4, 12 + 4
        (2, 6, 8),
        (2, 3, 4),
    ]
    found = s3fd.load(str(weights))(np.zeros((2, 128, 128, 3), np.uint8), 20)
    assert len(found) == 2 and np.array_equal(found[0], found[1])
    # anchors of 128 at 16 + 32 i, of which those that overlap by more than .3 are one face
    assert np.array_equal(found[0][0], [-48, -48, 80, 80])
    assert ((found[0][:, 2:] - found[0][:, :2]) == 128).all()
    assert s3fd.load(str(weights))(np.zeros((1, 128, 128, 3), np.uint8), 200)[0].shape == (0, 4)


def test_s3fd_sees_the_likeliest_of_three_backgrounds():
    torch.manual_seed(0)
    network = s3fd.S3FD().eval()
    kept = {}
    network.conv3_3_norm_mbox_conf.register_forward_hook(lambda _, __, out: kept.update(out=out))
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, 64, 64))[0][0]
    assert torch.equal(logits[0, 0], kept["out"][0, :3].amax(0)) and torch.equal(logits[0, 1], kept["out"][0, 3])


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "content", [None, b"", b"\x80\x04cos\nsystem\n(S'echo x'\ntR.", b"<html>not found</html>", "other"]
)
def test_s3fd_refuses_other_files(tmp_path, content):
    path = tmp_path / "w.pth"
    if content == "other":
        torch.save({"conv1_1.weight": torch.zeros(3)}, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="s3fd_weights") as caught:
        FaceCrop("s3fd", s3fd_weights=str(path)).detector()
    assert str(path) in str(caught.value) and s3fd.URL in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_package_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(mtcnn, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps facenet-pytorch=="):
        mtcnn.load()


@has_mtcnn
def test_importing_mtcnn_leaves_no_stand_in_behind():
    code = (
        "import sys; from slts.data.faces import FaceCrop; FaceCrop('mtcnn').detector();"
        "print([name for name in sys.modules if name.startswith('torchvision')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@has_mtcnn
def test_mtcnn_on_pictures_without_faces_and_too_small_ones():
    detector = FaceCrop("mtcnn").detector()
    noise = np.random.default_rng(0).integers(0, 255, (3, 120, 160, 3), dtype=np.uint8)
    assert [len(boxes) for boxes in detector(noise, 24)] == [0, 0, 0]
    assert [len(boxes) for boxes in detector(noise[:, :16, :16], 20)] == [0, 0, 0]


@has_mtcnn
@pytest.mark.parametrize("region", ["face", "mouth"])
def test_mtcnn_crops_what_the_cascade_crops(region):
    frames = np.stack([scene([(150 + i, 110, 50)]) for i in range(20)])
    squares = [np.array(crop(frames, 25, FaceCrop(name, region))[1]["square"]) for name in ("cascade", "mtcnn")]
    middles = [square[:2] + square[2] / 2 for square in squares]
    assert np.abs(middles[0] - middles[1]).max() < 12
    assert 0.75 < squares[0][2] / squares[1][2] < 1.33


@has_mtcnn
@pytest.mark.parametrize("speaker", ["s1", "s26", "s31"])
def test_mtcnn_and_the_cascade_agree_on_real_clips(grid, speaker):
    frames = media.read_picture(sorted((grid / speaker).glob("*.mpg"))[3]).frames
    both = [np.nanmedian(detect(frames, 25, FaceCrop(name))[1], axis=0) for name in ("cascade", "mtcnn")]
    assert overlap(both[0][None], both[1][None])[0, 0] > 0.5
    squares = [np.array(crop(frames, 25, FaceCrop(name, "mouth"))[1]["square"]) for name in ("cascade", "mtcnn")]
    assert overlap(*(np.r_[s[:2], s[:2] + s[2]][None] for s in squares))[0, 0] > 0.6
