// SPDX-License-Identifier: GPL-2.0-only
/* Runs a file of the host's and tells what it said: a reproducer, a selftest. */
#include "agent.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The payload: seconds that it may take, then the file.  The answer: wait's status, its output. */
void execute(const char *bytes, size_t size, struct out *out)
{
	static const char path[] = "/tmp/program";
	uint32_t seconds;
	int fds[2], fd, status = 0;
	char part[4096];
	ssize_t n;
	pid_t pid;

	memcpy(&seconds, bytes, 4);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	if (fd < 0 || write(fd, bytes + 4, size - 4) != (ssize_t)size - 4 || pipe(fds)) {
		fail("%s: %s", path, strerror(errno));
		put_u32(out, 0x7f00);
		put(out, why, strlen(why));
		return;
	}
	close(fd);
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		alarm(seconds);		/* stays over execve(), unless it sets its own */
		execl(path, path, NULL);
		_exit(126);
	}
	close(fds[1]);
	put_u32(out, 0);
	while ((n = read(fds[0], part, sizeof(part))) > 0)
		if (out->size < MAX_FRAME / 2)
			put(out, part, n);
	close(fds[0]);
	waitpid(pid, &status, 0);
	memcpy(out->bytes, &status, 4);
}
