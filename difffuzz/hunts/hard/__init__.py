# SPDX-License-Identifier: GPL-2.0-only
"""`scripts/bench-feedback`: executions of the fuzzer, and of its generator, until bugs show."""
