#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Whether OpenCV was there when this was built.
bool picture_text_is_built_in(void);

// Writes a line of printable ASCII into a picture, in its middle and as large as fits, with OpenCV's own (Hershey) letters, which
// need no font to be installed.
//
// grey: height x width, row by row: the text is white, all else stays as it is.
// Gives NULL, or else why nothing is written, which stays readable until this thread's next call.
const char *write_picture_text(const char *text, uint8_t *grey, int height, int width);

#ifdef __cplusplus
}
#endif
