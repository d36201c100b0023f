#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "CConfinement.h"

static int report_descriptor;
static int exit_status;

// Only what is safe in a signal handler: the process may be in any state.
static void report(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    char text[32] = "system call ";
    char digits[12];
    size_t length = strlen(text), count = 0;
    unsigned number = info->si_code == 1 /* SYS_SECCOMP */ ? (unsigned)info->si_syscall : 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) text[length++] = digits[--count];
    // Nobody is left to tell where this fails.
    if (write(report_descriptor, text, length) < 0) _exit(exit_status);
    _exit(exit_status);
}

int stem_report_trapped_calls(int descriptor, int status) {
    report_descriptor = descriptor;
    exit_status = status;
    struct sigaction action = {.sa_sigaction = report, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    return sigaction(SIGSYS, &action, 0);
}
