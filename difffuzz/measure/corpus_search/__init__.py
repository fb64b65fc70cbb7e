# SPDX-License-Identifier: GPL-2.0-only
"""`scripts/explore`: searches of every concurrent program of the corpus and the catalogue."""
