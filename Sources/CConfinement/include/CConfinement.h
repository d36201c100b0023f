#pragma once

// The version of Landlock's interface that the running kernel offers; 0 for none.
int stem_landlock_version(void);

// Takes from the calling thread, and from what it starts from now on, every way to a file, a TCP port, a socket without a
// path or a signal's target that it does not hold already, as far as the kernel knows of it; no_new_privs must be set.
// Returns 0, or -1 and errno.
int stem_landlock_enter(void);

// From now on a system call that a filter traps ends the process with `status`, and its number is written to `descriptor`
// as "system call N". Returns 0, or -1 and errno.
int stem_report_trapped_calls(int descriptor, int status);
