"""The documented hyperparameters are those of conf/experiment."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from slts.config import compose

TABLE = Path(__file__).resolve().parent.parent / "analysis" / "hyperparameters.md"
ROWS = [line.strip("|\n").split(" | ") for line in TABLE.open() if line.startswith("| `")]


@pytest.mark.parametrize(
    ("experiment", "column"),
    [("grid4s", 1), ("tcd_timit", 1), *((f"lip2wav_{speaker}", 2) for speaker in ("chem", "chess", "dl", "hs", "eh"))],
)
def test_table_and_config_agree(experiment, column):
    config, _ = compose("train", ["name=x", f"experiment={experiment}"])
    stated = {row[0].strip(" `"): yaml.safe_load(row[column]) for row in ROWS}
    assert len(stated) > 30
    for key, value in stated.items():
        assert OmegaConf.select(config, key) == value, key
    assert config.data in config.corpus_command
