"""Where the workers of a study meet: a database by URL, or a journal file on a shared disk."""

import time
from collections.abc import Callable
from pathlib import Path

import optuna
import sqlalchemy.exc
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from slts.errors import UserError

JOURNAL = "journal:"
SILENT = 4
"""Heartbeats missed after which a worker counts as dead."""
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
        return JournalWithHeartbeat(file, heartbeat, when_stale)
    except OSError as error:
        raise UserError(f"storage={JOURNAL}{file} cannot be written ({error.strerror}); choose another file") from None
    except ValueError:
        raise UserError(f"storage={JOURNAL}{file} is not a journal of Optuna; choose another file") from None


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


class JournalWithHeartbeat(JournalStorage, BaseHeartbeat):
    """A journal in which trials give signs of life, as they do in a database.

    Compares the clocks of machines: they must agree to within a heartbeat or two.
    """

    ALIVE = "alive_at"

    def __init__(self, file: Path, heartbeat: int, when_stale: Callable):
        super().__init__(JournalFileBackend(str(file)))
        self.heartbeat, self.when_stale = heartbeat, when_stale

    def record_heartbeat(self, trial_id: int) -> None:
        self.set_trial_system_attr(trial_id, self.ALIVE, time.time())

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        latest = time.time() - SILENT * self.heartbeat
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        return [t._trial_id for t in running if t.system_attrs.get(self.ALIVE, latest) < latest]

    def get_heartbeat_interval(self) -> int:
        return self.heartbeat

    def get_heartbeat_stale_trial_callback(self) -> Callable:
        return self.when_stale
