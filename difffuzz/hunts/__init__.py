# SPDX-License-Identifier: GPL-2.0-only
"""Hunts of known bugs, by every method: in the models, and put back into the kernel's own code."""
