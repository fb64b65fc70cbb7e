/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the agent share: pid 1 of a kernel that was booted to run programs. */
#ifndef AGENT_H
#define AGENT_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kvm.h>
#include "protocol.h"	/* written by difffuzz/booted/agent.py */

#define PG 4096ul
#define HUGE_PG (512 * PG)
#define AREA_SIZE (AREA_PAGES * PG)
#define AREA(area, page) ((((area) + 1ul) << 40) + (page) * PG)	/* the hva of a page */

/* frame.c: frames in and out. */
struct frame {
	uint32_t magic;
	uint16_t version, kind;
	uint32_t sequence, length, crc;	/* crc: of the header with crc 0, and what follows */
};

struct out {	/* what an answer is made of */
	char *bytes;
	size_t size, room;
};

void put(struct out *out, const void *bytes, size_t size);
void put_u32(struct out *out, uint32_t value);
int port_open(void);
/* The payload of the next frame, which stays until the next call.  NULL: the port is closed. */
char *frame_read(struct frame *frame);
void frame_write(uint16_t kind, uint32_t sequence, const void *payload, size_t size);

/* An error that a frame is answered with; `why` of the last one. */
extern char why[256];
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* modules.c */
int load_group(const char *name);
int load_kvm(const char *parameters);
int unload_kvm(void);
int read_text(const char *path, char *to, size_t room);
int write_text(const char *path, const char *text);
int set_param(const char *name, const char *value);
extern int kvm_fd;

/* stats.c: where the values of names are. */
#define NR_STATS (sizeof(((struct observation *)0)->stats) / sizeof(uint64_t))
struct reader {
	int fd;
	int64_t at[NR_STATS];	/* -1: nowhere */
};

/* vm.c */
struct slot {
	int used, flags;
	uint64_t gfn, pages, hva;
};

enum { LOAD, STORE, FETCH };
extern struct vm {	/* of a program: one, or one with each MMU on the same memory */
	int tdp, fd, nr_vcpus, vcpu_fds[MAX_VCPUS], in_smm[MAX_VCPUS];
	struct slot slots[2][MAX_SLOTS];
	struct kvm_run *runs[MAX_VCPUS];
	struct reader stats, vcpu_stats[MAX_VCPUS];
} vms[MAX_VMS];
extern int nr_vms;
extern struct config config;
int vms_begin(void);
void vms_end(void);
int vcpu_add(struct vm *vm);
int set_slot(struct vm *vm, int as, int id, struct slot slot);
struct slot *slot_at(struct vm *vm, int as, uint64_t gfn);

/* guest.c */
struct seen {		/* what an operation showed */
	struct observation told;
	uint64_t *words;	/* a dirty log: pairs of an index and a word */
	char note[120];		/* why it was left out or done in another way */
};
void guest_map(void);
void guest_unmap(void);
int guest_setup(struct vm *vm, int vcpu);
void guest_drop(struct vm *vm);
int guest_slots(struct vm *vm);
void guest_access(struct vm *vm, int vcpu, int access, uint64_t gfn, int tag, struct seen *seen);
void guest_prefault(struct vm *vm, int vcpu, uint64_t gfn, uint64_t n, struct seen *seen);

/* host.c: operations of the host. */
void host_op(int kind, const uint64_t *args, int tag, struct seen *seen);
int areas_make(void);
void areas_drop(void);
int area_whole(int area);
int host_get(uint64_t hva, void *to, size_t size);
void note(struct seen *seen, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* pages.c */
uint64_t number_at(const char *path, uint64_t index);
uint64_t pagemap(uint64_t hva);
int page_present(uint64_t hva);
int page_flag(uint64_t hva, int flag);
int in_thp(uint64_t hva);
int in_mapped_thp(uint64_t hva);

/* uffd.c */
void uffd_op(uint64_t hva, uint64_t pages, int what, int tag, struct seen *seen);
void uffd_end(void);

/* ioctls.c: operations of the VMM. */
void vmm_op(struct vm *vm, int kind, int vcpu, const uint64_t *args, struct seen *seen);

/* park.c: faults of a vCPU, of all VMs at once; `seen` has one for each. */
void park_begin(int vcpu, uint64_t gfn, int access, int tag, struct seen *seen);
void park_end(int vcpu, struct seen *seen);
void park_end_all(void);
int parked(int vcpu);
int park_holds(uint64_t hva, uint64_t pages, int but);

/* stats.c */
void stats_open(struct vm *vm);
void stats_open_vcpu(struct vm *vm, int vcpu);
void stats_close(struct vm *vm);
void stats_read(struct vm *vm, int vcpu, uint64_t *to);

/* trace.c */
int trace_on(int all);
void trace_off(void);
void trace_mark(int number, int vm);
void trace_pause(int pause);
void trace_take(struct out *out);
void log_open(void);
void log_take(struct out *out);

/* execute.c: a file of the host's, run here. */
int execute(const char *bytes, size_t size, struct out *out);

#endif
