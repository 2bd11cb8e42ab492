"""Every notebook of analysis/ runs on a small run of the real commands, with no figures of the committed runs."""

import re

import nbformat
import pytest
from conftest import ROOT, slts
from nbclient import NotebookClient

from slts.reporting.evidence import collect_evidence
from slts.reporting.paired import scored_clips
from slts.reporting.records import write_record

pytestmark = pytest.mark.long

TINY = [
    "experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8",
    "batch_size=4", "steps=2", "validate_every=2", "log_every=2", "validate_clips=2",
]  # fmt: skip
NOTEBOOKS = sorted((ROOT / "analysis").glob("*.ipynb"))


@pytest.fixture(scope="module")
def runs(tiny_corpus, tmp_path_factory):
    runs = tmp_path_factory.mktemp("small") / "runs"
    slts("train", f"data={tiny_corpus}", "name=tiny", f"runs={runs}", *TINY)
    for sync in ("dsm", "none"):
        slts("evaluate", f"run={runs}/tiny", "split=test", "workers=1", "show=1", f"sync={sync}")
    write_record(collect_evidence(runs), runs / "evidence.json")
    of = {
        "corpus": "generated",
        "variant": "paper",
        "experiment": "cpu",
        "steps": [2, 2],
        "heard": "spoken",
        "modalities": "av",
    }
    scored = of | scored_clips(runs / "tiny" / "clips-test.csv")
    write_record(
        [{"seed": 0, "system": name, **scored} for name in ("base", "control", "both")], runs.parent / "a.json"
    )
    return runs


def test_one_notebook_a_table_and_a_figure():
    names = {notebook.stem for notebook in NOTEBOOKS}
    assert {f"table{number}" for number in range(1, 8)} | {
        "figure5", "figure6", "offsets_against_truth", "evidence", "sweeps", "synchronisation", "av2a", "wav2lip",
        "tour", "scaling",
    } == names  # fmt: skip


@pytest.fixture(scope="module")
def kernel(runs, tiny_corpus):
    """One for all notebooks, most of whose time its start would take and what they import."""
    client = NotebookClient(nbformat.v4.new_notebook(), resources={"metadata": {"path": ROOT / "analysis"}})
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLTS_RUNS", str(runs))
        environment.setenv("SLTS_DATA", str(tiny_corpus.parent))
        environment.setenv("SLTS_EVIDENCE", str(runs))
        environment.setenv("SLTS_GRID", "nowhere")
        environment.setenv("SLTS_AV2A", str(runs.parent / "a.json"))
        environment.setenv("SLTS_WAV2LIP", "nowhere")
        environment.setenv("SLTS_TOUR", str(runs / "tiny"))
        environment.delenv("SLTS_RATINGS", raising=False)
        with client.setup_kernel():
            yield client.km


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_executes_on_a_small_run(notebook, kernel):
    content = nbformat.read(notebook, as_version=4)
    content.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))  # no name of the notebook before
    NotebookClient(content, km=kernel, timeout=600).execute()
    shown = "".join(str(output) for cell in content.cells for output in cell.get("outputs", []))
    ours = {
        "figure5": "image/png",
        "offsets_against_truth": "image/png",
        "figure6": "image/jpeg",
        "sweeps": "image/png",
        "synchronisation": "slts, shipped",
        "av2a": "3 scored runs, seeds [0]",
        "wav2lip": "measured again by users",
        "tour": "mended: stoi",
        "scaling": "bottleneck",
    }
    assert ours.get(notebook.stem, "generated, lagged offsets") in shown
    assert "GRID s1" not in shown and "traceback" not in shown


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_is_committed_executed_small_and_without_paths_of_a_machine(notebook):
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    cells = [cell for cell in content.cells if cell.cell_type == "code"]
    assert len(cells) <= 6 and all(cell.execution_count for cell in cells) and any(cell.outputs for cell in cells)
    assert "**Conclusion.**" in content.cells[-1].source
    assert not re.search(r"/(home|root|tmp|work|Users)/", notebook.read_text())
    pictures = [
        data
        for cell in cells
        for output in cell.outputs
        for kind, data in output.get("data", {}).items()
        if kind.startswith("image/")
    ]
    assert all(len(data) < 4 / 3 * 100_000 for data in pictures)
