#include "CPictureText.h"

// The other header tells that what links OpenCV is there, too (see COpenCV's module map).
#if __has_include(<opencv2/imgproc.hpp>) && __has_include(<opencv2/video/legacy/constants_c.h>)

#include <algorithm>
#include <exception>
#include <opencv2/imgproc.hpp>

bool write_picture_text(const char *text, uint8_t *gray, int height, int width) {
  try {
    cv::Mat picture(height, width, CV_8UC1, gray);
    const int font = cv::FONT_HERSHEY_SIMPLEX;
    int baseline = 0;
    const cv::Size whole = cv::getTextSize(text, font, 1, 1, &baseline);
    // Letters with a third of their height free above and below, and a margin at the sides.
    const double scale = std::min(0.6 * height / whole.height, 0.94 * width / whole.width);
    const int thickness = std::max(1, static_cast<int>(scale * 1.5));
    const cv::Size size = cv::getTextSize(text, font, scale, thickness, &baseline);
    const cv::Point corner((width - size.width) / 2, (height + size.height) / 2);
    cv::putText(picture, text, corner, font, scale, cv::Scalar(255), thickness, cv::LINE_AA);
    return true;
  } catch (const std::exception &) {
    return false;
  }
}

#else

bool write_picture_text(const char *, uint8_t *, int, int) { return false; }

#endif
