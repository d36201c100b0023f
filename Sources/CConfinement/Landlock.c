#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "CConfinement.h"

// As in linux/landlock.h of Linux 6.12; the header of Debian 12 is older than the kernels that this runs on. The numbers are
// the same for every processor.
enum { create_ruleset = 444, restrict_self = 446 };
enum { create_ruleset_version = 1 << 0 };

struct ruleset {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

// What each version has added; what a kernel does not know it refuses.
static struct ruleset everything(int version) {
    // Execute, write, read, list, remove (2), make (7).
    int rights = 13;
    if (version >= 2) rights++;  // link and rename to another folder
    if (version >= 3) rights++;  // truncate
    if (version >= 5) rights++;  // ioctl on devices
    return (struct ruleset){
        .files = (1u << rights) - 1,
        .network = version >= 4 ? 3 : 0,  // TCP: bind, connect
        .scopes = version >= 6 ? 3 : 0,   // abstract unix sockets, signals
    };
}

int stem_landlock_version(void) {
    long version = syscall(create_ruleset, (void *)0, (size_t)0, create_ruleset_version);
    return version > 0 ? (int)version : 0;
}

int stem_landlock_enter(void) {
    struct ruleset rules = everything(stem_landlock_version());
    // An older kernel takes a longer structure where the rest is zero. No rule follows: nothing is allowed.
    int ruleset = (int)syscall(create_ruleset, &rules, sizeof rules, 0);
    if (ruleset < 0) return -1;
    long result = syscall(restrict_self, ruleset, 0);
    int code = errno;
    close(ruleset);
    errno = code;
    return (int)result;
}
