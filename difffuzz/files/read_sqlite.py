# SPDX-License-Identifier: GPL-2.0-only
"""Opens an SQLite file that others write, so that nothing of it or beside it changes."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def connect_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, for a short time: what it reads is of one moment.

    Text that is no UTF-8 is read with U+FFFD.  sqlite3.Error as from connect().
    """
    # Where there is no log, SQLite would make one to read; but then nobody writes just now.
    log = path.with_name(f"{path.name}-wal")
    how = "readonly_shm=1" if log.is_file() and log.stat().st_size else "immutable=1"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&{how}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection
