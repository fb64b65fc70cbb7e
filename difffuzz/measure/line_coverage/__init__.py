# SPDX-License-Identifier: GPL-2.0-only
"""`scripts/coverage`: which lines of the model programs reach, and if the rest is explained."""
