"""The page in a real browser: twelve raters at once, and one who reloads, has two windows and loses the network."""

import shutil
import threading
from contextlib import contextmanager

import pytest
from heard_runs import SYSTEMS, make_test, write_drawn_runs, write_runs

from slts.listening.export import write_tables
from slts.listening.server import ListeningServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
]  # fmt: skip
PATIENCE = 60_000
"""Milliseconds; a machine may be busy."""
RATE = """async () => {
  const until = async held => { while (!held()) await new Promise(next => setTimeout(next, 20)); };
  const all = what => [...document.querySelectorAll(what)], title = () => document.querySelector("h1").textContent;
  await until(() => document.querySelector("h1"));
  for (let step = 0; title() !== "Thank you!"; step++) {
    for (const play of all(".player button")) {
      await until(() => !play.disabled);
      play.click();
      await until(() => play.textContent.endsWith("again"));
    }
    const names = new Set(all("input").map(input => input.name));
    [...names].forEach((name, i) => {
      const options = all(`input[name="${name}"]`);
      options[(step + i) % options.length].click();
    });
    const form = document.querySelector("form"), next = document.querySelector("footer button");
    await until(() => !next.disabled);
    next.click();
    next.click();
    await until(() => document.querySelector("form") !== form);
  }
}"""


@contextmanager
def serving(folder, plan):
    server = ListeningServer(("127.0.0.1", 0), folder, plan, lambda rater: None)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


def open_page(browser, address: str, width: int = 1000, height: int = 800):
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.set_default_timeout(PATIENCE)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
    page.goto(address)
    return page


def test_twelve_raters_answer_all_at_once(browser, tmp_path):
    plan = make_test(tmp_path / "test", write_runs(tmp_path / "runs"), "clips=2", "training=1", "check_every=6")
    with serving(tmp_path / "test", plan) as server:
        pages = [open_page(browser, f"http://127.0.0.1:{server.server_port}/{rater.token}") for rater in plan.raters]
        for page in pages:
            page.evaluate(f"void (window.rated = ({RATE})().catch(error => console.error(String(error))))")
        for page in pages:
            page.get_by_role("heading", name="Thank you!").wait_for()
            assert page.faults == []
            assert not [name for name in (*SYSTEMS, "walrus") if name in page.content()]
            page.context.close()
    raters = write_tables(tmp_path / "test", plan)
    assert len(raters) == 12 and all(row["answered"] == row["steps"] for row in raters)
    assert len((tmp_path / "test" / "ratings.csv").read_text().splitlines()) == 1 + 12 * 2 * 3 * 2


def test_a_reload_a_second_window_and_a_network_that_is_away(browser, tmp_path):
    plan = make_test(tmp_path / "test", write_runs(tmp_path / "runs"), "clips=2", "training=0", "check_every=0")
    rater = plan.raters[0]
    with serving(tmp_path / "test", plan) as server:
        address = f"http://127.0.0.1:{server.server_port}/{rater.token}"
        page = open_page(browser, address, 390, 844)
        begin = page.get_by_role("button", name="Begin")
        assert begin.is_disabled()
        page.keyboard.press("Tab")  # by keyboard alone
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Your volume").wait_for()
        page.reload()
        page.get_by_role("heading", name="Your volume").wait_for()
        page.get_by_label("Headphones").check()
        following = page.get_by_role("button", name="Next")
        assert following.is_disabled() and "listen to the end" in page.inner_text("footer")
        page.get_by_role("button", name="Play", exact=True).click()
        page.get_by_role("button", name="Play again").wait_for()
        following.click()
        page.get_by_role("heading", name="Listen", exact=True).wait_for()
        other = open_page(browser, address)
        for window in (page, other):
            window.get_by_role("button", name="Play", exact=True).click()
            window.get_by_role("button", name="Play again").wait_for()
            for question in window.get_by_role("group").all():
                question.get_by_label("Good").check()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        following.click()
        page.get_by_text("4 of 9").wait_for()
        other.get_by_role("button", name="Next").click()  # the same step once more
        other.get_by_text("4 of 9").wait_for()
        page.get_by_role("button", name="Play", exact=True).click()
        page.get_by_role("button", name="Play again").wait_for()
        for question in page.get_by_role("group").all():
            question.get_by_label("Poor").check()
        page.context.set_offline(True)
        following.click()
        page.get_by_text("cannot be reached just now; your answers so far are kept").wait_for()
        page.context.set_offline(False)
        following.click()
        page.get_by_text("5 of 9").wait_for()
        kept = server.answers.rows[rater.name]
        assert sorted(kept) == [0, 1, 2, 3] and kept[3]["answer"] == {"intelligibility": 2, "naturalness": 2}
        assert kept[2]["answer"] == {"intelligibility": 4, "naturalness": 4}
        for window in (page, other):
            window.context.close()


def test_videos_are_seen_and_one_is_chosen(browser, tmp_path):
    runs = write_drawn_runs(tmp_path, "test-random")
    keys = "split=test-random", "clips=1", "training=0", "check_every=0", "raters=1"
    plan = make_test(tmp_path / "test", runs, *keys)
    with serving(tmp_path / "test", plan) as server:
        page = open_page(browser, f"http://127.0.0.1:{server.server_port}/{plan.raters[0].token}", 390, 844)
        page.evaluate(RATE)
        assert page.faults == []
        page.context.close()
    write_tables(tmp_path / "test", plan)
    scores = [line.split(",")[3:5] for line in (tmp_path / "test" / "ratings.csv").read_text().splitlines()[1:]]
    assert len(scores) == 3 * 4 and sum(int(score) for aspect, score in scores if aspect == "preference") == 1
