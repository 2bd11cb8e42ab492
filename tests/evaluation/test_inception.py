"""FID by an Inception network whose package and weights are the user's: here a stand-in of both."""

import sys
from types import ModuleType

import pytest
import torch

from slts.errors import UserError
from slts.evaluation.judges.inception import FEATURES, Inception


class Brightness(torch.nn.Module):
    """In the place of torch-fidelity's extractor: features that are the picture's mean."""

    def __init__(self, name: str, features: list[str], feature_extractor_weights_path: str):
        super().__init__()
        assert features == [str(FEATURES)] and feature_extractor_weights_path.endswith(".pth")

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor]:
        assert pictures.dtype == torch.uint8 and pictures.shape[1] == 3
        features = torch.zeros(len(pictures), FEATURES)
        features[:, 0] = pictures.float().mean((1, 2, 3))
        return (features,)


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Brightness
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_recorded_and_drawn_pictures_are_compared(package, tmp_path, monkeypatch):
    torch.save({}, tmp_path / "w.pth")
    monkeypatch.setattr("slts.evaluation.judges.inception.frechet_distance", lambda a, b: (b.mean - a.mean)[0] ** 2)
    inception = Inception(str(tmp_path / "w.pth"), torch.device("cpu"))
    for channels in (1, 3):
        recorded = torch.full((40, channels, 8, 8), 10, dtype=torch.uint8)
        inception.add(recorded, recorded + 3)
    assert inception.recorded.count == 80 and inception.fid == pytest.approx(9)


def test_what_is_missing_or_no_weights_is_one_line(package, tmp_path, monkeypatch):
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(UserError, match="no weights of FID's Inception network"):
        Inception(str(tmp_path / "page.pth"), torch.device("cpu"))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(UserError, match="pip install"):
        Inception("w.pth", torch.device("cpu"))
