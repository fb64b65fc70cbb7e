/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads of a program that is played: who runs, and faults that wait on stacks of their own. */
#ifndef NATIVE_TASK_H
#define NATIVE_TASK_H

#include <stdbool.h>

#define MAIN_TASK 8	/* what no thread of a program does */

extern void task_map_stacks(void);
extern void task_run_as(int number);
extern void task_spawn(int number, void (*body)(int number));
extern void task_resume(int number);
extern void task_leave(void);
extern bool task_parked(int number);

#endif
