#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

// Functions with variable arguments or enumerations of their own, which Swift's importer passes over.
static inline int stem_prctl_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }
static inline int stem_prctl_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
static inline int stem_set_resource_limit(int resource, unsigned long limit) {
    struct rlimit both = {limit, limit};
    return setrlimit(resource, &both);
}
static const int stem_RLIMIT_AS = RLIMIT_AS;
static const int stem_RLIMIT_CORE = RLIMIT_CORE;
static const int stem_RLIMIT_CPU = RLIMIT_CPU;
static const int stem_RLIMIT_FSIZE = RLIMIT_FSIZE;
static const int stem_RLIMIT_NOFILE = RLIMIT_NOFILE;
