# SPDX-License-Identifier: GPL-2.0-only
"""Programs in the forms that others work with: text, JSON, a pytest, C, a KVM selftest."""

from __future__ import annotations
