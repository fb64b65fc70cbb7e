# SPDX-License-Identifier: GPL-2.0-only
"""A differential fuzzer for models of KVM's two x86 MMUs."""

__version__ = "0.1.0"
