//===- tokens.cpp - what a token of a decoder costs -----------------------===//
//
// Runs a decoder token by token, each with what the one before left, in turns with caches as the
// model has them and with such that grow in place (InputSizes::growingCaches):
// bench-tokens MODEL DIM FROM COUNT [THREADS]. DIM is the length of its past; an output called
// "present..." continues the input called "past...". The answers of both must have the same bits.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"
#include "bench/ZeroInputs.h"
#include "frontend/onnx/OnnxImporter.h"
#include "ir/Signature.h"
#include "passes/GrowCaches.h"
#include "runtime/running/Session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

using namespace quern;

namespace {
/// A decoder with what its tokens have left so far.
class Decoder {
public:
  static Expected<std::unique_ptr<Decoder>> load(const std::string &path, bool grows, int threads);
  /// Begins with a past of `length`, and room for `room`.
  void begin(const std::string &dim, int64_t length, int64_t room);
  /// The microseconds of the next token.
  Expected<double> next();
  /// The first output: what the token is chosen by.
  const Tensor &answer() const { return outputs[0]; }

private:
  /// The beginning of the room for an output, of the size that its input has after `more` tokens.
  Tensor viewOf(size_t output, int64_t more) const;

  std::shared_ptr<Executable> executable;
  std::unique_ptr<Session> session;
  bool grows = false;
  /// For each output the input that it continues.
  std::vector<std::optional<size_t>> inputOf;
  std::vector<Tensor> inputs, outputs, rooms;
};
} // namespace

Expected<std::unique_ptr<Decoder>> Decoder::load(const std::string &path, bool grows, int threads) {
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, onnx::importOnnxFile(path, *source.context));
  if (grows)
    passes::growCaches(nn::findMain(*source.module));
  native::NativeOptions options;
  options.threads = threads;
  auto decoder = std::make_unique<Decoder>();
  QUERN_ASSIGN(decoder->executable, native::compileForJit(std::move(source), options));
  decoder->session =
      std::make_unique<Session>(decoder->executable, RunnerOptions{.threads = threads});
  decoder->grows = grows;
  for (const PortSignature &output : decoder->executable->outputs()) {
    std::string name = output.name;
    if (size_t at = name.find("present"); at != std::string::npos)
      name.replace(at, std::strlen("present"), "past");
    auto &ports = decoder->executable->inputs();
    auto input = std::find_if(ports.begin(), ports.end(),
                              [&](const PortSignature &port) { return port.name == name; });
    decoder->inputOf.emplace_back();
    if (input != ports.end())
      decoder->inputOf.back() = input - ports.begin();
  }
  return decoder;
}

Tensor Decoder::viewOf(size_t output, int64_t more) const {
  Tensor::Dims dims = inputs[*inputOf[output]].dims();
  dims[0] += more;
  return Tensor::borrow(rooms[output].dtype(), dims, rooms[output].rawData());
}

void Decoder::begin(const std::string &dim, int64_t length, int64_t room) {
  inputs = zeroInputs(*executable, dim, length);
  for (Tensor &input : inputs) // the same in any order of dimensions
    if (input.dtype() == DType::Float32)
      std::fill_n(input.mutableData<float>(), input.numElements(), 0.25f);
  outputs.assign(inputOf.size(), Tensor());
  rooms.assign(inputOf.size(), Tensor());
  for (size_t i = 0; grows && i < inputOf.size(); ++i)
    if (inputOf[i]) {
      Tensor &input = inputs[*inputOf[i]];
      Tensor::Dims dims = input.dims();
      dims[0] = room;
      rooms[i] = Tensor::allocate(input.dtype(), dims).take();
      std::memcpy(rooms[i].mutableRawData(), input.rawData(), input.numBytes());
      input = viewOf(i, 0);
    }
}

Expected<double> Decoder::next() {
  auto start = std::chrono::steady_clock::now();
  outputs.assign(inputOf.size(), Tensor());
  for (size_t i = 0; grows && i < inputOf.size(); ++i)
    if (inputOf[i])
      outputs[i] = viewOf(i, 1);
  QUERN_TRY(session->run(inputs, outputs));
  for (size_t i = 0; i < inputOf.size(); ++i)
    if (inputOf[i])
      inputs[*inputOf[i]] = outputs[i];
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

static double medianOf(std::vector<double> values, double share = 0.5) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * double(values.size() - 1))];
}

static Status measure(const std::string &path, const std::string &dim, int64_t from, int64_t count,
                      int threads) {
  QUERN_ASSIGN(std::unique_ptr<Decoder> given, Decoder::load(path, /*grows=*/false, threads));
  QUERN_ASSIGN(std::unique_ptr<Decoder> growing, Decoder::load(path, /*grows=*/true, threads));
  constexpr int64_t kWarmUp = 4;
  given->begin(dim, from, from + count + kWarmUp);
  growing->begin(dim, from, from + count + kWarmUp);
  std::vector<double> asGiven, inPlace, ratios;
  for (int64_t token = 0; token < count + kWarmUp; ++token) {
    QUERN_ASSIGN(double before, given->next());
    QUERN_ASSIGN(double after, growing->next());
    if (std::memcmp(given->answer().rawData(), growing->answer().rawData(),
                    given->answer().numBytes()) != 0)
      return internalError(fmt::format("token {} differs", token));
    if (token < kWarmUp)
      continue;
    asGiven.push_back(before);
    inPlace.push_back(after);
    ratios.push_back(before / after);
  }
  fmt::print("past {:5}  as given {:8.0f} us ({:5.1f} tokens/s)  in place {:8.0f} us ({:5.1f} "
             "tokens/s)  ratio {:.2f} ({:.2f}-{:.2f})\n",
             from, medianOf(asGiven), 1e6 / medianOf(asGiven), medianOf(inPlace),
             1e6 / medianOf(inPlace), medianOf(ratios), medianOf(ratios, 0.1),
             medianOf(ratios, 0.9));
  return Status::ok();
}

int main(int argc, char **argv) {
  if (argc != 5 && argc != 6) {
    fmt::print(stderr, "bench-tokens MODEL DIM FROM COUNT [THREADS]\n");
    return 2;
  }
  Status status = measure(argv[1], argv[2], std::stoll(argv[3]), std::stoll(argv[4]),
                          argc == 6 ? std::stoi(argv[5]) : 1);
  if (!status.isOk())
    fmt::print(stderr, "{}\n", status.message());
  return static_cast<int>(status.code());
}
