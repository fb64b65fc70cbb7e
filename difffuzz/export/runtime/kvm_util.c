// SPDX-License-Identifier: GPL-2.0-only
//: headers
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

//: tap
static int tap_bad;

static void tap_begin(int points)
{
	setbuf(stdout, NULL);
	ksft_print_header();
	ksft_set_plan(points);
}

static void tap_note(const char *text)
{
	ksft_print_msg("%s\n", text);
}

static void tap_pass(int number, const char *text)
{
	(void)number;
	ksft_test_result_pass("%s\n", text);
}

static void tap_fail(int number, const char *text)
{
	(void)number;
	tap_bad = 1;
	ksft_test_result_fail("%s\n", text);
}

static void tap_skip(int number, const char *text, const char *why)
{
	(void)number;
	ksft_test_result_skip("%s: %s\n", text, why);
}

static __attribute__((unused)) void tap_skip_all(const char *why)
{
	ksft_exit_skip("%s\n", why);
}

static int tap_end(void)
{
	if (tap_bad)
		ksft_exit_fail();
	ksft_exit_pass();
	return 0;
}

//: vm needs limits tap points
static struct kvm_vm *vm;
static struct kvm_vcpu *vcpus[MAX_VCPUS];
static struct kvm_run *runs[MAX_VCPUS];
static int nr_vcpus;

#define vm_call(cmd, arg) (__vm_ioctl(vm, cmd, arg) < 0 ? -errno : 0)
#define vcpu_call(v, cmd, arg) (__vcpu_ioctl(vcpus[v], cmd, arg) < 0 ? -errno : 0)
#define enter_guest(v) (__vcpu_run(vcpus[v]) < 0 ? -errno : 0)

static void need_kvm(void)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_USER_MEMORY));
}

static void make_vm(void)
{
	vm = vm_create_barebones();
	nr_vcpus = 0;
}

static void make_vcpu(int v)
{
	vcpus[v] = __vm_vcpu_add(vm, v);
	runs[v] = vcpus[v]->run;
}

static void drop_vm(void)
{
	kvm_vm_free(vm);
}

static int set_region(int slot, int flags, unsigned long gpa, unsigned long size, unsigned long hva)
{
	return __vm_set_user_memory_region(vm, slot, flags, gpa, size, (void *)hva) < 0 ? -errno : 0;
}
