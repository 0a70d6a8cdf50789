//===- MlModel.h - small models of ai.onnx.ml -----------------------------===//
#pragma once

#include "tests/frontend/RunModel.h"

namespace quern::onnx::test {

/// A model of one node of ai.onnx.ml with input "x", [N, features].
class MlModel : public ModelBuilder {
public:
  MlModel(const std::string &op, int64_t version, int64_t features, DType dtype = DType::Float32,
          const std::vector<std::string> &outputs = {"y"})
      : ModelBuilder(17) {
    input("x", {-1, features}, dtype).node(op, {"x"}, outputs).domain("ai.onnx.ml");
    model.mutable_opset_import(1)->set_version(version);
    for (const std::string &name : outputs)
      output(name);
  }

  MlModel &floats(const std::string &name, const std::vector<float> &values) {
    auto &out = attribute(name, proto::AttributeProto::FLOATS);
    for (float value : values)
      out.add_floats(value);
    return *this;
  }
  MlModel &ints(const std::string &name, const std::vector<int64_t> &values) {
    attr(name, values);
    return *this;
  }
  MlModel &strings(const std::string &name, const std::vector<std::string> &values) {
    auto &out = attribute(name, proto::AttributeProto::STRINGS);
    for (const std::string &value : values)
      out.add_strings(value);
    return *this;
  }
  MlModel &tensor(const std::string &name, const Tensor &value) {
    auto &out = *attribute(name, proto::AttributeProto::TENSOR).mutable_t();
    out.set_data_type(static_cast<int>(value.dtype()));
    for (int64_t dim : value.dims())
      out.add_dims(dim);
    out.set_raw_data(value.rawData(), static_cast<size_t>(value.numBytes()));
    return *this;
  }
  MlModel &set(const std::string &name, const char *value) {
    attr(name, value);
    return *this;
  }
  MlModel &set(const std::string &name, int64_t value) {
    attr(name, value);
    return *this;
  }
};

inline void expectInts(const Tensor &found, const std::vector<int64_t> &wanted) {
  ASSERT_EQ(found.dtype(), DType::Int64);
  auto span = found.elementsAs<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(span.begin(), span.end()), wanted);
}

inline void expectStrings(const Tensor &found, const std::vector<std::string> &wanted) {
  ASSERT_EQ(found.dtype(), DType::String);
  auto span = found.elementsAs<std::string>();
  EXPECT_EQ(std::vector<std::string>(span.begin(), span.end()), wanted);
}

} // namespace quern::onnx::test
