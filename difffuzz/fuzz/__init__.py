# SPDX-License-Identifier: GPL-2.0-only
"""Coverage-guided fuzzing: worker processes, state feedback, corpus, findings.

Nothing is imported here: a worker installs its instrumentation before it loads the model.
"""
