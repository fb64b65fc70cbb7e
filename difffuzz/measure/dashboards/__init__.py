# SPDX-License-Identifier: GPL-2.0-only
"""The dashboard in a real browser, over campaigns that are there and over a very large one."""
