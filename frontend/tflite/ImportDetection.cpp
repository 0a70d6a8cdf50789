//===- ImportDetection.cpp - boxes of detectors ---------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/CustomOptions.h"
#include "frontend/tflite/Images.h"
#include "frontend/tflite/OpTable.h"
#include "ir/GatherOps.h"
#include "ir/SelectionOps.h"

#include <fmt/format.h>

#include <cmath>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

namespace {
struct DetectionOptions {
  int64_t detections, classesPerDetection, detectionsPerClass, classes;
  /// Each class has boxes of its own; else a box has the best of its classes.
  bool isByClass;
  float overlap, least;
  /// Of y, x, height and width.
  std::vector<double> scales;
};

/// The boxes that stay, best first: of each, or of what fills up the detections, the box and the
/// class (or nothing) as vectors, and how many there are, as a vector of one.
struct Selection {
  Value boxes, classes, scores, count;
};
} // namespace

static DetectionOptions readOptions(OpReader &op) {
  constexpr int64_t kDetectionsPerClass = 100;
  NamedOptions named(op);
  DetectionOptions options{.detections = named.getInt("max_detections", 0),
                           .classesPerDetection = named.getInt("max_classes_per_detection", 1),
                           .detectionsPerClass =
                               named.getInt("detections_per_class", 1, kDetectionsPerClass),
                           .classes = named.getInt("num_classes", 1),
                           .isByClass = named.getBool("use_regular_nms", false),
                           .overlap = named.getFloat("nms_iou_threshold"),
                           .least = named.getFloat("nms_score_threshold"),
                           .scales = {}};
  for (const char *name : {"y_scale", "x_scale", "h_scale", "w_scale"})
    options.scales.push_back(named.getFloat(name));
  if (options.detections * options.classesPerDetection > std::numeric_limits<int32_t>::max())
    op.invalid(fmt::format("{} detections of {} classes", options.detections,
                           options.classesPerDetection));
  if (!(options.overlap > 0 && options.overlap <= 1))
    op.invalid(
        fmt::format("nms_iou_threshold must be above 0 and at most 1, found {}", options.overlap));
  return options;
}

/// Columns [begin, end) of what is along the last axis.
static Value columns(OpReader &op, Value x, int64_t begin, int64_t end) {
  return op.create<nn::SliceOp>(x, op.intsConstant({begin}), op.intsConstant({end}),
                                op.intsConstant({-1}), op.none());
}

static Value reshape(OpReader &op, Value x, std::vector<int64_t> dims) {
  return op.create<nn::ReshapeOp>(x, op.intsConstant(dims), /*allowzero=*/true);
}

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

