# SPDX-License-Identifier: GPL-2.0-only
"""What a smoke test tells those who run it for others: JUnit XML and SARIF."""
