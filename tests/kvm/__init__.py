# SPDX-License-Identifier: GPL-2.0-only
"""Tests of difffuzz.kvm: bit-exact SPTEs, the TDP iterator, page tracking."""