/// Centers and sizes by the anchors', [n, 4], as corners (y, x). In float64, as LiteRT has them: a
/// box in another place may be suppressed or not.
static Value decodeBoxes(OpReader &op, const DetectionOptions &options, Value encoded,
                         Value anchors) {
  auto part = [&](Value x, int64_t begin) {
    return convert(op, columns(op, x, begin, begin + 2), DType::Float64);
  };
  auto scaled = [&](int64_t begin) {
    auto at = options.scales.begin() + begin;
    Value scale = op.constant(Tensor::of<double>({2}, std::vector<double>(at, at + 2)));
    return op.create<nn::DivOp>(part(encoded, begin), scale);
  };
  Value sizes = part(anchors, 2);
  Value center = op.create<nn::AddOp>(op.create<nn::MulOp>(scaled(0), sizes), part(anchors, 0));
  Value grown = op.create<nn::ExpOp>(scaled(2));
  Value half = op.create<nn::MulOp>(
      op.create<nn::MulOp>(grown, op.scalarConstant(0.5, DType::Float64)), sizes);
  center = convert(op, center, DType::Float32);
  half = convert(op, half, DType::Float32);
  Value corners[] = {op.create<nn::SubOp>(center, half), op.create<nn::AddOp>(center, half)};
  return op.create<nn::ConcatOp>(mlir::ValueRange(corners), /*axis=*/int64_t{1});
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

/// Rows (0, class, box) of what stays, of `scores` [classes, n], a class after the other.
static Value suppress(OpReader &op, const DetectionOptions &options, Value boxes, Value scores,
                      int64_t most) {
  // Scores may be as low as the threshold; nn.non_max_suppression takes what is above. Nothing
  // but subnormals, which count as zero, is between zero and the largest normal number below.
  float below = options.least == 0
                    ? -std::numeric_limits<float>::min()
                    : std::nextafter(options.least, -std::numeric_limits<float>::infinity());
  Value batch = op.intsConstant({0});
  return op.create<nn::NonMaxSuppressionOp>(
      op.create<nn::UnsqueezeOp>(boxes, batch), op.create<nn::UnsqueezeOp>(scores, batch),
      op.constant(Tensor::of<int64_t>({}, {most})),
      op.constant(Tensor::of<float>({}, {options.overlap})),
      op.constant(Tensor::of<float>({}, {below})), /*center_point_box=*/false);
}

/// A vector of unknown length with `more` of `value` after it.
static Value lengthened(OpReader &op, Value x, Value more, double value) {
  Value pads = joinSizes(op, {op.intsConstant({0}), more});
  return op.create<nn::PadOp>(x, pads, constantLike(op, value, x), PadMode::Constant);
}

static Value column(OpReader &op, Value rows, int64_t at) {
  return op.create<nn::GatherOp>(rows, op.scalarConstant(static_cast<double>(at), DType::Int64),
                                 /*axis=*/int64_t{1});
}

/// Of the scores [n, classes] each box has its best ones.
static Selection selectFast(OpReader &op, const DetectionOptions &options, Value boxes,
                            Value scores) {
  Value best = op.create<nn::ReduceOp>(scores, op.intsConstant({1}), ReduceKind::Max,
                                       /*keepdims=*/false, /*noop_with_empty_axes=*/false);
  best = op.create<nn::UnsqueezeOp>(best, op.intsConstant({0}));
  Value rows = suppress(op, options, boxes, best, options.detections), count = op.sizeOf(rows, 0);
  Value missing = op.create<nn::SubOp>(op.intsConstant({options.detections}), count);
  Value chosen = reshape(op, lengthened(op, column(op, rows, 2), missing, 0), {options.detections});
  int64_t classes = std::min(options.classesPerDetection, options.classes);
  auto ranked = op.createMulti<nn::TopKOp>(
      2, op.create<nn::GatherOp>(scores, chosen, /*axis=*/int64_t{0}), op.intsConstant({classes}),
      /*axis=*/-1, /*largest=*/true);
  return {chosen, ranked[1], ranked[0], count};
}

/// Boxes of all classes, the best first.
static Selection selectByClass(OpReader &op, const DetectionOptions &options, Value boxes,
                               Value scores) {
  Value byClass = op.create<nn::TransposeOp>(scores, llvm::ArrayRef<int64_t>{1, 0});
  int64_t most = std::min(options.detectionsPerClass, options.detections);
  Value rows = suppress(op, options, boxes, byClass, most), found = op.sizeOf(rows, 0);
  Value all = op.intsConstant({options.detections});
  Value ofRows =
      op.create<nn::GatherNDOp>(byClass, columns(op, rows, 1, 3), /*batch_dims=*/int64_t{0});
  Value filled = lengthened(op, ofRows, all, -std::numeric_limits<double>::infinity());
  auto ranked = op.createMulti<nn::TopKOp>(2, filled, all, /*axis=*/-1, /*largest=*/true);
  auto chosen = [&](int64_t at) -> Value {
    return op.create<nn::GatherOp>(lengthened(op, column(op, rows, at), all, 0), ranked[1],
                                   /*axis=*/int64_t{0});
  };
  auto alone = [&](Value x) { return op.create<nn::UnsqueezeOp>(x, op.intsConstant({1})); };
  return {chosen(2), alone(chosen(1)), alone(ranked[0]), op.create<nn::MinOp>(found, all)};
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// Detections [count, ...] with zeros for those that are not there.
static Value present(OpReader &op, const Selection &selection, int64_t detections, Value x) {
  Value place = op.create<nn::UnsqueezeOp>(op.createCount(op.intsConstant({detections})),
                                           op.intsConstant({1}));
  Value isThere = op.create<nn::LessOp>(place, selection.count);
  return op.create<nn::WhereOp>(isThere, x, constantLike(op, 0, x));
}

/// Of each detection a place for each of its classes; by class the detections are in front.
static void setResults(OpReader &op, const DetectionOptions &options, const Selection &selection,
                       Value boxes) {
  int64_t detections = options.detections, each = options.classesPerDetection;
  auto perPlace = [&](Value x, int64_t width) {
    int64_t rest = options.isByClass ? detections * (each - 1) : 0;
    int64_t known = options.isByClass ? 1 : std::min(each, options.classes);
    int64_t missing = options.isByClass ? 0 : each - known;
    x = present(op, selection, detections, convert(op, x, DType::Float32));
    Value pads = op.intsConstant({0, 0, rest, missing * width});
    x = op.create<nn::PadOp>(x, pads, op.none(), PadMode::Constant);
    return reshape(op, x,
                   width == 1 ? std::vector<int64_t>{1, detections * each}
                              : std::vector<int64_t>{1, detections * each, width});
  };
  constexpr int64_t kCorners = 4;
  Value corners = op.create<nn::GatherOp>(boxes, selection.boxes, /*axis=*/int64_t{0});
  if (!options.isByClass) {
    int64_t known = std::min(each, options.classes);
    corners = op.create<nn::TileOp>(corners, op.intsConstant({1, known}));
  }
  op.setReal(0, perPlace(corners, kCorners));
  op.setReal(1, perPlace(selection.classes, 1));
  op.setReal(2, perPlace(selection.scores, 1));
  op.setReal(3, convert(op, selection.count, DType::Float32));
}

/// Inputs: encoded boxes [1, n, 4 or more], scores [1, n, classes], the first class that of the
/// background where there is one more than the options say, and anchors [n, 4].
static void importDetection(OpReader &op) {
  DetectionOptions options = readOptions(op);
  if (op.failed() || !checkRank(op, 0, 3) || !checkRank(op, 1, 3) || !checkRank(op, 2, 2))
    return;
  int64_t count = staticSize(op, 2, 0), classes = staticSize(op, 1, 2);
  int64_t background = classes - options.classes;
  if (!op.failed() && (background < 0 || background > 1))
    op.invalid(fmt::format("{} scores of a box, num_classes is {}", classes, options.classes));
  if (op.failed())
    return;
  // With sizes that say that there is one image.
  Value encoded = reshape(op, columns(op, op.real(0), 0, 4), {count, 4});
  Value anchors = reshape(op, op.real(2), {count, 4});
  Value scores = reshape(op, convert(op, op.real(1), DType::Float32), {count, classes});
  if (op.failed())
    return;
  scores = columns(op, scores, background, classes);
  Value boxes = decodeBoxes(op, options, encoded, anchors);
  Selection selection = options.isByClass ? selectByClass(op, options, boxes, scores)
                                          : selectFast(op, options, boxes, scores);
  if (!op.failed())
    setResults(op, options, selection, boxes);
}

//===----------------------------------------------------------------------===//
// Builtin ops
//===----------------------------------------------------------------------===//

/// Inputs: boxes [n, 4], scores [n], the number of places, the overlap that is too much, the score
/// that is too low, and in version 5 how far boxes lower each other's scores. Results: boxes, their
/// scores (version 5), and how many there are.
static void importSuppression(OpReader &op) {
  bool isSoft = op.inputCount() == 6;
  if (!checkRank(op, 0, 2) || !checkRank(op, 1, 1))
    return;
  Value sigma = isSoft ? op.real(5) : op.scalarConstant(0, DType::Float32);
  auto found = op.createMulti<nn::SoftSuppressionOp>(3, op.real(0), op.real(1),
                                                     convert(op, op.stored(2), DType::Int64),
                                                     op.real(3), op.real(4), sigma);
  op.setStored(0, convert(op, found[0], op.outputDType(0)));
  if (isSoft)
    op.setReal(1, found[1]);
  int last = isSoft ? 2 : 1;
  op.setStored(last, convert(op, found[2], op.outputDType(last)));
}

std::span<const OpRow> tflite::detectionImports() {
  static constexpr OpRow rows[] = {
      {Op::NON_MAX_SUPPRESSION_V4, 5, 5, importSuppression, 2},
      {Op::NON_MAX_SUPPRESSION_V5, 6, 6, importSuppression, 3},
      {Op::CUSTOM, 3, 3, importDetection, 4, "TFLite_Detection_PostProcess"},
  };
  return rows;
}
