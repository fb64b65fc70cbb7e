# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU that is none: a script that speaks the agent's protocol, and fails where it is told to."""

from __future__ import annotations

import sys
from pathlib import Path

from difffuzz.booted.boot import Wish
from difffuzz.booted.kernel import own
from difffuzz.booted.qemu import Qemu

from .test_parts import bzimage

SCRIPT = """#!{python}
import os, signal, socket, sys
sys.path.insert(0, {root!r})
from difffuzz.booted import protocol
from difffuzz.booted.protocol import Observation, FrameHead, Operation
from difffuzz.booted.wire import Wire, packed
from ctypes import sizeof

count = {folder!r} + "/boots"
boots = 1 + (int(open(count).read()) if os.path.exists(count) else 0)
open(count, "w").write(str(boots))
[word] = [word for word in sys.argv if word.startswith("socket,")]
port = socket.socket(socket.AF_UNIX)
port.connect(word.partition("path=")[2])

def end(line, status=0):
    print(line, flush=True)
    os._exit(status)

def ask(frame):
    {ask}

vms = 1

def begin(frame):
    global vms
    vms = 1 + protocol.VmConfig.from_buffer_copy(frame.payload).together

def end_vm(frame):
    return bytes(4)

def ops(frame):
    n = len(frame.payload) // sizeof(Operation)
    told = bytes(Observation(result=protocol.RESULTS.index("ok"))) * n * vms
    return n.to_bytes(4, "little") + told + bytes(8)

port.sendall(packed(protocol.READY, 0, b"6.1.0-test"))
wire = Wire(port, lambda: None)
while True:
    frame = wire.receive(30)
    ask(frame)
    answers = {{protocol.BEGIN: begin, protocol.OPS_FRAME: ops, protocol.END: end_vm}}
    answer = answers.get(frame.kind, lambda frame: b'')
    port.sendall(packed(frame.kind, frame.sequence, answer(frame) or b""))
"""


def guest(folder: Path, ask: str) -> Wish:
    """A kernel whose agent does `ask` with each frame before it answers; `boots` counts from 1."""
    image, program = folder / "vmlinuz", folder / "qemu"
    image.write_bytes(bzimage("6.1.0"))
    root = str(Path(__file__).resolve().parents[2])
    text = SCRIPT.format(python=sys.executable, root=root, folder=str(folder), ask=ask)
    program.write_text(text)
    program.chmod(0o755)
    return Wish(own(image, None), Qemu(str(program), (10, 0, 0)))
