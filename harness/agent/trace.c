// SPDX-License-Identifier: GPL-2.0-only
/* What KVM traces of its faults and SPTEs, and what the kernel's log says. */
#include "agent.h"

#define TRACING "/sys/kernel/tracing/"

static const char *const events[] = {
	"kvm/kvm_page_fault", "kvmmmu/kvm_tdp_mmu_spte_changed", "kvmmmu/kvm_mmu_set_spte",
	"kvmmmu/check_mmio_spte", "rp/pf",
};
static int marker = -1, events_pipe = -1, kernel_log = -1, on;

static int events_set(const char *value)
{
	for (unsigned int i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), TRACING "events/%s/enable", events[i]);
		if (write_text(path, value))
			return -1;
	}
	return 0;
}

/* After each load: the events are kvm's. */
int trace_on(void)
{
	if (write_text(TRACING "kprobe_events", "r:rp/pf kvm_tdp_page_fault ret=$retval:s32\n") ||
	    events_set("1") || write_text(TRACING "buffer_size_kb", "4096") ||
	    write_text(TRACING "trace_clock", "counter") ||	/* one order for all processors */
	    write_text(TRACING "tracing_on", "1"))
		return -1;
	marker = open(TRACING "trace_marker", O_WRONLY | O_CLOEXEC);
	events_pipe = open(TRACING "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	on = 1;
	return 0;
}

void trace_off(void)
{
	if (!on)
		return;
	events_set("0");
	write_text(TRACING "kprobe_events", "-:rp/pf\n");
	close(marker);
	close(events_pipe);
	marker = events_pipe = -1;
	on = 0;
}

void trace_mark(int number)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "op %d\n", number);

	if (marker >= 0 && write(marker, text, n) < 0)
		marker = -1;
}

/* Length and text; what is told is gone. */
void trace_take(struct out *out)
{
	size_t at = out->size;
	char part[16384];
	uint32_t size;
	ssize_t n;

	put_u32(out, 0);
	while (on && out->size < MAX_FRAME / 2 && (n = read(events_pipe, part, sizeof(part))) > 0)
		put(out, part, n);
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
