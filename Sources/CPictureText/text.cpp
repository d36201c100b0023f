#include "CPictureText.h"

#if __has_include(<opencv2/imgproc.hpp>)

#include <algorithm>
#include <exception>
#include <opencv2/imgproc.hpp>
#include <string>

bool picture_text_is_built_in(void) { return true; }

const char *write_picture_text(const char *text, uint8_t *grey, int height, int width) {
  static thread_local std::string reason;
  try {
    cv::Mat picture(height, width, CV_8UC1, grey);
    const int font = cv::FONT_HERSHEY_SIMPLEX;
    int baseline = 0;
    const cv::Size whole = cv::getTextSize(text, font, 1, 1, &baseline);
    // Letters with a third of their height free above and below, and a margin at the sides.
    const double scale = std::min(0.6 * height / whole.height, 0.94 * width / whole.width);
    const int thickness = std::max(1, static_cast<int>(scale * 1.5));
    const cv::Size size = cv::getTextSize(text, font, scale, thickness, &baseline);
    const cv::Point corner((width - size.width) / 2, (height + size.height) / 2);
    cv::putText(picture, text, corner, font, scale, cv::Scalar(255), thickness, cv::LINE_AA);
    return nullptr;
  } catch (const std::exception &error) {
    reason = error.what();
    return reason.c_str();
  }
}

#else

bool picture_text_is_built_in(void) { return false; }

const char *write_picture_text(const char *, uint8_t *, int, int) { return "built without OpenCV"; }

#endif
