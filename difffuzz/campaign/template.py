# SPDX-License-Identifier: GPL-2.0-only
"""What `campaign init` writes: every setting, its default, and what it means."""

from __future__ import annotations

TEMPLATE = """\
# A campaign of difffuzz.  `difffuzz campaign run DIR` reads this file when it starts.
version = 1

# Worker processes; one a core.
jobs = 2
# What is drawn: another number, other programs.
seed = 1
# Seconds that a run takes; 0: until `campaign stop`, or Ctrl-C.
time = 0.0

# Folders of programs to start from, as seen from here; none: what comes with difffuzz.
corpus = []
# Findings that are known: a file of `findings export --baseline`, as seen from here.
baseline = ""

# Memory of a worker: one that takes more is started again, and its program is a finding.
memory_mb = 4096
# Seconds that a worker stays in its lane at least.
turn = 300.0
# The share of the time that each lane gets, whatever it finds; the rest goes where coverage is new.
least_share = 0.1

# Seconds between two minimisations of the corpus, between two re-tests of all findings; 0: never.
minimize_every = 3600.0
retest_every = 3600.0
# Seconds for shrinking a finding.
shrink_seconds = 60.0

# Lanes: two sides, and how their threads run ("lockstep", "concurrent", "portfolio").
# A patch in the name of a side (tdp+my.patch) is a file as seen from here.
[[lane]]
name = "lockstep"
left = "legacy"
right = "tdp"
mode = "lockstep"

[[lane]]
name = "concurrent"
left = "legacy"
right = "tdp"
mode = "concurrent"

# Searches the schedules of small programs, most of the time.
[[lane]]
name = "exploration"
left = "legacy"
right = "tdp"
mode = "concurrent"
searching = true
"""
