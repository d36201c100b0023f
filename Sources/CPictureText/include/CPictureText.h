#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Writes a line of printable ASCII into a picture, in its middle and as large as fits, with OpenCV's own (Hershey) letters, which
// need no font to be installed.
//
// gray: height x width, row by row: the text is white, all else stays as it is.
// Gives whether it could: not where this was built without OpenCV.
bool write_picture_text(const char *text, uint8_t *gray, int height, int width);

#ifdef __cplusplus
}
#endif
