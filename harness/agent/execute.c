// SPDX-License-Identifier: GPL-2.0-only
/* Runs a file of the host's and tells what it said: a reproducer, a selftest. */
#include "agent.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/*
 * The payload: what it is given, its arguments, each with a 0 behind it, then the file.  The
 * answer: wait's status; its output and its trace, each behind its length; the kernel's log.
 */
#define MOST_ARGS 64
#define MOST_OUTPUT (1 << 20)

/* The file, to be run; 0 or -1. */
static int keep(const char *path, const char *bytes, size_t size)
{
	int fd;

	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	if (fd < 0)
		return fail("%s: %s", path, strerror(errno));
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n <= 0) {
			fail("%s: %s", path, strerror(errno));
			close(fd);
			return -1;
		}
		bytes += n;
		size -= n;
	}
	close(fd);
	return 0;
}

static pid_t begin(const char *path, char **argv, uint32_t seconds, int *from)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		return fail("a pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		setpgid(0, 0);
		alarm(seconds);		/* stays over execve(), unless it sets its own */
		execv(path, argv);
		_exit(126);
	}
	close(fds[1]);
	*from = fds[0];
	return pid < 0 ? fail("fork: %s", strerror(errno)) : pid;
}

int execute(const char *bytes, size_t size, struct out *out)
{
	static char path[] = "/tmp/program";
	struct execute head;
	char *argv[MOST_ARGS + 2] = { path }, part[4096];
	size_t at = sizeof(head), end, output;
	int from = -1, status = 0;
	uint32_t told;
	ssize_t n;
	pid_t pid;

	if (size < sizeof(head))
		return fail("a file without a head");
	memcpy(&head, bytes, sizeof(head));
	end = at + head.arguments;
	if (end > size || (head.arguments && bytes[end - 1]))
		return fail("arguments that do not end");
	for (int i = 1; at < end; at += strlen(bytes + at) + 1) {
		if (i > MOST_ARGS)
			return fail("more than %d arguments", MOST_ARGS);
		argv[i++] = (char *)bytes + at;
	}
	if (keep(path, bytes + end, size - end))
		return -1;
	pid = begin(path, argv, head.seconds, &from);
	if (pid < 0)
		return -1;
	put_u32(out, 0);
	output = out->size;
	put_u32(out, 0);
	while ((n = read(from, part, sizeof(part))) > 0)
		if (out->size < MOST_OUTPUT)
			put(out, part, n);
	close(from);
	waitpid(pid, &status, 0);
	kill(-pid, SIGKILL);	/* whatever it left behind */
	memcpy(out->bytes, &status, 4);
	told = out->size - output - 4;
	memcpy(out->bytes + output, &told, 4);
	trace_take(out);
	log_take(out);
	return 0;
}
