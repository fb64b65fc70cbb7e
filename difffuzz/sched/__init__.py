# SPDX-License-Identifier: GPL-2.0-only
"""Deterministic concurrency: tasks, preemption points, locks with checking, RCU and SRCU."""

from difffuzz.sched.core import Scheduler
from difffuzz.sched.locks import Mutex, RwLock, RwSemaphore, SpinLock
from difffuzz.sched.rcu import Rcu, Srcu
from difffuzz.sched.task import KernelSplat, Task

__all__ = [
    "KernelSplat",
    "Mutex",
    "Rcu",
    "RwLock",
    "RwSemaphore",
    "Scheduler",
    "SpinLock",
    "Srcu",
    "Task",
]
