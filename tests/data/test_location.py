"""Only what the user typed is run or asked, and what lets others in is shown to nobody."""

import pytest
from conftest import slts
from omegaconf import OmegaConf

from slts.config import compose
from slts.data.location import Address, recorded_data, typed_data, without_secrets
from slts.errors import UserError
from slts.sweeping.space import override

pytestmark = pytest.mark.long

TINY = [
    "experiment=cpu", "name=r", "batch_size=4", "chunk_seconds=0.8", "validate_every=2", "validate_clips=2",
    "task.radius=10", "model.image_size=32", "cache_gb=0",
]  # fmt: skip
SECRET = "hunter2"


def test_an_address_is_made_of_what_was_typed_and_of_nothing_else(tmp_path):
    config, _ = compose("train", [override("data", "pipe:cat {name}"), "name=x"])
    assert typed_data(config) == Address(config)
    OmegaConf.save(config, tmp_path / "config.yaml")
    with pytest.raises(TypeError):
        typed_data(OmegaConf.load(tmp_path / "config.yaml"))
    for text in ("pipe:cat {name}", "https://host/folder"):
        with pytest.raises(UserError, match=r"run=r: .*taken from no file; give data="):
            recorded_data(text, "run=r")


@pytest.fixture(scope="module")
def trained(tiny_corpus, tmp_path_factory):
    """A run on a command that holds a secret, tracked by W&B, stopped and continued; what its commands said."""
    runs = tmp_path_factory.mktemp("runs")
    data = override("data", f"pipe:env TOKEN={SECRET} cat {tiny_corpus}/{{name}}")
    words = [data, *TINY, f"runs={runs}", "tracking=wandb", "tracking.mode=offline"]
    environment = {"SLTS_CACHE": str(runs / "cache"), "WANDB_MODE": "offline"}
    first = slts("train", *words, "steps=4", **environment)
    again = slts("train", *words, "steps=4", **environment)
    return runs / "r", first, again


def test_secrets_of_data_are_in_no_file_and_the_run_goes_on(trained):
    run, first, again = trained
    assert "is trained: step 4" in again.stdout
    assert "TOKEN=***" in (run / "config.yaml").read_text()
    held = [file for file in run.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert not held and list(run.glob("wandb/offline-run-*/*.wandb"))
    assert SECRET not in first.stdout + first.stderr + again.stdout + again.stderr


@pytest.mark.parametrize("secret", [f"pipe:env TOKEN={SECRET} false {{name}}", f"http://me:{SECRET}@127.0.0.1:1/a"])
def test_secrets_of_data_are_in_no_message(tmp_path, secret):
    words = [override("data", secret), "name=x", f"runs={tmp_path}"]
    for extra in ([], ["nosuch=1"]):
        done = slts("train", *words, *extra, check=False, SLTS_CACHE=str(tmp_path / "cache"))
        assert done.returncode == 2 and SECRET not in done.stdout + done.stderr


def test_a_command_in_the_config_of_a_run_is_not_run(trained, tiny_corpus, tmp_path):
    run, _, _ = trained
    canary = tmp_path / "canary"
    config = OmegaConf.load(run / "config.yaml")
    config.data, config.tracking.name = f"pipe:touch {canary} {{name}}", "none"
    OmegaConf.save(config, run / "config.yaml")
    out = tmp_path / "offsets.csv"
    (tmp_path / "a.mp4").touch()
    refused = slts("offsets", f"run={run}", f"data={tmp_path}", "calibrate=true", f"out={out}", check=False)
    assert refused.returncode == 2 and "taken from no file; give data=" in refused.stderr
    refused = slts("evaluate", f"run={run}", "calibrate=true", check=False)
    assert refused.returncode == 2 and "taken from no file; give data=" in refused.stderr
    slts("offsets", f"run={run}", f"data={tiny_corpus}", "calibrate=true", f"out={out}", check=False)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pw@host:80/a?token=abc&b={name}", "http://***@host:80/a?token=***&b={name}"),
        ("http://me:p/w@host/a", "http://***@host/a"),
        ("https://host/a?signature", "https://host/a?***"),
        ("https://host/a@b/c", "https://host/a@b/c"),
        ("pipe:curl -H 'Authorization: Bearer abc' -u me:pw x/{name}",
         "pipe:curl -H 'Authorization: ***' -u *** x/{name}"),
        ("pipe:aws s3 cp s3://bucket/grid/{name} -", "pipe:aws s3 cp s3://bucket/grid/{name} -"),
        ("data/a?b=c", "data/a?b=c"),
    ],
)  # fmt: skip
def test_what_is_shown_of_an_address(text, shown):
    assert without_secrets(text) == shown == without_secrets(shown)
