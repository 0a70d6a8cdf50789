//===- ImageTiff.cpp - TIFF files to pixels -------------------------------===//
#include "runtime/reference/ImageCodecs.h"

#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

using namespace quern;
using namespace quern::reference;

namespace {
/// A file in memory, as libtiff reads it.
struct TiffFile {
  ImageBytes bytes;
  uint64_t at = 0;

  static TiffFile *of(thandle_t handle) { return static_cast<TiffFile *>(handle); }
  static tmsize_t read(thandle_t handle, void *to, tmsize_t count) {
    TiffFile *file = of(handle);
    uint64_t left = file->at < file->bytes.size() ? file->bytes.size() - file->at : 0;
    auto size = static_cast<size_t>(std::min<uint64_t>(left, static_cast<uint64_t>(count)));
    std::memcpy(to, file->bytes.data() + (size > 0 ? file->at : 0), size);
    file->at += size;
    return static_cast<tmsize_t>(size);
  }
  static tmsize_t write(thandle_t, void *, tmsize_t) { return -1; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    TiffFile *file = of(handle);
    file->at = offset + (whence == SEEK_CUR   ? file->at
                         : whence == SEEK_END ? file->bytes.size()
                                              : 0);
    return file->at;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle) { return of(handle)->bytes.size(); }
};
} // namespace

Status reference::decodeTiff(ImageBytes bytes, const AllocatePixels &allocate) {
  [[maybe_unused]] static bool isSilent = [] {
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  TiffFile file{bytes};
  std::unique_ptr<TIFF, void (*)(TIFF *)> tiff(
      TIFFClientOpen("image", "rm", &file, TiffFile::read, TiffFile::write, TiffFile::seek,
                     TiffFile::close, TiffFile::size, nullptr, nullptr),
      TIFFClose);
  uint32_t width = 0, height = 0;
  if (!tiff || !TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width) ||
      !TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height) || width == 0 || height == 0)
    return invalidInput("the TIFF image is broken");
  QUERN_ASSIGN(uint8_t *pixels, allocate(width, height));
  // libtiff gives four bytes for each pixel.
  std::vector<uint32_t> raster(size_t{width} * height);
  if (!TIFFReadRGBAImageOriented(tiff.get(), width, height, raster.data(), ORIENTATION_TOPLEFT,
                                 /*stopOnError=*/1))
    return invalidInput("the TIFF image is broken, or of a kind that libtiff does not know");
  for (uint32_t pixel : raster) {
    *pixels++ = static_cast<uint8_t>(TIFFGetR(pixel));
    *pixels++ = static_cast<uint8_t>(TIFFGetG(pixel));
    *pixels++ = static_cast<uint8_t>(TIFFGetB(pixel));
  }
  return Status::ok();
}
