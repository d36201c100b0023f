#include <seccomp.h>

// A macro with an argument, which Swift's importer passes over.
static inline unsigned int stem_SCMP_ACT_ERRNO(int code) { return SCMP_ACT_ERRNO(code); }
