# SPDX-License-Identifier: GPL-2.0-only
"""The CS programs of SCTBench, restated as tasks of our scheduler, and strategies compared on them.

SCTBench (Thomson, Donaldson and Betts, PPoPP 2014) is github.com/mc-imperial/sctbench; the four
programs that it has in one size only are in other sizes, too, as github.com/wcventure/PERIOD has
them.  What the programs do is restated; threads that the originals make one after the other are
there from the start, and who makes them does nothing.
"""
