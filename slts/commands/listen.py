"""A listening test of what runs gave: blind, in balanced order, at one loudness, with what was recorded among it.

  slts listen runs=[runs/A,runs/B] clips=10 out=DIR
    makes a test of the sounds (or videos) that slts evaluate left of each run, at least 10 (show=13), and serves it:
    each rater has a link, which may be left and taken up again
  slts listen out=DIR
    goes on with it; with serve=false only makes tables of what was answered

Every answer is on the disk at once, in DIR/answers/. Whenever a rater ends, DIR/ratings.csv is made of them, which
`slts score ratings=DIR/ratings.csv` reads, and DIR/raters.csv with attention checks and remarks. Only this machine is
served unless host= says more, and without encryption, which a proxy in front can add. Keep DIR to yourself: plan.json
tells whose each clip is.
"""

import fcntl
import socket
from pathlib import Path


def main(config) -> None:
    from slts.errors import UserError
    from slts.listening.building import build
    from slts.listening.export import RATINGS, write_tables
    from slts.listening.plan import is_test, load_plan
    from slts.listening.webmushra import write_webmushra

    out = Path(config.out)
    if not is_test(out):
        for note in build(config, out):
            print(note)
    plan = load_plan(out)
    _refuse_another(config, plan, out)
    if config.webmushra:
        print(f"webMUSHRA's config is {write_webmushra(out, plan)}")
    if config.serve:
        with (out / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(f"out={out} is being served by another process; stop that one first") from None
            _serve(config, plan, out)
    raters = write_tables(out, plan)
    done = sum(row["answered"] == row["steps"] for row in raters)
    failed = sum(not row["passed"] for row in raters)
    print(f"{done} of {len(raters)} raters have answered all, {failed} failed an attention check; {out / RATINGS}")


def _refuse_another(config, plan, out: Path) -> None:
    """Raises UserError where a key asks for another test than the one that is there."""
    from slts.errors import UserError
    from slts.listening.building import asked_of
    from slts.schema import conf_dir, documented_keys

    defaults = documented_keys(conf_dir() / "listen.yaml")
    for key, value in asked_of(config).items():
        if value not in (plan.asked.get(key), defaults[key].default):
            was = str(plan.asked.get(key)).replace(" ", "")
            raise UserError(f"out={out} holds a test of {key}={was}; leave {key}= out, or choose another out=")


def _serve(config, plan, out: Path) -> None:
    """Serves until Ctrl-C."""
    from slts.errors import UserError
    from slts.listening.export import write_tables
    from slts.listening.server import ListeningServer

    def finished(rater) -> None:
        write_tables(out, plan)
        print(f"{rater.name} has answered all", flush=True)

    try:
        server = ListeningServer((config.host, config.port), out, plan, finished)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"host={config.host} port={config.port}: {reason}; choose another, port=0 takes a free one"
        ) from None
    host = socket.gethostname() if config.host == "0.0.0.0" else config.host
    with server:
        for rater in plan.raters:
            answered = f"{server.answers.turn(rater)} of {len(rater.steps)}"
            print(f"{rater.name}  http://{host}:{server.server_port}/{rater.token}  {answered} answered")
        print("One link a rater; Ctrl-C ends, and the same command goes on.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
