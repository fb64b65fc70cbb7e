// SPDX-License-Identifier: GPL-2.0-only
/* Modules and their parameters.  A load that did not do what was asked is an error. */
#include "agent.h"
#include <sys/syscall.h>

int kvm_fd = -1;

int read_text(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, to, room - 1);

	if (fd >= 0)
		close(fd);
	to[n > 0 ? n : 0] = 0;
	to[strcspn(to, "\n")] = 0;
	return n < 0 ? fail("%s: %s", path, strerror(errno)) : 0;
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return n < 0 ? fail("%s: %s", path, strerror(error)) : 0;
}

int set_param(const char *name, const char *value)
{
	char path[128], now[32];

	snprintf(path, sizeof(path), "/sys/module/kvm/parameters/%s", name);
	if (!read_text(path, now, sizeof(now)) && !strcmp(now, value))
		return 0;
	return write_text(path, value);
}

static int insert(const char *file, const char *parameters)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	long r = fd < 0 ? -1 : syscall(SYS_finit_module, fd, parameters, 0);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (r && error != EEXIST)
		return fail("%s: %s", file, strerror(error));
	return 0;
}

/* Has the processor that flag? */
static int processor_has(const char *flag)
{
	char line[8192];
	FILE *file = fopen("/proc/cpuinfo", "r");
	int found = 0;

	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "flags", 5) && strstr(line, flag);
	if (file)
		fclose(file);
	return found;
}

/* Modules of a list of the initramfs, in its order; built in are those that it lacks. */
static int load_list(const char *list, const char *kvm_parameters)
{
	char line[128];
	FILE *file = fopen(list, "r");
	int r = 0;

	while (file && !r && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if ((strstr(line, "kvm-amd") && !processor_has(" svm")) ||
		    (strstr(line, "kvm-intel") && !processor_has(" vmx")))
			continue;
		r = insert(line, strstr(line, "/kvm.ko") ? kvm_parameters :
			   strstr(line, "kvm-amd.ko") ? "npt=1 nested=1" : "");
	}
	if (file)
		fclose(file);
	return r;
}

int load_group(const char *name)
{
	char list[64];

	snprintf(list, sizeof(list), "/modules/%s.list", name);
	return load_list(list, "");
}

int load_kvm(const char *parameters)
{
	static int dummy = -1;

	if (load_list("/modules/kvm.list", parameters))
		return -1;
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0)
		return fail("/dev/kvm: %s: the kernel has no KVM for this processor", strerror(errno));
	/* One VM stays: with the first and the last one of a kernel its code is patched. */
	dummy = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (dummy < 0)
		return fail("KVM_CREATE_VM: %s", strerror(errno));
	if (ioctl(dummy, KVM_CREATE_VCPU, 0) < 0)
		return fail("KVM_CREATE_VCPU: %s", strerror(errno));
	return 0;
}

int unload_kvm(void)
{
	static const char *const names[] = { "kvm_amd", "kvm_intel", "kvm" };

	for (int fd = 3; fd < 256; fd++) {	/* the VM that stays, and its vCPU */
		char path[32], to[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, to, sizeof(to) - 1) > 0 && strstr(to, "kvm"))
			close(fd);
	}
	kvm_fd = -1;
	for (unsigned int i = 0; i < 3; i++) {
		int r = -1;

		for (int tries = 0; tries < 50 && r; tries++) {
			r = syscall(SYS_delete_module, names[i], O_NONBLOCK);
			if (r && errno != EAGAIN && errno != EBUSY && errno != EWOULDBLOCK)
				break;
			if (r)
				usleep(20000);
		}
		if (r && errno != ENOENT)
			return fail("%s stays loaded: %s", names[i], strerror(errno));
	}
	return 0;
}
