// SPDX-License-Identifier: GPL-2.0-only
/* Frames over the virtio-serial port: whole and right, or none. */
#include "agent.h"
#include <dirent.h>
#include <poll.h>
#include <stdarg.h>

static int port = -1;
char why[256];

int fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return -1;
}

static uint32_t crc_of(uint32_t crc, const void *bytes, size_t size)
{
	static uint32_t table[256];
	const uint8_t *at = bytes;

	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			table[i] = i;
			for (int bit = 0; bit < 8; bit++)
				table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
		}
	crc = ~crc;
	while (size--)
		crc = crc >> 8 ^ table[(crc ^ *at++) & 0xff];
	return ~crc;
}

void put(struct out *out, const void *bytes, size_t size)
{
	if (out->size + size > out->room) {
		out->room = 2 * (out->size + size) + 4096;
		out->bytes = realloc(out->bytes, out->room);
		if (!out->bytes)
			abort();
	}
	memcpy(out->bytes + out->size, bytes, size);
	out->size += size;
}

void put_u32(struct out *out, uint32_t value)
{
	put(out, &value, sizeof(value));
}

/* The first port of the first virtio-serial device, when it has come. */
int port_open(void)
{
	char path[300] = "";

	for (int tries = 0; tries < 200 && port < 0; tries++, usleep(20000)) {
		DIR *dev = opendir("/dev");
		struct dirent *entry;

		while (dev && (entry = readdir(dev)))
			if (!strncmp(entry->d_name, "vport", 5))
				snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		if (dev)
			closedir(dev);
		if (path[0])
			port = open(path, O_RDWR | O_CLOEXEC);
	}
	return port < 0 ? fail("no virtio-serial port") : 0;
}

static int whole(int writes, void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = writes ? write(port, (char *)bytes + done, size - done)
				   : read(port, (char *)bytes + done, size - done);
		struct pollfd event = { .fd = port, .events = writes ? POLLOUT : POLLIN };

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (n <= 0) {	/* 0: nobody is at the other end at the moment */
			poll(&event, 1, 100);
			if (!n)
				usleep(1000);
			continue;
		}
		done += n;
	}
	return 0;
}

char *frame_read(struct frame *frame)
{
	static char *payload;
	uint32_t crc;

	free(payload);
	payload = NULL;
	if (whole(0, frame, sizeof(*frame)))
		return NULL;
	if (frame->magic != FRAME_MAGIC || frame->version != FRAME_VERSION ||
	    frame->length > MAX_FRAME) {
		fail("a frame of another protocol");
		return NULL;
	}
	payload = calloc(1, frame->length + 1);
	if (!payload || whole(0, payload, frame->length))
		return NULL;
	crc = frame->crc;
	frame->crc = 0;
	if (crc_of(crc_of(0, frame, sizeof(*frame)), payload, frame->length) != crc) {
		fail("a frame with a wrong checksum");
		return NULL;
	}
	return payload;
}

void frame_write(uint16_t kind, uint32_t sequence, const void *payload, size_t size)
{
	struct frame frame = {
		.magic = FRAME_MAGIC, .version = FRAME_VERSION, .kind = kind,
		.sequence = sequence, .length = size,
	};

	frame.crc = crc_of(crc_of(0, &frame, sizeof(frame)), payload, size);
	if (!whole(1, &frame, sizeof(frame)))
		whole(1, (void *)payload, size);
}
