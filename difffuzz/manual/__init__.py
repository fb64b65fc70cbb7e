# SPDX-License-Identifier: GPL-2.0-only
"""The reference pages of the manual, made from the code when the site is built.

A page is a function without arguments that returns Markdown as MyST reads it; `pages.py` has the
table of them.  What a page says is taken from where the code has it: tables, docstrings, types.
"""
