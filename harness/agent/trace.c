// SPDX-License-Identifier: GPL-2.0-only
/* What KVM traces of its faults and SPTEs, and what the kernel's log says. */
#include "agent.h"

#define TRACING "/sys/kernel/tracing/"

/* What observations of programs are made of. */
static const char *const needed[] = {
	"kvm/kvm_page_fault", "kvmmmu/kvm_tdp_mmu_spte_changed", "kvmmmu/kvm_mmu_set_spte",
	"kvmmmu/check_mmio_spte", NULL,
};
/* What a trace of somebody else's program has besides, where the kernel has it. */
static const char *const more[] = {
	"kvm/kvm_unmap_hva_range", "kvm/kvm_age_hva", "kvm/kvm_test_age_hva",
	"kvmmmu/kvm_mmu_spte_requested", "kvmmmu/kvm_mmu_get_page",
	"kvmmmu/kvm_mmu_prepare_zap_page", "kvmmmu/fast_page_fault", NULL,
};
static const char *const probes[] = {
	"r:rp/begun kvm_mmu_notifier_invalidate_range_start\n",
	"p:rp/ends kvm_mmu_notifier_invalidate_range_end\n",
	"p:rp/vm kvm_vm_ioctl cmd=%si:x32 a=+u0(%dx):x64 b=+u8(%dx):x64 c=+u16(%dx):x64 "
	"d=+u24(%dx):x64\n",
	NULL,
};
#define PROBE "r:rp/pf kvm_tdp_page_fault ret=$retval:s32\n"

static int marker = -1, events_pipe = -1, kernel_log = -1, on;

static int event_set(const char *event, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), TRACING "events/%s/enable", event);
	return write_text(path, value);
}

/* Events first, then those whose lack is no error. */
static int events_set(const char *value, int all)
{
	for (int i = 0; needed[i]; i++)
		if (event_set(needed[i], value))
			return -1;
	for (int i = 0; all && more[i]; i++)
		event_set(more[i], value);
	return event_set("rp", value);
}

static int probes_set(const char *text)
{
	int fd = open(TRACING "kprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? fail("kprobe_events: %s: %s", text, strerror(errno)) : 0;
}

/* After each load: the events are kvm's.  `all`: as somebody traces who will import it. */
int trace_on(int all)
{
	if (probes_set(PROBE))
		return -1;
	for (int i = 0; all && probes[i]; i++)
		if (probes_set(probes[i]))
			return -1;
	on = all ? 2 : 1;
	if (events_set("1", all) ||
	    write_text(TRACING "buffer_size_kb", all ? "49152" : "1024") ||
	    /* An access that never ends leaves what came before it. */
	    write_text(TRACING "options/overwrite", all ? "1" : "0") ||
	    write_text(TRACING "trace_clock", "counter") ||	/* one order for all processors */
	    write_text(TRACING "tracing_on", "1"))
		return -1;
	marker = open(TRACING "trace_marker", O_WRONLY | O_CLOEXEC);
	events_pipe = open(TRACING "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return 0;
}

void trace_off(void)
{
	int fd;

	if (!on)
		return;
	events_set("0", on == 2);
	fd = open(TRACING "kprobe_events", O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	close(marker);
	close(events_pipe);
	marker = events_pipe = -1;
	on = 0;
}

/* What comes now is of that operation, and of that VM. */
void trace_mark(int number, int vm)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "op %d vm %d\n", number, vm);

	if (marker >= 0 && write(marker, text, n) < 0)
		return;		/* no room: what fills the trace is of the operation before */
}

/* For a while nothing is traced. */
void trace_pause(int pause)
{
	if (on)
		write_text(TRACING "tracing_on", pause ? "0" : "1");
}

/* Length and text; what is told is gone.  What has no room in a frame is lost, and said so. */
void trace_take(struct out *out)
{
	static const char cut[] = "CPU:0 [LOST 1 EVENTS]\n";
	size_t at = out->size;
	char part[16384];
	uint32_t size;
	ssize_t n;

	put_u32(out, 0);
	while (on && (n = read(events_pipe, part, sizeof(part))) > 0)
		if (out->size < MAX_FRAME - (1 << 20))
			put(out, part, n);
		else if (out->size < MAX_FRAME - (1 << 20) + sizeof(part) + 1)
			put(out, cut, sizeof(cut) - 1);
	size = out->size - at - 4;
	memcpy(out->bytes + at, &size, 4);
}

void log_open(void)
{
	kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kernel_log >= 0)
		lseek(kernel_log, 0, SEEK_END);
}

/* Records of the kernel's log that are warnings or worse, since the last call. */
void log_take(struct out *out)
{
	char record[8192];
	size_t at = out->size;
	uint32_t size;
	ssize_t n;

	put_u32(out, 0);
	while (kernel_log >= 0 &&
	       ((n = read(kernel_log, record, sizeof(record) - 1)) > 0 || errno == EPIPE)) {
		char *text;

		if (n <= 0)	/* some were overwritten */
			continue;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text || (atoi(record) & 7) > 4)
			continue;
		text[strcspn(text, "\n")] = 0;
		put(out, text + 1, strlen(text + 1));
		put(out, "\n", 1);
	}
	size = out->size - at - 4;
	memcpy(out->bytes + at, &size, 4);
}
