"""slts demo in a real Chromium: every tab, at a desktop's and a phone's width, what is dropped on it, and its end."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import FORKED, ROOT, run_command

from slts.errors import UserError

pytestmark = pytest.mark.long

gradio = pytest.importorskip("gradio")
playwright = pytest.importorskip("playwright.sync_api")
httpx = pytest.importorskip("httpx")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
TABS = {"Offset": "picture 200 ms late", "Speech": "a silent head", "Dub": "a head and other words"}


@pytest.fixture
def demo(speaking, drawing, tmp_path) -> Iterator[str]:
    """The address of the command while it runs, interrupted afterwards as by Ctrl-C."""
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    temporary, said = tmp_path / "temporary", tmp_path / "said"
    temporary.mkdir()
    words = ["demo", f"speech={speaking}", f"dub={drawing}", "faces=cascade", "max_mb=1", "max_seconds=20"]
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    given = (words, str(ROOT), environment, str(said), str(tmp_path / "err"))
    process = FORKED.Process(target=run_command, args=given, daemon=True)  # a failed test leaves none behind
    process.start()
    while process.is_alive() and not (said.exists() and "Ctrl-C" in said.read_text()):
        time.sleep(0.05)
    assert process.is_alive(), (tmp_path / "err").read_text()
    assert len(list(temporary.glob("slts-demo-*"))) == 1
    yield said.read_text().split()[4].rstrip(";/")
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    assert (tmp_path / "err").read_text() == "slts demo: interrupted\n"
    assert not list(temporary.glob("slts-demo-*"))


def test_every_tab_answers_and_what_is_no_video_is_refused(demo, tmp_path):
    (tmp_path / "junk'; $(x).mp4").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "giant.mp4").write_bytes(bytes(1_100_000))
    _refuses_a_path_in_the_name(demo, tmp_path)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        for width in (1280, 390):
            page, elsewhere = browser.new_page(viewport={"width": width, "height": 844}), []
            page.on("request", lambda r, e=elsewhere: e.append(r.url) if not _here(r.url, demo) else None)
            page.goto(demo)
            for tab, example in TABS.items():
                page.get_by_role("tab", name=tab, exact=True).click()
                panel = page.get_by_role("tabpanel").filter(visible=True)
                panel.get_by_role("button", name=example, exact=True).click()
                answer = panel.locator(".said.FAIL" if tab == "Offset" else ".said.done")
                answer.wait_for(timeout=60_000)
                assert tab != "Offset" or "lags the audio by 2" in answer.inner_text()
                shown = panel.locator("video").last  # the answer's
                page.wait_for_function("film => film.readyState >= 2", arg=shown.element_handle(), timeout=60_000)
                assert page.evaluate("document.documentElement.scrollWidth") == width
            assert elsewhere == []
        _refuses_strange_files(page, tmp_path)
        browser.close()


def _here(address: str, demo: str) -> bool:
    return address.startswith((demo, "data:", "blob:"))


def _refuses_strange_files(page, folder: Path) -> None:
    page.get_by_role("tab", name="Offset", exact=True).click()
    panel = page.get_by_role("tabpanel").filter(visible=True)
    panel.get_by_role("button", name="Clear").click()
    panel.locator("input[type=file]").set_input_files(folder / "giant.mp4")
    page.get_by_text("exceed the maximum allowed size").wait_for(timeout=60_000)
    page.reload()
    panel.locator("input[type=file]").set_input_files(folder / "junk'; $(x).mp4")
    panel.get_by_role("button", name="Clear").wait_for(timeout=60_000)
    panel.get_by_role("button", name="Measure").click()
    refused = panel.locator(".said.refused")
    refused.wait_for(timeout=60_000)
    assert refused.inner_text() == "The video cannot be used: it is no video or sound that can be read."


def _refuses_a_path_in_the_name(demo: str, folder: Path) -> None:
    sent = httpx.post(f"{demo}/gradio_api/upload", files={"files": ("../../../../escaped.mp4", b"x" * 99)})
    place = Path(sent.json()[0]).resolve()
    assert place.is_relative_to(folder / "temporary") and not list(folder.glob("escaped*"))
    assert httpx.get(f"{demo}/gradio_api/file={ROOT}/pyproject.toml").status_code in (403, 404)


def test_addresses_in_place_of_uploads_are_not_fetched():
    from slts.demo.page import _uploads_only

    component = _uploads_only(gradio.Video())
    with pytest.raises(gradio.Error, match="not fetched"):
        component.move_resource_to_block_cache("http://127.0.0.1:9/a.mp4")


def test_a_refusal_says_no_place_of_the_machine():
    from slts.demo.page import refusal

    said = refusal(UserError("video=/tmp/slts-demo-1/a.mp4: no_face: no face"), ("/tmp/slts-demo-1/a.mp4", None))
    assert said == "The video cannot be used: no_face: no face"
