#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Whether OpenCV was there when this was built.
bool optical_flow_is_built_in(void);

// Dense optical flow by OpenCV's DIS (Kroeger et al., 2016) with its medium preset: for each pixel of `from` where it is in `to`,
// as a displacement in pixels, x before y. One thread computes it; several may be in here at once.
//
// from, to: height x width grey values, row by row. flow: height x width x 2.
// Gives NULL, or else why there is no flow, which stays readable until this thread's next call.
const char *optical_flow(const uint8_t *from, const uint8_t *to, int height, int width, float *flow);

#ifdef __cplusplus
}
#endif
