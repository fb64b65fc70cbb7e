# SPDX-License-Identifier: GPL-2.0-only
"""Reads many mutated programs and patches, by Hypothesis, where only a temporary folder is open.

Each one is read or refused with one line, within two seconds of processor time.  Whatever else
happens ends the run with status 1, and Hypothesis shows the smallest text that does it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import difffuzz
from difffuzz.script import end, note
from difffuzz.variants.landlock import ALL, EXECUTE, READS, WRITE_FILE, restrict

from .edits import EDITS, MOST, WORDS
from .readers import Reader, answer, readers

SECONDS: Final = 2.0
"""Processor time in which a text is read or refused."""
AT_ONCE: Final = 2000
"""Examples of one call of Hypothesis."""
ROOT: Final = Path(difffuzz.__file__).parent.parent

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(EDITS),
        st.integers(0, (1 << 32) - 1),
        st.sampled_from(WORDS) | st.binary(max_size=8),
    ),
    min_size=1,
    max_size=20,
)


class Slow(BaseException):
    """A text takes too long."""


@contextmanager
def processor_time(seconds: float) -> Iterator[None]:
    """Raises Slow in the body after so much time of the processor, however busy the machine is."""

    def over(number: int, frame: FrameType | None) -> None:
        raise Slow(f"not over after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Mutations:
    """What was read so far.  `answers`: how often files of each kind were read, and refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.readers = readers(folder, ROOT / "corpus", ROOT / "difffuzz" / "variants" / "bugs")
        self.count = 0
        self.answers: Counter[tuple[str, bool]] = Counter()

    def run(self, examples: int, number: int) -> None:
        """Makes examples, each of a text and edits; the text is read after each edit."""

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.sampled_from(self.readers), st.integers(0, 1 << 16), CHANGES)
        def one(reader: Reader, which: int, changes: list[tuple[object, int, bytes]]) -> None:
            data = reader.texts[which % len(reader.texts)]
            for edit, at, word in changes:
                assert callable(edit)
                data = edit(data, at, word)
                try:
                    self._read(reader, data)
                except BaseException as error:
                    error.add_note(f"{reader.name}: {data[:2000]!r}")
                    raise
                if len(data) > MOST:
                    break

        one()

    def _read(self, reader: Reader, data: bytes) -> None:
        path = self.folder / reader.name
        path.write_bytes(data)
        with processor_time(SECONDS):
            refused = answer(reader, path)
        self.count += 1
        self.answers[path.suffix, bool(refused)] += 1


def jail(folder: Path) -> bool:
    """From here on only `folder` may be written, and only it and what is installed be read.

    False if the kernel has no Landlock.
    """
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    places = {Path(sys.prefix), Path(sys.base_prefix), ROOT, *map(Path, ("/usr", "/lib", "/bin"))}
    rules = [(place, READS | EXECUTE) for place in sorted(places) if place.exists()]
    loader = [Path("/lib64"), Path("/etc/ld.so.cache")]
    rules += [(place, READS | EXECUTE) for place in loader if place.exists()]
    rules += [(Path(os.devnull), READS | WRITE_FILE), (folder, ALL)]
    return restrict(ALL, rules)


def main() -> int:
    """The script."""
    parser = argparse.ArgumentParser("scripts/hostile", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="mutated texts to read")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="difffuzz-hostile-") as temporary:
        # The parent stays outside: it takes the folder away.
        work = (Path(temporary), arguments.count, arguments.seed)
        child = multiprocessing.get_context("fork").Process(target=read_in_jail, args=work)
        child.start()
        child.join()
    return 1 if child.exitcode else 0


def read_in_jail(folder: Path, count: int, number: int) -> None:
    """Reads `count` texts; `number` is the first seed.  Prints how many were read and refused."""
    mutations = Mutations(folder)
    if not jail(folder):
        note("this kernel has no Landlock: what is written elsewhere is not noticed")
    begin = time.monotonic()
    while mutations.count < count:
        mutations.run(AT_ONCE, number)
        number += 1
        rate = mutations.count / (time.monotonic() - begin)
        note(f"{mutations.count} texts, {rate:.0f} a second")
    for (suffix, refused), times in sorted(mutations.answers.items()):
        print(f"{suffix}: {times} {'refused with one line' if refused else 'read'}", flush=True)


if __name__ == "__main__":
    end("hostile", main)
