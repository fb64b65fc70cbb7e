/* SPDX-License-Identifier: GPL-2.0-only */
/* Who goes on when the threads of a program run at once: difffuzz/sched/interleave.py in C. */
#ifndef NATIVE_INTERLEAVE_H
#define NATIVE_INTERLEAVE_H

#include <stdbool.h>

#include "../bridge.h"
#include "native_machine.h"

/* To a strategy the store buffer of thread n is one more thread, FIRST_BUFFER + n. */
#define FIRST_BUFFER NR_THREADS
#define MOST_ENABLED (NATIVE_TASKS + NR_THREADS)

/* What a task of the host can wait for, besides enum native_wait. */
enum { WAIT_HOST_READ = 64, WAIT_HOST_WRITE };

extern bool inter_on(void);
extern void inter_begin(long limit, bool delays);
extern void inter_run(int nr, const int *numbers, void (*body)(int number));
extern void inter_new_operation(void);
extern long inter_decide(const void *what, enum native_point_kind kind);
extern void inter_wait(long kind, const void *object);
extern void inter_relax(void);
extern void inter_fence(void);
extern void inter_drain(void);
extern long inter_releases(void);
extern bool inter_store_waits(void *at, unsigned long bytes, unsigned long value);
extern long inter_steps(void);
extern long inter_switches(void);

/* strategy.c */
struct config;
struct decision;
struct native_choice;

extern unsigned long strategy_draw(unsigned long below);
extern void strategy_begin(const struct decision *schedule, const struct config *config);
extern bool strategy_is_due(void);
extern bool strategy_surveys(void);
extern void strategy_note(int chosen, unsigned long able);
extern long strategy_next_step(void);
extern void strategy_record(int number);
extern int strategy_preempt(int current, const int *enabled, int nr);
extern int strategy_pick(int current, const int *enabled, int nr);
extern long strategy_switches(const struct decision **out);
extern long strategy_choices(const struct native_choice **out);

/* delays.c */
extern void delays_begin(void);
extern int delays_draw(int current, const int *enabled, int nr);

/* pos.c */
extern void pos_begin(void);
extern void pos_came_to(int thread, const void *what, bool write);
extern int pos_choose(const int *enabled, int nr);

#endif
