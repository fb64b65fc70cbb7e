# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a kernel: a QEMU process with the agent in it."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, NamedTuple

from difffuzz.errors import MissingTool, unwritable
from difffuzz.native.cache import Cache
from difffuzz.native.run import environment

from . import protocol
from .agent import agent
from .initramfs import archive
from .kernel import Kernel
from .modules import GROUPS, Closure
from .qemu import MEGABYTES, Qemu, command
from .wire import Broken, Wire

BOOT_SECONDS = 90.0
"""Until the agent is there."""
QEMU_SECONDS = 20.0
"""Until QEMU is there."""
ANSWER_SECONDS = 120.0
CONSOLE_LINES = 4000


class Wish(NamedTuple):
    """What to boot, and how."""

    kernel: Kernel
    qemu: Qemu
    accelerator: str = "tcg"
    megabytes: int = MEGABYTES
    """Of memory."""


class Refused(Exception):
    """The agent answered with an error, one line: that is an answer, and it goes on."""


class Boot:
    """A running kernel.  Broken from any method: it is gone; `console` has what it said last."""

    def __init__(self, wish: Wish, cache: Cache) -> None:
        self.wish = wish
        self.console: list[str] = []
        self._sequence = 0
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="difffuzz-"))
        except OSError as error:
            raise unwritable(Path(tempfile.gettempdir()), error) from None
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        began = time.monotonic()
        try:
            self.release = self._start(cache)
        except BaseException:
            self.kill()
            raise
        self.seconds = time.monotonic() - began

    def _start(self, cache: Cache) -> str:
        initrd = self._folder / "initrd"
        try:
            initrd.write_bytes(_initramfs(self.wish.kernel, agent(cache)))
        except OSError as error:
            raise unwritable(initrd, error) from None
        port = self._folder / "port"
        listener = socket.socket(socket.AF_UNIX)
        with listener:
            listener.bind(str(port))
            listener.listen(1)
            listener.settimeout(0.2)
            wish = self.wish
            argv = command(
                wish.qemu,
                wish.accelerator,
                wish.kernel.number,
                wish.kernel.image,
                initrd,
                port,
                wish.megabytes,
            )
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
            assert self._process.stdout is not None
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
            connection = self._accepted(listener)
        self._wire = Wire(connection, self._alive)
        ready = self._wire.receive(BOOT_SECONDS)
        if ready.kind != protocol.READY:
            raise Broken("the agent does not begin as it should")
        return ready.payload.decode("ascii", "replace")

    def _accepted(self, listener: socket.socket) -> socket.socket:
        """QEMU's end of the port."""
        end = time.monotonic() + QEMU_SECONDS
        while time.monotonic() < end:
            try:
                return listener.accept()[0]
            except TimeoutError:
                self._alive()
        raise Broken("QEMU does not come up")

    def _listen(self, stdout: IO[bytes]) -> None:
        with stdout:
            for raw in stdout:
                self.console.append(raw.decode("utf-8", "replace").rstrip())
                del self.console[:-CONSOLE_LINES]

    def _alive(self) -> None:
        """Broken if QEMU is over."""
        process = self._process
        if process is None:
            raise Broken("the boot is over")
        status = process.poll()
        if status is None:
            return
        time.sleep(0.1)  # the last lines of its console
        told = self.told()
        if status < 0:
            raise Broken(f"QEMU was killed by signal {-status}")
        if status:
            raise Broken(f"QEMU ended with status {status}: {told}")
        raise Broken(f"the kernel stopped: {told}" if told else "the kernel stopped")

    def told(self) -> str:
        """The line of the console that says most of why it ended."""
        for sign in ("BUG:", "Oops", "Kernel panic", "general protection", "agent:", "qemu"):
            for line in self.console:
                if sign in line:
                    return line.strip()[:200]
        return self.console[-1].strip()[:200] if self.console else ""

    def ask(self, kind: int, payload: bytes = b"", seconds: float = ANSWER_SECONDS) -> bytes:
        """The answer to a frame.  Refused, Broken."""
        if self._wire is None:
            raise Broken("the boot is over")
        self._sequence += 1
        self._wire.send(kind, self._sequence, payload)
        answer = self._wire.receive(seconds)
        if answer.sequence != self._sequence:
            raise Broken("an answer to another question")
        if answer.kind == protocol.ERROR:
            raise Refused(answer.payload.decode("utf-8", "replace"))
        return answer.payload

    @property
    def pid(self) -> int:
        """Of QEMU."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Ends it, however it is, and leaves nothing behind."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """A guest that hangs would go on for ever after a parent that was killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _initramfs(kernel: Kernel, binary: Path) -> bytes:
    """The agent, the modules, and the lists of which to load in which order."""
    closure = Closure(kernel.modules)
    lists = {name: closure.ordered(wanted) for name, wanted in GROUPS.items()}
    try:
        files = {"init": binary.read_bytes()}
    except OSError as error:
        raise MissingTool(f"{binary}: {error.strerror}", f"rm -f {binary}") from None
    for name, order in lists.items():
        text = "".join(f"/modules/{file}\n" for file in order)
        files[f"modules/{name}.list"] = text.encode()
    files |= {f"modules/{file}": data for file, data in closure.contents.items()}
    return archive(files)
