# SPDX-License-Identifier: GPL-2.0-only
"""A campaign on many machines: a hub between the campaign's folder and a crew on each node."""
