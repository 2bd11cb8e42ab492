"""Where the page is served, and the one folder in which all its files lie while it is."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from slts.demo.answers import MB, Bounds, Runs
from slts.demo.examples import draw_examples
from slts.errors import UserError

FONT, MONO = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
"""Of the visitor's machine: the page loads nothing from elsewhere."""


@contextmanager
def served(config, runs: Runs) -> Iterator[str]:
    """The address of the page while it is served, by the keys of conf/demo.yaml; afterwards its files are gone.

    Raises:
        UserError: host and port cannot be listened at.
    """
    bounds = Bounds(config.max_mb, config.max_seconds)
    with (
        TemporaryDirectory(prefix="slts-demo-", ignore_cleanup_errors=True) as place,
        ThreadPoolExecutor(1) as background,
    ):
        folder = Path(place)
        drawn = background.submit(draw_examples, folder)
        os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")  # read where Gradio is imported, and later
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        import gradio as gr

        from slts.demo.page import LOOK, build_page

        page = build_page(runs, bounds, drawn, folder, config.keep_minutes)
        page.queue(max_size=config.queue, default_concurrency_limit=1, api_open=False)
        try:
            _, address, _ = page.launch(
                server_name=config.host, server_port=config.port, max_file_size=config.max_mb * MB,
                share=False, quiet=True, prevent_thread_lock=True, ssr_mode=False, mcp_server=False, run_history=False,
                enable_monitoring=False, allowed_paths=[], footer_links=[], show_error=False, css=LOOK,
                theme=gr.themes.Default(primary_hue="indigo", font=FONT, font_mono=MONO),
            )  # fmt: skip
        except OSError as error:
            raise UserError(
                f"host={config.host} port={config.port or 'null'}: cannot be listened at ({error}); choose others"
            ) from None
        try:
            yield address
        finally:
            page.close(verbose=False)
