# SPDX-License-Identifier: GPL-2.0-only
"""Running a program on two sides and judging what they do."""
