#include "CCLIPMerges.h"

// The file goes into the program as it is, so that there is nothing to install or to miss. C has a directive for this
// since C23; assemblers always had one, and find the file beside the header.
__asm__(
    ".pushsection .rodata\n"
    "clip_merges_begin:\n"
    ".incbin \"clip-merges.txt\"\n"
    "clip_merges_end:\n"
    ".byte 0\n"
    ".popsection\n");

extern const char clip_merges_begin[] __attribute__((visibility("hidden")));
extern const char clip_merges_end[] __attribute__((visibility("hidden")));

const char *clip_merges(void) { return clip_merges_begin; }
long clip_merges_count(void) { return clip_merges_end - clip_merges_begin; }
