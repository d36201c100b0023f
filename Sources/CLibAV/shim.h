#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/avutil.h>
#include <libavutil/channel_layout.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
#include <errno.h>

// Macros that Swift's importer passes over.
static const int stem_AVERROR_EOF = AVERROR_EOF;
static const int stem_AVERROR_EAGAIN = AVERROR(EAGAIN);
static const int64_t stem_AV_NOPTS_VALUE = AV_NOPTS_VALUE;
