#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>

// Functions that the C library declares for _GNU_SOURCE only, without which Swift's view of it is built.
int mkostemp(char *template, int flags);
int pipe2(int descriptors[2], int flags);
int close_range(unsigned int first, unsigned int last, int flags);
int pidfd_open(int pid, unsigned int flags);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first);
int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned int flags);
int setfsuid(unsigned int user);
int syncfs(int descriptor);
int sync_file_range(int descriptor, off_t offset, off_t count, unsigned int flags);
void *mremap(void *from, size_t old_count, size_t new_count, int flags, ...);
long syscall(long number, ...);
static const unsigned int stem_RENAME_NOREPLACE = 1;
static const int stem_F_SETSIG = 10;
static const int stem_F_SETLEASE = 1024;

// Functions with variable arguments or enumerations of their own, which Swift's importer passes over.
static inline int stem_prctl_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }
static inline int stem_prctl_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
static inline int stem_set_resource_limit(int resource, unsigned long soft, unsigned long hard) {
    struct rlimit both = {soft, hard};
    return setrlimit(resource, &both);
}
// The effective user of the calling thread alone; the C library's own changes that of all threads.
static inline long stem_set_thread_user(unsigned int user) { return syscall(SYS_setresuid, -1, user, -1); }
// Its stream is a variable, which Swift lets nobody share.
static inline void stem_buffer_standard_output_by_line(void) { setvbuf(stdout, 0, _IOLBF, 0); }
// Opens what lies below a folder without following a link or leaving it.
static inline int stem_openat2_beneath(int folder, const char *path, int flags) {
    struct open_how how = {.flags = (unsigned long long)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}
static const int stem_RLIMIT_AS = RLIMIT_AS;
static const int stem_RLIMIT_CORE = RLIMIT_CORE;
static const int stem_RLIMIT_CPU = RLIMIT_CPU;
static const int stem_RLIMIT_FSIZE = RLIMIT_FSIZE;
static const int stem_RLIMIT_NOFILE = RLIMIT_NOFILE;
static const int stem_EFD_CLOEXEC = EFD_CLOEXEC;
static const int stem_EFD_NONBLOCK = EFD_NONBLOCK;
static const int stem_SFD_CLOEXEC = SFD_CLOEXEC;
static const int stem_SFD_NONBLOCK = SFD_NONBLOCK;

// All that is written so far in a part of a file, and what is being written, is on its way to the disk or there.
static inline int stem_sync_range(int descriptor, off_t offset, off_t count) {
  return sync_file_range(descriptor, offset, count, 7 /* wait before, write, wait after */);
}
// Puts one mapping in another's place, whose readers notice nothing if both hold the same.
static inline int stem_replace_mapping(void *place, void *with, size_t count) {
  return mremap(with, count, count, 3 /* may move, to a fixed place */, place) == (void *)-1 ? -1 : 0;
}

// An open file of `folder` that has no name, for reading and writing, gone with its last descriptor; or -1.
static inline int stem_open_nameless(const char *folder) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/.scratch-XXXXXX", folder) >= (int)sizeof path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  const int descriptor = mkostemp(path, O_CLOEXEC);
  if (descriptor >= 0) unlink(path);
  return descriptor;
}
