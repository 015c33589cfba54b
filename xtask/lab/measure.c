// measure FILE PROGRAM ARGUMENT...: runs a program and writes to FILE what it took:
//   exit status, seconds, seconds of CPU time, peak resident KiB, how much of it is no file's, page tables, processes
// The peak is VmHWM at the end of the process, the largest where there are several. What wait4 tells (and time(1) with
// it) begins at the size of the process that forked, and would hide a small program's. Pages of programs and libraries
// belong to the peak, but in an initramfs they are in memory in any case.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long peak, own, tables, processes;

// A process is about to end, and still has its memory.
static void look(pid_t pid)
{
	char path[64], line[256];
	long hwm = 0, file = 0, shmem = 0, pte = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return;
	while (fgets(line, sizeof line, f)) {
		sscanf(line, "VmHWM: %ld", &hwm);
		sscanf(line, "RssFile: %ld", &file);
		sscanf(line, "RssShmem: %ld", &shmem); // files of an initramfs
		sscanf(line, "VmPTE: %ld", &pte);
	}
	fclose(f);
	processes++;
	if (hwm > peak)
		peak = hwm, own = hwm - file - shmem, tables = pte;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	double start = seconds();
	pid_t child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	long options = PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
	int status = 0, ended = 0, word;
	pid_t pid;
	waitpid(child, &word, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, options);
	ptrace(PTRACE_CONT, child, 0, 0);
	while ((pid = waitpid(-1, &word, __WALL)) > 0) {
		if (!WIFSTOPPED(word)) {
			if (pid == child) {
				status = WIFEXITED(word) ? WEXITSTATUS(word) : 128 + WTERMSIG(word);
				ended = 1;
			}
			continue;
		}
		int event = word >> 16, sig = WSTOPSIG(word);
		if (event == PTRACE_EVENT_EXIT)
			look(pid);
		// a new process begins with a SIGSTOP that is the tracer's
		ptrace(PTRACE_CONT, pid, 0, (long)(event || sig == SIGSTOP || sig == SIGTRAP ? 0 : sig));
	}
	double took = seconds() - start;
	struct rusage used;
	getrusage(RUSAGE_CHILDREN, &used);
	double cpu = used.ru_utime.tv_sec + used.ru_utime.tv_usec / 1e6 + used.ru_stime.tv_sec + used.ru_stime.tv_usec / 1e6;
	FILE *out = fopen(argv[1], "w");
	if (!out || !ended)
		return 2;
	fprintf(out, "%d %.2f %.2f %ld %ld %ld %ld\n", status, took, cpu, peak, own, tables, processes);
	return fclose(out) ? 2 : status;
}
