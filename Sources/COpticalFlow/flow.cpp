#include "COpticalFlow.h"

#if __has_include(<opencv2/video/tracking.hpp>)

#include <exception>
#include <opencv2/core/utility.hpp>
#include <opencv2/video/tracking.hpp>
#include <string>

bool optical_flow_is_built_in(void) { return true; }

const char *optical_flow(const uint8_t *from, const uint8_t *to, int height, int width, float *flow) {
  static thread_local std::string reason;
  try {
    // For the process, and so that the number of stripes of a picture, on which the result depends, is one everywhere.
    static const bool alone = (cv::setNumThreads(1), true);
    (void)alone;
    const cv::Mat first(height, width, CV_8UC1, const_cast<uint8_t *>(from));
    const cv::Mat second(height, width, CV_8UC1, const_cast<uint8_t *>(to));
    cv::Mat result;
    cv::DISOpticalFlow::create(cv::DISOpticalFlow::PRESET_MEDIUM)->calc(first, second, result);
    CV_Assert(result.type() == CV_32FC2 && result.rows == height && result.cols == width);
    result.copyTo(cv::Mat(height, width, CV_32FC2, flow));
    return nullptr;
  } catch (const std::exception &error) {
    reason = error.what();
    return reason.c_str();
  }
}

#else

bool optical_flow_is_built_in(void) { return false; }

const char *optical_flow(const uint8_t *, const uint8_t *, int, int, float *) { return "built without OpenCV"; }

#endif
