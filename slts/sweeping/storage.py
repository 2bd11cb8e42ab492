"""Where the workers of a study meet: a database by URL, or a journal file on a shared disk."""

import time
from collections.abc import Callable
from pathlib import Path

import optuna
import sqlalchemy.exc
from optuna.storages import BaseStorage, RDBStorage

from slts.errors import UserError
from slts.sweeping.journal import SILENT, JournalWithHeartbeat, take_out_cut_records

JOURNAL = "journal:"
TRIES = 5
"""Workers that begin together may all try to make the tables; all but one have to look again."""


def open_storage(address: str, heartbeat: int, when_stale: Callable) -> BaseStorage:
    """The storage at ``address``, made if there is none.

    Args:
        address: ``sqlite:///FILE``, another URL of SQLAlchemy, or ``journal:FILE``.
        heartbeat: seconds between two signs of life of a trial.
        when_stale: called with study and trial when a trial gave none for ``SILENT`` times as long.

    Raises:
        UserError: it cannot be reached or written.
    """
    if address.startswith(JOURNAL):
        return _journal(Path(address.removeprefix(JOURNAL)), heartbeat, when_stale)
    return _database(address, heartbeat, when_stale)


def _journal(file: Path, heartbeat: int, when_stale: Callable) -> BaseStorage:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("ab").close()
        cut = take_out_cut_records(file)
        storage = JournalWithHeartbeat(file, heartbeat, when_stale)
    except OSError as error:
        raise UserError(f"storage={JOURNAL}{file} cannot be written ({error.strerror}); choose another file") from None
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        problem = error if isinstance(error, ValueError) else "it holds a record that this Optuna cannot read"
        raise UserError(
            f"storage={JOURNAL}{file} is not a journal of Optuna, or damaged: {problem}; mend it or choose another file"
        ) from None
    if cut:
        lines = f"line {cut[0]} was" if len(cut) == 1 else f"lines {', '.join(map(str, cut))} were"
        print(f"storage={JOURNAL}{file}: {lines} cut in writing; the study goes on from the whole records")
    return storage


def _database(url: str, heartbeat: int, when_stale: Callable) -> BaseStorage:
    engine = {"pool_pre_ping": True}
    if url.startswith("sqlite:///"):
        engine["connect_args"] = {"timeout": 60}
    for attempt in range(TRIES):
        try:
            if url.startswith("sqlite:///"):
                Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            storage = RDBStorage(
                url,
                engine_kwargs=engine,
                heartbeat_interval=heartbeat,
                grace_period=SILENT * heartbeat,
                heartbeat_stale_trial_callback=when_stale,
            )
            _check_writable(storage)
            return storage
        except (ImportError, sqlalchemy.exc.NoSuchModuleError, sqlalchemy.exc.ArgumentError) as error:
            raise UserError(
                f"storage={_shown(url)}: {_first_line(error)}; give sqlite:///FILE, journal:FILE, or the URL of a"
                " database whose driver is installed (pip install 'psycopg[binary]' for postgresql+psycopg://)"
            ) from None
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, RuntimeError) as error:
            problem = error
            if "already exists" not in str(error) and not isinstance(error, sqlalchemy.exc.IntegrityError):
                break
        time.sleep(0.2 * 2**attempt)
    raise UserError(
        f"storage={_shown(url)} cannot be reached or written ({_first_line(problem)}); mend the address, its access"
        " or the server, or choose sqlite:///FILE or journal:FILE"
    ) from None


def _check_writable(storage: RDBStorage) -> None:
    """Writes and takes back, since a database that may only be read opens well."""
    with storage.engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT schema_version FROM version_info").scalar()
        connection.exec_driver_sql(f"UPDATE version_info SET schema_version = {int(version)}")
        connection.rollback()


def _shown(url: str) -> str:
    """The URL without its password."""
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error.__cause__ or error
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
