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
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

//: tap
/* KTAP on stdout: 0 all is well, 1 something is wrong, 4 nothing could be told. */
static int tap_bad;

static void tap_begin(int points)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("TAP version 13\n1..%d\n", points);
}

static void tap_note(const char *text)
{
	printf("# %s\n", text);
}

static void tap_pass(int number, const char *text)
{
	printf("ok %d - %s\n", number, text);
}

static void tap_fail(int number, const char *text)
{
	tap_bad = 1;
	printf("not ok %d - %s\n", number, text);
}

static void tap_skip(int number, const char *text, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", number, text, why);
}

static void tap_skip_all(const char *why)
{
	printf("TAP version 13\n1..0 # SKIP %s\n", why);
	exit(4);
}

static int tap_end(void)
{
	return tap_bad;
}

//: vm needs limits tap points
/* The VM, by ioctls. */
static int kvm = -1, vm, vcpus[MAX_VCPUS], nr_vcpus;
static struct kvm_run *runs[MAX_VCPUS];
static long run_size;

#define vm_call(cmd, arg) (ioctl(vm, cmd, arg) < 0 ? -errno : 0)
#define vcpu_call(v, cmd, arg) (ioctl(vcpus[v], cmd, arg) < 0 ? -errno : 0)
#define enter_guest(v) (ioctl(vcpus[v], KVM_RUN, 0) < 0 ? -errno : 0)

static void need_kvm(void)
{
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		tap_skip_all("no /dev/kvm");
	run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
}

static void make_vm(void)
{
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		give_up("KVM_CREATE_VM");
	nr_vcpus = 0;
}

static void make_vcpu(int v)
{
	vcpus[v] = ioctl(vm, KVM_CREATE_VCPU, v);
	if (vcpus[v] < 0)
		give_up("KVM_CREATE_VCPU");
	runs[v] = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpus[v], 0);
	if (runs[v] == MAP_FAILED)
		give_up("mmap of kvm_run");
}

static void drop_vm(void)
{
	for (int v = 0; v < nr_vcpus; v++) {
		munmap(runs[v], run_size);
		close(vcpus[v]);
	}
	close(vm);
}

static int set_region(int slot, int flags, unsigned long gpa, unsigned long size, unsigned long hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = hva,
	};

	return vm_call(KVM_SET_USER_MEMORY_REGION, &region);
}
