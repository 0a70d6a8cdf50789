//===- ImageJpeg2000.cpp - JPEG 2000 files to pixels ----------------------===//
#include "runtime/reference/ImageCodecs.h"

#include <fmt/format.h>
#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>

using namespace quern;
using namespace quern::reference;

namespace {
/// A file in memory, as OpenJPEG reads it.
struct StreamState {
  ImageBytes bytes;
  size_t at = 0;

  static StreamState *of(void *data) { return static_cast<StreamState *>(data); }
  static OPJ_SIZE_T read(void *to, OPJ_SIZE_T count, void *data) {
    StreamState *state = of(data);
    size_t size = std::min(count, state->bytes.size() - state->at);
    if (size == 0)
      return static_cast<OPJ_SIZE_T>(-1);
    std::memcpy(to, state->bytes.data() + state->at, size);
    state->at += size;
    return size;
  }
  static OPJ_OFF_T skip(OPJ_OFF_T count, void *data) {
    StreamState *state = of(data);
    auto left = static_cast<OPJ_OFF_T>(state->bytes.size() - state->at);
    count = std::clamp<OPJ_OFF_T>(count, -static_cast<OPJ_OFF_T>(state->at), left);
    state->at += static_cast<size_t>(count);
    return count;
  }
  static OPJ_BOOL seek(OPJ_OFF_T to, void *data) {
    StreamState *state = of(data);
    if (to < 0 || static_cast<size_t>(to) > state->bytes.size())
      return OPJ_FALSE;
    state->at = static_cast<size_t>(to);
    return OPJ_TRUE;
  }
};

template <typename T, void (*Free)(T *)> struct Release {
  void operator()(T *object) const { Free(object); }
};
template <typename T, void (*Free)(T *)> using Owned = std::unique_ptr<T, Release<T, Free>>;
using Codec = Owned<opj_codec_t, opj_destroy_codec>;
using Stream = Owned<opj_stream_t, opj_stream_destroy>;
using Image = Owned<opj_image_t, opj_image_destroy>;
} // namespace

static Stream openStream(StreamState &state) {
  Stream stream(opj_stream_default_create(OPJ_TRUE));
  if (!stream)
    return nullptr;
  opj_stream_set_user_data(stream.get(), &state, nullptr);
  opj_stream_set_user_data_length(stream.get(), state.bytes.size());
  opj_stream_set_read_function(stream.get(), StreamState::read);
  opj_stream_set_skip_function(stream.get(), StreamState::skip);
  opj_stream_set_seek_function(stream.get(), StreamState::seek);
  return stream;
}

/// 8 bits for each of one or three channels of the image's size.
static Status checkComponents(const opj_image_t &image) {
  if (image.numcomps != 1 && image.numcomps != 3)
    return unsupported(fmt::format("a JPEG 2000 image of {} channels", image.numcomps));
  for (OPJ_UINT32 i = 0; i < image.numcomps; ++i) {
    const opj_image_comp_t &channel = image.comps[i];
    if (channel.prec != 8 || channel.sgnd || channel.dx != 1 || channel.dy != 1 ||
        channel.w != image.comps[0].w || channel.h != image.comps[0].h)
      return unsupported("a JPEG 2000 image with channels of fewer pixels, or not of 8 bits");
  }
  return Status::ok();
}

Status reference::decodeJpeg2000(ImageBytes bytes, const AllocatePixels &allocate) {
  Status broken = invalidInput("the JPEG 2000 image is broken");
  bool isRaw = bytes[0] == 0xff;
  StreamState state{bytes};
  Stream stream = openStream(state);
  Codec codec(opj_create_decompress(isRaw ? OPJ_CODEC_J2K : OPJ_CODEC_JP2));
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t *header = nullptr;
  if (!stream || !codec || !opj_setup_decoder(codec.get(), &parameters) ||
      !opj_read_header(stream.get(), codec.get(), &header))
    return broken;
  Image image(header);
  QUERN_TRY(checkComponents(*image));
  int64_t width = image->comps[0].w, height = image->comps[0].h;
  QUERN_ASSIGN(uint8_t *pixels, allocate(width, height));
  if (!opj_decode(codec.get(), stream.get(), image.get()) ||
      !opj_end_decompress(codec.get(), stream.get()))
    return broken;
  for (OPJ_UINT32 i = 0; i < image->numcomps; ++i)
    if (!image->comps[i].data || image->comps[i].w != width || image->comps[i].h != height)
      return broken;
  for (int64_t i = 0; i < width * height; ++i)
    for (OPJ_UINT32 channel = 0; channel < 3; ++channel) {
      OPJ_INT32 value = image->comps[image->numcomps == 3 ? channel : 0].data[i];
      *pixels++ = static_cast<uint8_t>(std::clamp(value, 0, 255));
    }
  return Status::ok();
}
