# SPDX-License-Identifier: GPL-2.0-only
"""What the project measures and checks of itself: a module or package for each script.

Nothing is imported here: line_coverage starts its measurement before the model is loaded.
"""
