/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads of a program that is played: who runs, and the stacks of those that can be left. */
#ifndef NATIVE_TASK_H
#define NATIVE_TASK_H

#include <stdbool.h>

extern void task_map_stacks(void);
extern void task_run_as(int number);
extern void task_prepare(int number, void (*body)(int number));
extern void task_switch(int number);
extern bool task_alive(int number);
extern int task_running(void);

#endif
