# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of findings: a store of them, their states and history, and a baseline."""
